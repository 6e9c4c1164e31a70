//! A service within limits, and a client that may do anything.

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, post};
use http_boundary::{ClientLimitArgs, ClientLimits, Health, HttpLimits, OperatorToken, Peer, serve};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
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
        http2_ping_seconds: NEVER,
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
        Self::for_clients(ClientLimitArgs::without_limits(), http, router).await
    }

    /// With how it is, at the usual addresses.
    pub async fn for_clients(clients: ClientLimitArgs, http: HttpLimits, router: Router) -> Self {
        let (health, token) = (Health::default(), OperatorToken::new("secret"));
        let clients = ClientLimits::new(&clients, token.clone(), health.refusals().clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router
            .merge(health.routes(token))
            .route("/", get(|peer: Peer| async move { peer.connection.to_string() }))
            .route("/bytes", post(|body: Bytes| async move { body.len().to_string() }))
            .route("/hangs", get(std::future::pending::<()>));
        let stop = CancellationToken::new();
        let guard = stop.clone().drop_guard();
        tokio::spawn(async move { serve(listener, router, clients, &http, stop).await });
        Self { address, _stop: guard }
    }

    pub async fn connect(&self) -> Client {
        Client(TcpStream::connect(self.address).await.unwrap())
    }

    /// From another address of this machine.
    pub async fn connect_from(&self, address: [u8; 4]) -> Client {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        Client(socket.connect(self.address).await.unwrap())
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

    /// Reads so many bytes more.
    pub async fn skip(&mut self, bytes: usize) {
        let mut skipped = vec![0; bytes];
        let read = tokio::time::timeout(DEADLINE, self.0.read_exact(&mut skipped)).await;
        read.expect("they come in time").unwrap();
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
