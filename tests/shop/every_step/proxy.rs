//! Somebody between the service and the payment gateway, who lets one request vanish, or its answer. From then on nothing
//! goes through.

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::Response;
use axum::{Router, body};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What vanishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The gateway never sees the request.
    BeforeTheEffect,
    /// The gateway does it, and nobody hears of it.
    BeforeTheAnswer,
}

pub struct Proxy {
    address: String,
    line: Arc<Line>,
    task: JoinHandle<()>,
}

struct Line {
    gateway: String,
    client: reqwest::Client,
    /// Changing requests that came so far.
    requests: AtomicUsize,
    /// The one that is cut.
    at: usize,
    cut: Cut,
    is_cut: Notify,
    is_severed: AtomicBool,
}

impl Proxy {
    /// Cuts the changing request of that number, counted from 0.
    pub async fn start(gateway: String, at: usize, cut: Cut) -> Self {
        let line = Arc::new(Line {
            gateway,
            client: reqwest::Client::new(),
            requests: AtomicUsize::new(0),
            at,
            cut,
            is_cut: Notify::new(),
            is_severed: AtomicBool::new(false),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass_on).with_state(Arc::clone(&line));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, line, task }
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    /// Waits until it has cut.
    pub async fn has_cut(&self) {
        self.line.is_cut.notified().await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass_on(State(line): State<Arc<Line>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body: Bytes = body::to_bytes(body, usize::MAX).await.unwrap();
    if line.is_severed.load(Ordering::SeqCst) {
        return std::future::pending().await;
    }
    let is_cut = parts.method == "POST" && line.requests.fetch_add(1, Ordering::SeqCst) == line.at;
    line.is_severed.fetch_or(is_cut, Ordering::SeqCst);
    if is_cut && line.cut == Cut::BeforeTheEffect {
        line.is_cut.notify_one();
        return std::future::pending().await;
    }
    let url = format!("{}{}", line.gateway, parts.uri);
    let request = line.client.request(parts.method, url).headers(parts.headers).body(body);
    let answer = request.send().await.unwrap();
    let mut response = Response::builder().status(answer.status());
    response.headers_mut().unwrap().extend(answer.headers().clone());
    let body = answer.bytes().await.unwrap();
    if is_cut {
        line.is_cut.notify_one();
        return std::future::pending().await;
    }
    response.body(Body::from(body)).unwrap()
}
