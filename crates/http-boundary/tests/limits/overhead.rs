//! What a client sends besides its requests.

use crate::h2::{END_STREAM_AND_HEADERS, HEADERS, PING, PREFACE, SETTINGS, frame};
use crate::service::{DEADLINE, Service, patient};
use axum::Router;
use connection_limits::figures;
use http_boundary::ClientLimitArgs;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

/// A write that takes longer is one that the service does not read.
const BLOCKED: Duration = Duration::from_secs(1);

fn slowed() -> u64 {
    figures().into_iter().map(|(_, figures)| figures.slowed).sum()
}

/// Pings were answered as fast as they came: a few connections kept every processor busy, and nothing counted them. The
/// same holds for heads that the library refuses by itself, and for bodies in chunks of a byte.
#[tokio::test]
async fn what_belongs_to_no_request_is_read_slowly_and_large_bodies_are_not() {
    let service = Service::start(patient()).await;
    send_large_bodies(&service).await;
    let before = slowed();
    // On a busy machine a write may block before that.
    while slowed() == before {
        flood(&service, &frame(PING, 0, 0, b"12345678").repeat(1_000)).await;
    }
    flood(&service, &refused_heads()).await;
    send_tiny_chunks(&service).await;
    let mut ordinary = service.connect().await;
    ordinary.get("/").await;
    ordinary.until("200 OK").await;
}

/// Sends this over a connection of HTTP/2 again and again until it is no longer read, and reads all answers.
async fn flood(service: &Service, frames: &[u8]) {
    let (mut answers, mut flood) = service.connect().await.0.into_split();
    let reading = tokio::spawn(async move {
        let mut answer = vec![0; 64 * 1024];
        while answers.read(&mut answer).await.is_ok_and(|bytes| bytes > 0) {}
    });
    flood.write_all(PREFACE.as_bytes()).await.unwrap();
    flood.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let mut sends = async || timeout(BLOCKED, flood.write_all(frames)).await;
    let blocked = async { while sends().await.is_ok_and(|sent| sent.is_ok()) {} };
    timeout(DEADLINE, blocked).await.expect("a flood is not read as fast as it comes");
    reading.abort();
}

/// Heads of 255 bytes that are 19 KiB when they are decoded: a header of 160 bytes, and references to it.
fn refused_heads() -> Vec<u8> {
    let literal = [&[0x40, 1, b'x', 127][..], &[b'v'; 127]].concat();
    let block = [&[0x82, 0x86, 0x84][..], &literal, &[0xbe; 120]].concat();
    (0..1_000).flat_map(|number| frame(HEADERS, END_STREAM_AND_HEADERS, 2 * number + 1, &block)).collect()
}

/// Garbage over new connections cost as much as requests, and nobody was charged for it.
#[tokio::test]
async fn an_address_that_makes_very_many_connections_waits_before_they_are_read() {
    let clients = ClientLimitArgs { reads_per_second_by_address: 1, ..ClientLimitArgs::without_limits() };
    let service = Service::for_clients(clients, patient(), Router::new()).await;
    let mut connections = Vec::new();
    let waits = async {
        loop {
            let mut connection = service.connect_from([127, 0, 7, 9]).await;
            connection.get("/livez").await;
            // The address is allowed a connection a second by then: one that is read late waits for that long.
            if timeout(BLOCKED / 2, connection.until("HTTP/1.1")).await.is_err() {
                return;
            }
            connections.push(connection);
        }
    };
    timeout(DEADLINE, waits).await.expect("a connection is read late");
    let mut another = service.connect_from([127, 0, 7, 10]).await;
    another.get("/livez").await;
    another.until("HTTP/1.1").await;
}

/// The rate of the address is used up by now, so that the first body is read slowly already.
async fn send_tiny_chunks(service: &Service) {
    let mut client = service.connect().await;
    client.send("POST /bytes HTTP/1.1\r\nhost: shop\r\ntransfer-encoding: chunked\r\n\r\n").await;
    let chunks = "1\r\nx\r\n".repeat(10_000);
    let blocked = async {
        while timeout(BLOCKED, client.0.write_all(chunks.as_bytes())).await.is_ok_and(|sent| sent.is_ok()) {}
    };
    timeout(DEADLINE, blocked).await.expect("tiny chunks are not read as fast as they come");
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
