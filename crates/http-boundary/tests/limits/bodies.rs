//! The bodies of requests.

use crate::service::{DEADLINE, SHORT, Service, patient};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use futures::StreamExt;
use http_boundary::HttpLimits;
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::sync::watch;
use tokio::time::timeout;

#[tokio::test]
async fn a_body_that_comes_too_slowly_is_refused() {
    let service = Service::start(HttpLimits { request_body_seconds: SHORT, ..patient() }).await;
    let mut client = service.connect().await;
    client.send("POST /bytes HTTP/1.1\r\nhost: shop\r\ncontent-length: 10\r\n\r\n123").await;
    let answer = client.until_closed().await;
    assert!(
        answer.starts_with("HTTP/1.1 408") && answer.contains("urn:emporium:problem:request-timeout"),
        "{answer}"
    );
}

#[tokio::test]
async fn half_sent_bodies_have_little_memory_together_and_ordinary_requests_go_on() {
    let within = Duration::from_secs(60);
    let limits = HttpLimits { request_bodies_mib: 1, request_body_seconds: within, ..patient() };
    let service = Service::start(limits).await;
    let mut clients = Vec::new();
    for _ in 0..8 {
        let mut client = service.connect().await;
        client.send("POST /bytes HTTP/1.1\r\nhost: shop\r\ncontent-length: 1000000\r\n\r\n").await;
        // It may be refused, and its connection be closed, before all of this is sent.
        let _ = client.0.write_all(&[b'x'; 200_000]).await;
        clients.push(Box::pin(async move { client.until("overloaded").await }));
    }
    let (refusal, _, waiting) = futures::future::select_all(clients).await;
    assert!(refusal.starts_with("HTTP/1.1 503") && refusal.contains("retry-after: 1"), "{refusal}");
    let mut ordinary = service.connect().await;
    ordinary.send("POST /bytes HTTP/1.1\r\nhost: shop\r\ncontent-length: 5\r\n\r\nhello").await;
    assert!(ordinary.until("\r\n\r\n5").await.starts_with("HTTP/1.1 200"));
    let mut operator = service.connect().await;
    operator.send("GET /metrics HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer secret\r\n\r\n").await;
    operator.until("emporium_refused_requests_total{reason=\"overloaded\"}").await;
    drop(waiting);
}

#[tokio::test]
async fn a_large_body_waits_a_moment_for_room_and_is_read_then() {
    let (tell, mut taken) = watch::channel(0);
    let counts = post(async move |body: Body| {
        let mut pieces = body.into_data_stream();
        while let Some(Ok(piece)) = pieces.next().await {
            tell.send_modify(|taken| *taken += piece.len());
        }
    });
    let limits = HttpLimits { request_bodies_mib: 1, ..patient() };
    let service = Service::with(limits, Router::new().route("/counts", counts)).await;
    let head =
        "POST /counts HTTP/1.1\r\nhost: shop\r\ncontent-length: 600000\r\nexpect: 100-continue\r\n\r\n";
    let mut half_sent = service.connect().await;
    half_sent.send(head).await;
    half_sent.until("100 Continue").await;
    half_sent.0.write_all(&[b'x'; 500_000]).await.unwrap();
    timeout(DEADLINE, taken.wait_for(|taken| *taken == 500_000)).await.unwrap().unwrap();
    // There is no room for this one until the other is gone; a client without it is refused.
    let mut waiting = service.connect().await;
    waiting.send(head).await;
    drop(half_sent);
    waiting.until("100 Continue").await;
    waiting.0.write_all(&[b'x'; 600_000]).await.unwrap();
    assert!(waiting.until("\r\n\r\n").await.contains("HTTP/1.1 200"));
}

/// A service that refuses a request before it looks at the body.
async fn refusing() -> Service {
    let refuses = post(|| async { StatusCode::TOO_MANY_REQUESTS });
    Service::with(patient(), Router::new().route("/refuses", refuses)).await
}

#[tokio::test]
async fn a_refusal_before_the_body_has_come_says_that_the_connection_ends() {
    let service = refusing().await;
    let head = "POST /refuses HTTP/1.1\r\nhost: shop\r\n";
    for rest in [
        "content-length: 10\r\n\r\n",
        "content-length: 10\r\n\r\n123",
        "content-length: 10\r\nexpect: 100-continue\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        let mut client = service.connect().await;
        client.send(&format!("{head}{rest}")).await;
        let answer = client.until_closed().await;
        assert!(
            answer.starts_with("HTTP/1.1 429") && answer.contains("connection: close"),
            "{rest}: {answer}"
        );
    }
}

#[tokio::test]
async fn a_refusal_of_a_body_that_is_too_large_says_that_the_connection_ends() {
    let little = post(|body: Bytes| async move { body.len().to_string() }).layer(DefaultBodyLimit::max(2));
    let service = Service::with(patient(), Router::new().route("/little", little)).await;
    let mut client = service.connect().await;
    client.send("POST /little HTTP/1.1\r\nhost: shop\r\ncontent-length: 10\r\n\r\n123").await;
    let answer = client.until_closed().await;
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn a_refusal_of_a_request_that_has_come_whole_keeps_the_connection() {
    let service = refusing().await;
    let mut client = service.connect().await;
    for body in [
        "content-length: 10\r\n\r\n0123456789",
        "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "content-length: 0\r\n\r\n",
    ] {
        client.send(&format!("POST /refuses HTTP/1.1\r\nhost: shop\r\n{body}")).await;
        let answer = client.until("\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 429") && !answer.contains("connection:"), "{body}: {answer}");
    }
}

/// hyper takes the chunks and hands on no length, so that nobody behind it can take the other one. What comes after the
/// request may be meant as a part of it: the connection ends.
#[tokio::test]
async fn a_request_with_chunks_and_a_length_is_read_by_its_chunks_and_is_the_last_one() {
    let lengths = post(|headers: HeaderMap, body: Bytes| async move {
        let length = headers.get(header::CONTENT_LENGTH);
        format!("{} bytes, length {length:?}", body.len())
    });
    let service = Service::with(patient(), Router::new().route("/lengths", lengths)).await;
    for headers in
        ["content-length: 9\r\ntransfer-encoding: chunked", "transfer-encoding: chunked\r\ncontent-length: 9"]
    {
        let mut client = service.connect().await;
        client
            .send(&format!(
                "POST /lengths HTTP/1.1\r\nhost: shop\r\n{headers}\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
                 GET / HTTP/1.1\r\nhost: shop\r\n\r\n"
            ))
            .await;
        let answer = client.until_closed().await;
        assert!(
            answer.contains("connection: close") && answer.ends_with("3 bytes, length None"),
            "{headers}: {answer}"
        );
    }
}
