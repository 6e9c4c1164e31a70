//! A store of its own for each test, and the official client.

use std::time::Duration;

use embedded_event_store::{Config, EmbeddedEventStore};
use eventstore::{
    AppendToStreamOptions, Client, ClientSettings, EventData, Position, ReadStream, ResolvedEvent,
    StreamState, Subscription, SubscriptionEvent, WriteResult,
};
use serde_json::json;
use tempfile::TempDir;
use uuid::Uuid;

/// A running store, a client, and the folder that goes away with them.
pub struct Running {
    pub client: Client,
    pub store: EmbeddedEventStore,
    pub folder: TempDir,
}

pub async fn start() -> Running {
    start_in(tempfile::tempdir().unwrap()).await
}

pub async fn start_in(folder: TempDir) -> Running {
    let store = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
    Running { client: client(&store), store, folder }
}

impl Running {
    /// Stops the store and starts another on the same folder.
    pub async fn restart(self) -> Running {
        let Running { client, store, folder } = self;
        drop(client);
        store.stop().await;
        start_in(folder).await
    }
}

pub fn client(store: &EmbeddedEventStore) -> Client {
    let settings: ClientSettings = store.connection_string().parse().unwrap();
    Client::new(settings).unwrap()
}

/// Waits for something that must happen soon.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), what).await.expect("it must happen within the deadline")
}

pub fn event(event_type: &str, n: u64) -> EventData {
    EventData::json(event_type, &json!({ "n": n })).unwrap().id(Uuid::new_v4())
}

pub fn events(count: u64) -> Vec<EventData> {
    (0..count).map(|n| event("counted.v1", n)).collect()
}

pub fn expecting(state: StreamState) -> AppendToStreamOptions {
    AppendToStreamOptions::default().stream_state(state)
}

/// Appends whatever the stream's state is.
pub async fn append(client: &Client, stream: &str, events: Vec<EventData>) -> WriteResult {
    client.append_to_stream(stream, &expecting(StreamState::Any), events).await.unwrap()
}

pub fn at(position: Position) -> (u64, u64) {
    (position.commit, position.prepare)
}

pub async fn all_of(mut read: ReadStream) -> Vec<ResolvedEvent> {
    let mut events = Vec::new();
    while let Some(event) = read.next().await.unwrap() {
        events.push(event);
    }
    events
}

pub fn revisions(events: &[ResolvedEvent]) -> Vec<u64> {
    events.iter().map(|e| e.get_original_event().revision).collect()
}

pub fn positions(events: &[ResolvedEvent]) -> Vec<u64> {
    events.iter().map(|e| e.get_original_event().position.commit).collect()
}

/// The next message of a subscription.
pub async fn next(subscription: &mut Subscription) -> SubscriptionEvent {
    soon(subscription.next_subscription_event()).await.unwrap()
}

/// Checks the first message of a subscription.
pub async fn confirmed(subscription: &mut Subscription) {
    assert!(matches!(next(subscription).await, SubscriptionEvent::Confirmed(_)));
}
