//! A sandbox, and a shop that receives its webhooks.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use payment_gateway::{Charge, Gateway, GatewayConfig, Signature, WebhookEvent, Webhooks};
use sandbox_gateway::{DEFAULT_SECRET_KEY, Delays, SandboxConfig, SandboxGateway, Webhook};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use uuid::Uuid;

pub const DEADLINE: Duration = Duration::from_secs(20);
pub const SECRET: &str = "whsec_adapter";

/// A sandbox, and a shop that receives its webhooks.
pub struct World {
    folder: TempDir,
    pub sandbox: SandboxGateway,
    webhook: Webhook,
    pub received: UnboundedReceiver<WebhookEvent>,
}

impl World {
    pub async fn new() -> Self {
        let (sender, received) = unbounded_channel();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/webhooks", listener.local_addr().unwrap());
        let router = Router::new().route("/webhooks", post(receive)).with_state(sender);
        tokio::spawn(async { axum::serve(listener, router).await });
        let webhook = Webhook { url, secret: SECRET.to_owned(), events: vec![] };
        let folder = tempfile::tempdir().unwrap();
        let sandbox = start(&folder, &webhook).await;
        Self { folder, sandbox, webhook, received }
    }

    pub async fn restart(self) -> Self {
        let Self { folder, sandbox, webhook, received } = self;
        sandbox.stop().await;
        let sandbox = start(&folder, &webhook).await;
        Self { folder, sandbox, webhook, received }
    }

    pub fn gateway(&self) -> Gateway {
        self.gateway_with(DEFAULT_SECRET_KEY, Duration::from_secs(10))
    }

    pub fn gateway_with(&self, secret_key: &str, timeout: Duration) -> Gateway {
        let base_url = format!("http://{}", self.sandbox.address());
        let (secret_key, keeps_keys) = (secret_key.to_owned(), GatewayConfig::STRIPE_KEEPS_KEYS);
        Gateway::new(&GatewayConfig { base_url, secret_key, timeout, keeps_keys }).unwrap()
    }

    /// Waits for the next webhook.
    pub async fn told(&mut self) -> WebhookEvent {
        tokio::time::timeout(DEADLINE, self.received.recv()).await.expect("a webhook").unwrap()
    }

    /// Waits for a webhook of this kind.
    pub async fn told_of(&mut self, kind: &str) -> WebhookEvent {
        loop {
            let event = self.told().await;
            if event.kind == kind {
                return event;
            }
        }
    }
}

pub async fn start(folder: &TempDir, webhook: &Webhook) -> SandboxGateway {
    let mut config = SandboxConfig::new(folder.path());
    config.listen.set_port(0);
    config.webhook = Some(webhook.clone());
    config.delays = Delays { processing: Duration::from_millis(50), late_answer: Duration::from_secs(60) };
    SandboxGateway::start(config).await.unwrap()
}

pub async fn receive(
    State(sender): State<UnboundedSender<WebhookEvent>>,
    headers: HeaderMap,
    body: String,
) -> StatusCode {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let signature = headers["stripe-signature"].to_str().unwrap();
    let webhooks = Webhooks::new(SECRET).unwrap();
    let signature = Signature::read(signature, i64::try_from(now).unwrap()).unwrap();
    let event = webhooks.verify(&signature, body.as_bytes()).unwrap();
    sender.send(event).unwrap();
    StatusCode::OK
}

pub fn charge(payment_method: &str) -> Charge<'_> {
    let (order_id, payment_id) = (Uuid::new_v4(), Uuid::new_v4());
    Charge { order_id, payment_id, amount: 4_200, currency: "GBP", payment_method, return_url: None }
}
