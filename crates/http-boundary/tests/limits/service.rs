//! A service within limits, and a client that may do anything.

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use http_boundary::{HttpLimits, Peer, serve};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::{CancellationToken, DropGuard};

pub const DEADLINE: Duration = Duration::from_secs(30);
/// Long enough that it never comes in a test.
pub const NEVER: Duration = Duration::from_secs(600);
pub const SHORT: Duration = Duration::from_millis(100);

/// Limits that no test reaches, unless it sets one of them.
pub fn patient() -> HttpLimits {
    HttpLimits {
        request_head_seconds: NEVER,
        idle_connection_seconds: NEVER,
        request_body_seconds: NEVER,
        unread_answer_seconds: NEVER,
        ..HttpLimits::default()
    }
}

pub struct Service {
    address: SocketAddr,
    _stop: DropGuard,
}

impl Service {
    pub async fn start(http: HttpLimits) -> Self {
        Self::with(http, Router::new()).await
    }

    pub async fn with(http: HttpLimits, router: Router) -> Self {
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

    pub async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }
}

pub struct Client(pub TcpStream);

impl Client {
    pub async fn send(&mut self, text: &str) {
        self.0.write_all(text.as_bytes()).await.unwrap();
    }

    pub async fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: shop\r\n\r\n")).await;
    }

    /// Everything up to the connection's end, however it ends.
    pub async fn until_closed(&mut self) -> String {
        let mut all = Vec::new();
        let reading = async { while self.0.read_buf(&mut all).await.is_ok_and(|bytes| bytes > 0) {} };
        tokio::time::timeout(DEADLINE, reading).await.expect("the connection is closed in time");
        String::from_utf8_lossy(&all).into_owned()
    }

    /// Everything up to this.
    pub async fn until(&mut self, end: &str) -> String {
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
