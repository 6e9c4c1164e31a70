//! Answers that are long, or that nobody reads.

use crate::h2;
use crate::service::{DEADLINE, SHORT, Service, patient};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::get;
use futures::{StreamExt, stream};
use http_boundary::HttpLimits;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncWriteExt;
use tokio::sync::{Mutex, mpsc};

#[tokio::test]
async fn an_answer_that_goes_on_for_long_is_not_cut_while_it_is_read() {
    let limits = HttpLimits {
        request_head_seconds: SHORT,
        idle_connection_seconds: SHORT,
        request_body_seconds: SHORT,
        unread_answer_seconds: SHORT,
        ..patient()
    };
    let (tells, told) = mpsc::unbounded_channel();
    let told = Arc::new(Mutex::new(told));
    let live = get(move || async move {
        let events = stream::unfold(told, |told| async move {
            let number: u64 = told.lock().await.recv().await?;
            Some((Ok::<_, Infallible>(format!("event {number};")), told))
        });
        Body::from_stream(events)
    });
    let service = Service::with(limits, Router::new().route("/live", live)).await;
    let mut client = service.connect().await;
    client.get("/live").await;
    let begun = Instant::now();
    let mut number = 0;
    while begun.elapsed() < 4 * SHORT {
        number += 1;
        tells.send(number).unwrap();
        client.until(&format!("event {number};")).await;
    }
}

/// Says so when it is dropped.
struct Dropped(mpsc::UnboundedSender<()>);

impl Drop for Dropped {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// A service with an answer that never ends, and what says that it was given up.
async fn endless(http: HttpLimits) -> (Service, mpsc::UnboundedReceiver<()>) {
    let (says, hears) = mpsc::unbounded_channel();
    let endless = get(move || async move {
        let dropped = Dropped(says);
        let bytes = stream::repeat(Bytes::from_static(&[b'x'; 8192]));
        Body::from_stream(bytes.map(move |piece| {
            let _held = &dropped;
            Ok::<_, Infallible>(piece)
        }))
    });
    (Service::with(http, Router::new().route("/endless", endless)).await, hears)
}

#[tokio::test]
async fn a_client_that_does_not_read_is_given_up() {
    let (service, mut given_up) = endless(HttpLimits { unread_answer_seconds: SHORT, ..patient() }).await;
    let mut client = service.connect().await;
    client.get("/endless").await;
    tokio::time::timeout(DEADLINE, given_up.recv()).await.expect("it is given up in time");
}

#[tokio::test]
async fn an_http_2_client_that_gives_an_answer_no_room_is_given_up() {
    let (service, mut given_up) = endless(HttpLimits { unread_answer_seconds: SHORT, ..patient() }).await;
    let mut client = service.connect().await;
    client.send(h2::PREFACE).await;
    let no_room = h2::setting(h2::INITIAL_WINDOW_SIZE, 0);
    client.0.write_all(&h2::frame(h2::SETTINGS, 0, 0, &no_room)).await.unwrap();
    client.0.write_all(&h2::get(1, "/endless")).await.unwrap();
    tokio::time::timeout(DEADLINE, given_up.recv()).await.expect("it is given up in time");
    client.until_closed().await;
}

#[tokio::test]
async fn answers_that_nobody_takes_have_little_memory_together() {
    let large = get(|| async { vec![b'x'; 600 * 1024] });
    let router = Router::new().route("/large", large);
    let service = Service::with(HttpLimits { unread_answers_mib: 1, ..patient() }, router).await;
    let mut unread = service.connect().await;
    unread.send(h2::PREFACE).await;
    let no_room = h2::setting(h2::INITIAL_WINDOW_SIZE, 0);
    unread.0.write_all(&h2::frame(h2::SETTINGS, 0, 0, &no_room)).await.unwrap();
    unread.0.write_all(&h2::get(1, "/large")).await.unwrap();
    // It is refused while the other one is held, and answered once that one is given up.
    let answered = async {
        let mut refused = false;
        loop {
            let mut client = service.connect().await;
            client.send("GET /large HTTP/1.1\r\nhost: shop\r\nconnection: close\r\n\r\n").await;
            let answer = client.until_closed().await;
            refused |= answer.starts_with("HTTP/1.1 503") && answer.contains("overloaded");
            if refused && answer.starts_with("HTTP/1.1 200") {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, answered).await.expect("there is room again in time");
}
