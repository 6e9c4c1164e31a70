//! Connections, and the places that they hold.

use crate::h2;
use crate::service::{SHORT, Service, patient};
use axum::Router;
use axum::routing::get;
use http_boundary::HttpLimits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

#[tokio::test]
async fn connections_without_a_request_are_closed() {
    let service = Service::start(HttpLimits { request_head_seconds: SHORT, ..patient() }).await;
    for beginning in ["", "GET / HTTP/1.1\r\nhost: sh", "PRI * HTTP/2.0\r\n"] {
        let mut client = service.connect().await;
        client.send(beginning).await;
        assert_eq!(client.until_closed().await, "", "{beginning}");
    }
    // A second request has as little time for its head.
    let mut client = service.connect().await;
    client.get("/").await;
    client.until("\r\n\r\n").await;
    client.send("GET / HT").await;
    client.until_closed().await;
}

#[tokio::test]
async fn a_connection_is_closed_when_it_was_idle_for_long() {
    let service = Service::start(HttpLimits { idle_connection_seconds: SHORT, ..patient() }).await;
    let mut client = service.connect().await;
    client.get("/").await;
    assert!(client.until_closed().await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn silent_connections_keep_nobody_out() {
    let service = Service::start(HttpLimits { max_connections: 4, ..patient() }).await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(service.connect().await);
    }
    for _ in 0..4 {
        let mut client = service.connect().await;
        client.get("/").await;
        assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
    }
    silent[0].until_closed().await;
}

#[tokio::test]
async fn half_sent_bodies_keep_nobody_out() {
    let service = Service::start(HttpLimits { max_connections: 1, ..patient() }).await;
    let mut half = service.connect().await;
    half.send("POST /bytes HTTP/1.1\r\nhost: shop\r\ncontent-length: 10\r\n\r\n123").await;
    let mut client = service.connect().await;
    client.get("/").await;
    assert!(client.until("\r\n\r\n").await.starts_with("HTTP/1.1 200"));
}

#[tokio::test]
async fn a_whole_request_keeps_its_place() {
    let (says, mut hears) = mpsc::unbounded_channel();
    let waits = get(move || async move {
        says.send(()).unwrap();
        std::future::pending::<()>().await
    });
    let service =
        Service::with(HttpLimits { max_connections: 1, ..patient() }, Router::new().route("/waits", waits))
            .await;
    let mut first = service.connect().await;
    first.get("/waits").await;
    hears.recv().await.unwrap();
    let mut second = service.connect().await;
    assert_eq!(second.until_closed().await, "");
    assert!(first.0.try_read(&mut [0]).is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
}

#[tokio::test]
async fn an_http_2_connection_has_few_streams() {
    let service = Service::start(HttpLimits { http2_streams: 7, ..patient() }).await;
    let mut client = service.connect().await;
    client.send(h2::PREFACE).await;
    client.0.write_all(&h2::frame(h2::SETTINGS, 0, 0, &[])).await.unwrap();
    let mut head = [0; 9];
    client.0.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], h2::SETTINGS);
    let mut payload = vec![0; usize::from(head[2])];
    client.0.read_exact(&mut payload).await.unwrap();
    assert!(payload.chunks(6).any(|one| one == h2::setting(h2::MAX_CONCURRENT_STREAMS, 7)), "{payload:?}");
}

#[tokio::test]
async fn all_requests_of_a_connection_have_the_same_peer() {
    let service = Service::start(patient()).await;
    let number = |answer: String| answer.rsplit("\r\n\r\n").next().unwrap().to_owned();
    let mut first = service.connect().await;
    let mut numbers = Vec::new();
    for _ in 0..2 {
        first.get("/").await;
        let answer = first.until("\r\n\r\n").await;
        let length = answer
            .to_lowercase()
            .split("content-length: ")
            .nth(1)
            .unwrap()
            .split('\r')
            .next()
            .unwrap()
            .parse();
        let mut body = number(answer);
        while body.len() < length.clone().unwrap() {
            body.push(char::from(first.0.read_u8().await.unwrap()));
        }
        numbers.push(body);
    }
    let mut second = service.connect().await;
    second.send("GET / HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").await;
    numbers.push(number(second.until_closed().await));
    assert!(numbers[0] == numbers[1] && numbers[1] != numbers[2], "{numbers:?}");
}
