//! Sealing processes on real histories.

mod seals;
mod strangers;
mod tampering;
mod verification;

use super::config::Pace;
use super::standing::CannotSeal;
use super::{Figures, SealingConfig, SealingRunner};
use audit_seal::chain::{self, Linked, START};
use audit_seal::key::SealingKey;
use audit_seal::seal::Seal;
use audit_seal::verify::{Outcome, Verifier};
use audit_seal::{Digest, SEAL_TYPE, is_of_seals};
use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use consumer_runner::OwnForm;
use embedded_event_store::{Config, EmbeddedEventStore};
use event_chains::found_raw;
use event_store::{EventStore, ExpectedRevision, RawEvent, SubscriptionItem};
use futures::{StreamExt, TryStreamExt, pin_mut};
use http_boundary::Health;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

pub const DEADLINE: Duration = Duration::from_secs(30);
/// Nothing waits that long in a test: seals are due by number.
const NEVER: Duration = Duration::from_secs(3600);

/// A store with one stream of facts.
pub struct History {
    pub server: EmbeddedEventStore,
    pub store: EventStore,
    _folder: TempDir,
    pub next: u64,
    pub link: Digest,
    pub is_linked: bool,
}

impl History {
    pub async fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
        let store = EventStore::connect(&server.connection_string()).unwrap();
        Self { server, store, _folder: folder, next: 0, link: START, is_linked: true }
    }

    pub async fn append(&mut self, events: u64) {
        for _ in 0..events {
            let (id, data) = (Uuid::new_v4(), format!(r#"{{"number":{}}}"#, self.next));
            let metadata = br#"{"actor":"shopper"}"#.to_vec();
            let linked = Linked {
                stream: "cart-1",
                revision: self.next,
                id,
                event_type: "cart.item_added.v1",
                data: data.as_bytes(),
                metadata: if self.is_linked { chain::open(&metadata) } else { &metadata },
            };
            self.link = chain::link(&self.link, &linked);
            let metadata = if self.is_linked { chain::with_link(metadata, &self.link) } else { metadata };
            let event = RawEvent {
                id,
                event_type: "cart.item_added.v1".to_owned(),
                is_json: true,
                data: data.into(),
                metadata: metadata.into(),
            };
            let expected =
                self.next.checked_sub(1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
            self.store.append_raw("cart-1", expected, vec![event]).await.unwrap();
            self.next += 1;
        }
    }

    /// Every seal, once so many events are sealed.
    pub async fn seals_of(&self, events: u64) -> Vec<Seal> {
        let items = self.store.subscribe_all(None);
        pin_mut!(items);
        let reading = async {
            let mut seals: Vec<Seal> = Vec::new();
            while seals.last().is_none_or(|seal| seal.size < events) {
                let Some(SubscriptionItem::Event(event)) = items.next().await else { continue };
                if is_of_seals(&event.stream) && event.event_type == SEAL_TYPE {
                    // Somebody may have written what is none.
                    seals.extend(serde_json::from_slice::<Seal>(&event.data).ok().filter(is_signed));
                }
            }
            seals
        };
        tokio::time::timeout(DEADLINE, reading).await.expect("it is sealed in time")
    }

    pub async fn verified(&self, keys: &[&SealingKey]) -> Outcome {
        let mut verifier = Verifier::new(keys.iter().map(|key| key.public()).collect());
        let records = self.store.read_log(None);
        pin_mut!(records);
        while let Some(record) = records.try_next().await.unwrap() {
            verifier.add(&found_raw(&record));
        }
        verifier.finish()
    }
}

fn is_signed(seal: &Seal) -> bool {
    let known = [key(1).public(), key(2).public()].into_iter().collect();
    seal.check(&known).is_ok()
}

/// What another consumer keeps for itself.
const FULFILMENT: OwnForm = OwnForm {
    stream: "process-order_fulfilment",
    is_ours: |event| event.event_type == "process.checkpoint_recorded.v1",
};

/// A sealing process on a machine of its own.
pub struct Machine {
    stop: CancellationToken,
    health: Health,
    task: JoinHandle<Result<(), CannotSeal>>,
}

pub fn key(byte: u8) -> SealingKey {
    SealingKey::from_bytes(&[byte; 32])
}

fn pace(events: usize) -> Pace {
    Pace { every: NEVER, events }
}

impl Machine {
    fn start(history: &History, config: SealingConfig) -> Self {
        Self::start_as(history, config, |runner| runner)
    }

    fn start_as(
        history: &History,
        config: SealingConfig,
        change: impl FnOnce(SealingRunner) -> SealingRunner,
    ) -> Self {
        let store = EventStore::connect(&history.server.connection_string()).unwrap();
        let (health, figures) = (Health::default(), Figures::default());
        figures.register(health.metrics());
        let runner = SealingRunner::new(store, config, health.clone(), figures);
        let runner = change(runner.watching_over(vec![FULFILMENT]));
        let stop = CancellationToken::new();
        Self { task: tokio::spawn(runner.run(stop.clone())), stop, health }
    }

    pub fn sealing_every(history: &History, events: usize) -> Self {
        let config = SealingConfig { key: key(1), retired_keys: vec![], pace: pace(events) };
        Self::start(history, config)
    }

    /// `/readyz` or `/metrics`, as one who runs the shop reads it.
    async fn page(&self, path: &str) -> String {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = self.health.open_routes().oneshot(request).await.unwrap();
        let page = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(page.to_vec()).unwrap()
    }

    pub async fn stop(self) -> Result<(), CannotSeal> {
        self.stop.cancel();
        tokio::time::timeout(DEADLINE, self.task).await.expect("it stops in time").unwrap()
    }

    /// As a kill would: nothing more is done.
    pub async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }

    async fn ends(self) -> CannotSeal {
        let ended = tokio::time::timeout(DEADLINE, self.task).await.expect("it ends in time");
        ended.unwrap().expect_err("it must not seal")
    }
}

/// An event without metadata.
fn raw(event_type: &str, data: &[u8]) -> RawEvent {
    RawEvent {
        id: Uuid::new_v4(),
        event_type: event_type.to_owned(),
        is_json: true,
        data: Bytes::copy_from_slice(data),
        metadata: Bytes::new(),
    }
}

/// How many events each covers.
fn sizes(seals: &[Seal]) -> Vec<u64> {
    seals.iter().map(|seal| seal.size).collect()
}
