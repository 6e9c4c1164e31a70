//! What a client sends besides its requests.

use crate::h2::{PING, PREFACE, SETTINGS, frame};
use crate::service::{DEADLINE, Service, patient};
use connection_limits::figures;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A write that takes longer is one that the service does not read.
const BLOCKED: Duration = Duration::from_secs(1);

fn slowed() -> u64 {
    figures().into_iter().map(|(_, figures)| figures.slowed).sum()
}

/// Pings were answered as fast as they came: a few connections kept every processor busy, and nothing counted them.
///
/// The same holds for bodies in chunks of a byte. One test, because the figures are those of the whole process.
#[tokio::test]
async fn frames_without_requests_are_read_slowly_and_large_bodies_are_not() {
    let service = Service::start(patient()).await;
    let before = slowed();
    send_large_bodies(&service).await;
    assert_eq!(slowed(), before);
    let (mut answers, mut flood) = service.connect().await.0.into_split();
    let reading = tokio::spawn(async move {
        let mut answer = vec![0; 64 * 1024];
        while answers.read(&mut answer).await.is_ok_and(|bytes| bytes > 0) {}
    });
    flood.write_all(PREFACE.as_bytes()).await.unwrap();
    flood.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let pings = frame(PING, 0, 0, b"12345678").repeat(1_000);
    let blocked = async { while tokio::time::timeout(BLOCKED, flood.write_all(&pings)).await.is_ok() {} };
    tokio::time::timeout(DEADLINE, blocked).await.expect("a flood is not read as fast as it comes");
    assert_eq!(slowed(), before + 1);
    send_tiny_chunks(&service).await;
    assert_eq!(slowed(), before + 2);
    let mut ordinary = service.connect().await;
    ordinary.get("/").await;
    ordinary.until("200 OK").await;
    reading.abort();
}

/// The rate of the address is used up by now, so that the first body is read slowly already.
async fn send_tiny_chunks(service: &Service) {
    let mut client = service.connect().await;
    client.send("POST /bytes HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let chunks = "1\r\nx\r\n".repeat(10_000);
    let blocked = async {
        while tokio::time::timeout(BLOCKED, client.0.write_all(chunks.as_bytes()))
            .await
            .is_ok_and(|sent| sent.is_ok())
        {}
    };
    tokio::time::timeout(DEADLINE, blocked).await.expect("tiny chunks are not read as fast as they come");
}

async fn send_large_bodies(service: &Service) {
    let mut client = service.connect().await;
    let bytes = 900 * 1024;
    for _ in 0..20 {
        client.send(&format!("POST /bytes HTTP/1.1\r\nhost: shop\r\ncontent-length: {bytes}\r\n\r\n")).await;
        client.send(&" ".repeat(bytes)).await;
        client.until(&format!("\r\n\r\n{bytes}")).await;
    }
}
