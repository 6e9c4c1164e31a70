//! A command side with an event store and a payment gateway of its own, started from a history and stopped anywhere.

use super::proxy::Proxy;
use super::story::Step;
use crate::copying::{copy_history, shared_store};
use embedded_event_store::EmbeddedEventStore;
use event_store::{EventStore, ExpectedRevision, RawEvent, RecordedEvent};
use futures::{StreamExt, pin_mut};
use http_boundary::{Health, HttpArgs, HttpLimits, OperatorToken};
use reqwest::StatusCode;
use sandbox_gateway::{Delays, SandboxConfig, SandboxGateway};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const TOKEN: &str = "the operator's token of the tests";

pub struct Machine {
    pub folder: TempDir,
    server: EmbeddedEventStore,
    gateway: SandboxGateway,
    services: Services,
    client: reqwest::Client,
    hold_seconds: u32,
}

/// The services as they run now.
struct Services {
    url: String,
    tasks: Vec<JoinHandle<()>>,
}

/// What a request was answered.
#[derive(Debug, Clone)]
pub struct Reply {
    pub status: StatusCode,
    pub replayed: bool,
    pub body: Value,
}

/// The ids that a story's paths name.
#[derive(Debug, Clone, Default)]
pub struct Ids {
    pub cart: Option<String>,
    pub order: Option<String>,
}

/// Whether the fulfilment process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    Runs,
    Rests,
}

impl Machine {
    /// With these events in its log and these lines in the gateway's journal, as a crash would have left them.
    pub async fn begin(
        history: &[RecordedEvent],
        journal: &[String],
        hold_seconds: u32,
        process: Process,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = embedded_event_store::Config::on_any_port(folder.path().join("event-store"));
        let server = EmbeddedEventStore::start(config).await.unwrap();
        replay(&EventStore::connect(&server.connection_string()).unwrap(), history).await;
        let gateway = start_gateway(&folder, journal).await;
        let address = format!("http://{}", gateway.address());
        let services = Services::start(&server, &address, hold_seconds, process).await;
        Self { folder, server, gateway, services, client: reqwest::Client::new(), hold_seconds }
    }

    /// Ends the services without any order, as a kill would, and starts them anew on the same data.
    pub async fn crash_and_restart(&mut self) {
        self.crash();
        let address = format!("http://{}", self.gateway.address());
        self.services = Services::start(&self.server, &address, self.hold_seconds, Process::Runs).await;
    }

    /// The same, with somebody between the service and the gateway.
    pub async fn restart_behind(&mut self, proxy: &Proxy) {
        self.crash();
        self.services =
            Services::start(&self.server, proxy.address(), self.hold_seconds, Process::Runs).await;
    }

    /// Moves to another event store, of which others have written so many events, and goes on there.
    pub async fn move_house(&mut self, foreign_events: usize) {
        self.crash();
        let folder = self.folder.path().join(format!("event-store-{}", uuid::Uuid::new_v4()));
        let new = shared_store(&folder, foreign_events + 1).await;
        copy_history(&self.server, &new, self.folder.path()).await;
        std::mem::replace(&mut self.server, new).stop().await;
        let address = format!("http://{}", self.gateway.address());
        self.services = Services::start(&self.server, &address, self.hold_seconds, Process::Runs).await;
    }

    /// Somebody says that the log was restored from a backup, as the operator has to.
    pub async fn is_told_of_the_backup(&self) {
        let before = self.store().log_identity().await.unwrap().id();
        assert_ne!(self.store().renew_log_identity().await.unwrap(), before);
    }

    pub fn crash(&self) {
        self.services.tasks.iter().for_each(JoinHandle::abort);
    }

    pub fn gateway_address(&self) -> String {
        format!("http://{}", self.gateway.address())
    }

    pub fn store(&self) -> EventStore {
        EventStore::connect(&self.server.connection_string()).unwrap()
    }

    /// All that happened, in order, without the processes' own notes.
    pub async fn history(&self) -> Vec<RecordedEvent> {
        let events = self.store().read_all(None, usize::MAX).map(Result::unwrap);
        let of_the_shop =
            |event: &RecordedEvent| !["process", "audit", "weather"].contains(&event.category());
        events.filter(|event| std::future::ready(of_the_shop(event))).collect().await
    }

    /// Waits until the process has noted that everything up to now is settled or on its list.
    pub async fn has_checkpoint(&self, how: &str) {
        let store = self.store();
        let now = self.history().await.last().map(|event| event.position.value());
        let items = store.subscribe_all(None);
        pin_mut!(items);
        let noted = async {
            while items.next().await.is_some() {
                let newest = store.read_stream_backwards("process-order_fulfilment", None, 1);
                let newest: Vec<RecordedEvent> = newest.map(Result::unwrap).collect().await;
                let note = newest.first().map(|event| serde_json::from_slice::<Value>(&event.data).unwrap());
                if note.is_some_and(|note| note["position"].as_u64() >= now) {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), noted)
            .await
            .unwrap_or_else(|_| panic!("{how}: no note"));
    }

    /// Waits until a part says this of itself in `/readyz`: why it does not do its work, or nothing.
    pub async fn says(&self, part: &str, why: Option<&str>) {
        let asking = async {
            loop {
                let health = self
                    .client
                    .get(format!("{}/readyz", self.services.url))
                    .bearer_auth(TOKEN)
                    .send()
                    .await
                    .unwrap();
                let health: Value = health.json().await.unwrap();
                if health["parts"][part].is_object() && health["parts"][part]["why"].as_str() == why {
                    return;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(30), asking).await.expect("it says so in time");
    }

    /// What the operator is told at an address.
    pub async fn get(&self, path: &str) -> Reply {
        let request = self.client.get(shop_client::address_of(&self.services.url, path)).bearer_auth(TOKEN);
        let response = request.send().await.expect("the service answers");
        Reply { status: response.status(), replayed: false, body: response.json().await.unwrap_or_default() }
    }

    /// The figures, as text.
    pub async fn metrics(&self) -> String {
        let response = self
            .client
            .get(format!("{}/metrics", self.services.url))
            .bearer_auth(TOKEN)
            .send()
            .await
            .unwrap();
        response.text().await.unwrap()
    }

    /// The gateway's own books, line by line.
    pub fn journal(&self) -> Vec<String> {
        let journal = std::fs::read_to_string(journal_of(&self.folder)).unwrap_or_default();
        journal.lines().map(str::to_owned).collect()
    }

    /// Sends all of a story's requests, one after the other.
    pub async fn tell(&self, steps: &[Step], ids: &mut Ids) -> Vec<Reply> {
        let mut replies = Vec::new();
        for step in steps {
            let reply = self.send(step, ids).await;
            let id = |name: &str| reply.body[name].as_str().map(str::to_owned);
            ids.cart = ids.cart.take().or_else(|| id("cart_id"));
            ids.order = ids.order.take().or_else(|| id("order_id"));
            replies.push(reply);
        }
        replies
    }

    async fn send(&self, step: &Step, ids: &Ids) -> Reply {
        let path = step.path.replace("{cart}", ids.cart.as_deref().unwrap_or("none"));
        let path = path.replace("{order}", ids.order.as_deref().unwrap_or("none"));
        let request = self.client.post(shop_client::address_of(&self.services.url, &path)).json(&step.body);
        let request = request.bearer_auth(TOKEN).header("idempotency-key", &step.key);
        let request = if step.waits { request.header("prefer", "wait=20") } else { request };
        let response = request.timeout(Duration::from_secs(30)).send().await.expect("the service answers");
        Reply {
            status: response.status(),
            replayed: response.headers().contains_key("idempotent-replayed"),
            body: response.json().await.unwrap_or_default(),
        }
    }

    /// Stops everything.
    pub async fn end(self) {
        self.crash();
        self.gateway.stop().await;
        self.server.stop().await;
    }
}

async fn replay(store: &EventStore, history: &[RecordedEvent]) {
    let mut ends: HashMap<&str, u64> = HashMap::new();
    let raw = |event: &RecordedEvent| RawEvent {
        id: event.id,
        event_type: event.event_type.clone(),
        is_json: true,
        data: event.data.clone(),
        metadata: event.metadata.clone(),
    };
    for events in history.chunk_by(|event, next| event.stream == next.stream) {
        let (stream, last) = (events[0].stream.as_str(), events[events.len() - 1].revision);
        let expected = match ends.get(stream) {
            None => ExpectedRevision::NoStream,
            Some(revision) => ExpectedRevision::Exact(*revision),
        };
        let appended = store.append_raw(stream, expected, events.iter().map(raw).collect()).await.unwrap();
        assert_eq!(appended.revision, last);
        ends.insert(stream, last);
    }
}

fn journal_of(folder: &TempDir) -> PathBuf {
    folder.path().join("sandbox-gateway").join("journal.jsonl")
}

async fn start_gateway(folder: &TempDir, journal: &[String]) -> SandboxGateway {
    let path = journal_of(folder);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let lines: String = journal.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
    std::fs::write(&path, lines).unwrap();
    let mut config = SandboxConfig::new(path.parent().unwrap());
    config.listen = "127.0.0.1:0".parse().unwrap();
    config.delays = Delays { processing: Duration::from_millis(300), late_answer: Duration::from_secs(3) };
    SandboxGateway::start(config).await.unwrap()
}

impl Services {
    async fn start(server: &EmbeddedEventStore, gateway: &str, hold_seconds: u32, process: Process) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Health::default();
        let config = command_api::Config {
            listen: address,
            http: HttpArgs::default(),
            event_store: server.connection_string().parse().unwrap(),
            operator_token: TOKEN.to_owned(),
            cart_id_secret: "a secret of the tests".to_owned(),
            audit_signing_key: crate::harness::audit_signing_key(),
            // Its seals would come between the steps.
            sealing: command_api::SealingArgs {
                audit_retired_keys: vec![],
                audit_seal_seconds: 3600,
                audit_verify_every_hours: 0,
                audit_verify_whole: false,
            },
            order_hold_seconds: hold_seconds,
            unpaid: command_api::UnpaidArgs {
                payments_in_part: true,
                ..command_api::UnpaidArgs::unlimited()
            },
            fulfilment: command_api::FulfilmentArgs::default(),
            payments: command_api::PaymentConfig {
                payment_gateway: Some(gateway.to_owned()),
                payment_gateway_key: Some(sandbox_gateway::DEFAULT_SECRET_KEY.to_owned()),
                payment_webhook_secret: None,
                payment_gateway_timeout: 1,
                payment_gateway_keeps_keys: 24 * 60 * 60,
            },
            client_limits: http_boundary::ClientLimitArgs::without_limits(),
            admission: command_api::AdmissionArgs::without_limits(),
            only_writer: false,
        };
        let commands = command_api::Application::build(config, &health).unwrap();
        let token = OperatorToken::new(TOKEN);
        let router = commands.routes().into_router().merge(health.routes(token.clone()));
        let limits = http_boundary::ClientLimitArgs::without_limits();
        let clients = http_boundary::ClientLimits::new(&limits, token, health.refusals().clone());
        let stop = CancellationToken::new();
        let stopping = stop.clone();
        let mut tasks = vec![tokio::spawn(async move {
            http_boundary::serve(listener, router, clients, &HttpLimits::default(), stopping).await;
        })];
        if process == Process::Runs {
            tasks.push(tokio::spawn(async move { commands.run_processes(stop).await }));
        }
        Self { url: format!("http://{address}"), tasks }
    }
}
