//! What a service puts up with from clients that do not behave, each over a connection of its own.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use axum::Router;
use axum::body::{Body, Bytes};
use axum::routing::{get, post};
use futures::{StreamExt, stream};
use http_boundary::{HttpLimits, Peer, serve};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

const DEADLINE: Duration = Duration::from_secs(30);
/// Long enough that it never comes in a test.
const NEVER: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(100);

/// Limits that no test reaches, unless it sets one of them.
fn patient() -> HttpLimits {
    HttpLimits {
        request_head_seconds: NEVER,
        idle_connection_seconds: NEVER,
        request_body_seconds: NEVER,
        unread_answer_seconds: NEVER,
        ..HttpLimits::default()
    }
}

struct Service {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Service {
    async fn start(http: HttpLimits) -> Self {
        Self::with(http, Router::new()).await
    }

    async fn with(http: HttpLimits, router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router
            .route("/", get(|peer: Peer| async move { peer.connection.to_string() }))
            .route("/bytes", post(|body: Bytes| async move { body.len().to_string() }))
            .route("/hangs", get(std::future::pending::<()>));
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        tokio::spawn(async move { serve(listener, router, &http, stop).await });
        Self { address, _stop: guard }
    }

    async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }
}

struct Client(TcpStream);

impl Client {
    async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    async fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n")).await;
    }

    /// Everything up to the connection's end, however it ends.
    async fn until_closed(&mut self) -> String {
        let mut all = Vec::new();
        let reading = async { while self.0.read_buf(&mut all).await.is_ok_and(|bytes| bytes > 0) {} };
        tokio::time::timeout(DEADLINE, reading).await.expect("the connection is closed in time");
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Everything up to this.
    async fn until(&mut self, end: &str) -> String {
        let mut all = Vec::new();
        let reading = async {
            while !String::from_utf8_lossy(&all).contains(end) {
                assert!(self.0.read_buf(&mut all).await.unwrap() > 0, "{}", String::from_utf8_lossy(&all));
            }
        };
        tokio::time::timeout(DEADLINE, reading).await.expect("it comes in time");
        String::from_utf8_lossy(&all).into_owned()
    }
}

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
    let service = Service::start(HttpLimits { request_bodies_mib: 1, ..patient() }).await;
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
    drop(waiting);
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
async fn an_answer_that_goes_on_for_long_is_not_cut_while_it_is_read() {
    let limits = HttpLimits {
        request_head_seconds: SHORT,
        idle_connection_seconds: SHORT,
        request_body_seconds: SHORT,
        unread_answer_seconds: SHORT,
        ..patient()
    };
    let live = get(|| async {
        let events = stream::unfold(0, |count| async move {
            tokio::time::sleep(SHORT / 4).await;
            Some((Ok::<_, Infallible>(format!("event {count};")), count + 1))
        });
        Body::from_stream(events)
    });
    let service = Service::with(limits, Router::new().route("/live", live)).await;
    let mut client = service.connect().await;
    client.get("/live").await;
    client.until("event 20;").await;
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

/// Frames of HTTP/2.
mod h2 {
    pub const PREFACE: &str = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    const HEADERS: u8 = 1;
    pub const SETTINGS: u8 = 4;
    pub const MAX_CONCURRENT_STREAMS: u16 = 3;
    pub const INITIAL_WINDOW_SIZE: u16 = 4;
    const END_STREAM_AND_HEADERS: u8 = 5;

    pub fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, stream];
        frame.extend_from_slice(payload);
        frame
    }

    pub fn setting(id: u16, value: u32) -> Vec<u8> {
        [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat()
    }

    /// `GET` of a path, from the static table but for the path.
    pub fn get(stream: u8, path: &str) -> Vec<u8> {
        let mut headers = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
        headers.extend_from_slice(path.as_bytes());
        frame(HEADERS, END_STREAM_AND_HEADERS, stream, &headers)
    }
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
