//! A sandbox in this process, a client that shows the wire as it is, and somebody who receives webhooks.
#![allow(dead_code, reason = "each test file takes what it needs")]

use axum::Router;
use axum::extract::State;
use axum::routing::post;
use reqwest::{Client, RequestBuilder, StatusCode};
use sandbox_gateway::{DEFAULT_SECRET_KEY, SandboxConfig, SandboxGateway, Webhook};
use serde_json::Value;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

pub const DEADLINE: Duration = Duration::from_secs(20);

pub struct Sandbox {
    pub client: WireClient,
    pub gateway: SandboxGateway,
    pub folder: TempDir,
}

impl Sandbox {
    pub async fn start(webhook: Option<Webhook>) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), webhook).await
    }

    pub async fn start_in(folder: TempDir, webhook: Option<Webhook>) -> Self {
        Self::start_with(folder, |config| config.webhook = webhook).await
    }

    pub async fn start_with(folder: TempDir, change: impl FnOnce(&mut SandboxConfig)) -> Self {
        let mut config = SandboxConfig::new(folder.path());
        config.listen.set_port(0);
        change(&mut config);
        let gateway = SandboxGateway::start(config).await.unwrap();
        Self { client: WireClient::new(&format!("http://{}", gateway.address())), gateway, folder }
    }

    pub fn with_key(mut self, key: &str) -> Self {
        self.client.key = key.to_owned();
        self
    }

    pub async fn stop(self) -> TempDir {
        tokio::time::timeout(DEADLINE, self.gateway.stop()).await.expect("a stop");
        self.folder
    }

    pub async fn post(&self, path: &str, key: &str, body: &str) -> Answer {
        self.client.post(path, key, body).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.client.get(path).await
    }
}

pub struct WireClient {
    http: Client,
    base: String,
    key: String,
}

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub replayed: bool,
    pub body: Value,
}

impl WireClient {
    pub fn new(base: &str) -> Self {
        let http = Client::builder().no_proxy().timeout(DEADLINE).build().unwrap();
        Self { http, base: base.to_owned(), key: DEFAULT_SECRET_KEY.to_owned() }
    }

    pub async fn post(&self, path: &str, key: &str, body: &str) -> Answer {
        let request = self.http.post(format!("{}/v1/{path}", self.base)).header("idempotency-key", key);
        let form = "application/x-www-form-urlencoded";
        self.send(request.header("content-type", form).body(body.to_owned())).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(format!("{}/v1/{path}", self.base))).await
    }

    async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.bearer_auth(&self.key).send().await.unwrap();
        let replayed = response.headers().contains_key("idempotent-replayed");
        assert!(response.headers().contains_key("request-id"));
        Answer { status: response.status(), replayed, body: response.json().await.unwrap() }
    }
}

impl Answer {
    pub fn id(&self) -> String {
        self.body["id"].as_str().unwrap().to_owned()
    }

    /// The status, the type and the code of an error.
    pub fn error(&self) -> (StatusCode, &str, &str) {
        let error = &self.body["error"];
        (self.status, error["type"].as_str().unwrap_or_default(), error["code"].as_str().unwrap_or_default())
    }
}

#[derive(Debug)]
pub struct Received {
    pub event: Value,
    pub answered: StatusCode,
}

type Held = (Value, oneshot::Sender<()>);

/// Receives webhooks, and answers them as it is told.
pub struct Receiver {
    address: String,
    answers: Arc<Mutex<StatusCode>>,
    holds: Arc<Mutex<bool>>,
    received: UnboundedReceiver<Received>,
    held: UnboundedReceiver<Held>,
}

#[derive(Clone)]
struct Door {
    answers: Arc<Mutex<StatusCode>>,
    holds: Arc<Mutex<bool>>,
    received: UnboundedSender<Received>,
    held: UnboundedSender<Held>,
}

impl Receiver {
    pub async fn start(answer: StatusCode) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (received_sender, received) = unbounded_channel();
        let (held_sender, held) = unbounded_channel();
        let (answers, holds) = (Arc::new(Mutex::new(answer)), Arc::new(Mutex::new(false)));
        let door = Door {
            answers: answers.clone(),
            holds: holds.clone(),
            received: received_sender,
            held: held_sender,
        };
        let router = Router::new().route("/", post(receive)).with_state(door);
        tokio::spawn(async { axum::serve(listener, router).await });
        Self { address, answers, holds, received, held }
    }

    pub fn webhook(&self) -> Webhook {
        Webhook { url: format!("http://{}/", self.address), secret: "whsec_test".to_owned(), events: vec![] }
    }

    /// From now on.
    pub fn answer(&self, status: StatusCode) {
        *self.answers.lock().unwrap() = status;
    }

    /// The next webhook is answered when it is released.
    pub fn hold(&self) {
        *self.holds.lock().unwrap() = true;
    }

    pub async fn held(&mut self) -> Held {
        tokio::time::timeout(DEADLINE, self.held.recv()).await.expect("a webhook").unwrap()
    }

    pub async fn next(&mut self) -> Received {
        tokio::time::timeout(DEADLINE, self.received.recv()).await.expect("a webhook").unwrap()
    }
}

async fn receive(State(door): State<Door>, body: String) -> StatusCode {
    let event: Value = serde_json::from_str(&body).unwrap();
    if std::mem::take(&mut *door.holds.lock().unwrap()) {
        let (release, released) = oneshot::channel();
        door.held.send((event.clone(), release)).unwrap();
        released.await.unwrap();
    }
    let answered = *door.answers.lock().unwrap();
    // A test that is over does not listen any more.
    let _ = door.received.send(Received { event, answered });
    answered
}
