//! The server that is judged: the one that `EVENT_STORE_URL` names, or else an embedded one for each test, behind a plain
//! TCP relay, which acknowledges as late as a real server does.

use std::time::Duration;

use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::EventStore;
use eventstore::{
    AppendToStreamOptions, Client, Error, EventData, ReadStream, ResolvedEvent, StreamState, WriteResult,
};
use futures::{Stream, StreamExt};
use serde_json::json;
use tcp_relay::Relay;
use tempfile::TempDir;
use uuid::Uuid;

/// A server, our module and the official client.
pub struct Target {
    /// Where it answers.
    pub url: String,
    pub store: EventStore,
    pub client: Client,
    _embedded: Option<(EmbeddedEventStore, Relay, TempDir)>,
}

pub async fn target() -> Target {
    match std::env::var("EVENT_STORE_URL") {
        Ok(url) => Target::at(&url, None),
        Err(_) => {
            let folder = tempfile::tempdir().unwrap();
            let embedded = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
            let relay = Relay::to(embedded.address()).unwrap();
            let url = format!("esdb://{}?tls=false", relay.address());
            Target::at(&url, Some((embedded, relay, folder)))
        }
    }
}

impl Target {
    fn at(url: &str, embedded: Option<(EmbeddedEventStore, Relay, TempDir)>) -> Self {
        let client = Client::new(url.parse().unwrap()).unwrap();
        let store = EventStore::connect(url).unwrap();
        Target { url: url.to_owned(), store, client, _embedded: embedded }
    }

    /// Appends with the official client, whatever the stream's state is.
    pub async fn append(&self, stream: &str, events: Vec<EventData>) -> WriteResult {
        self.append_if(stream, StreamState::Any, events).await.unwrap()
    }

    pub async fn append_if(
        &self,
        stream: &str,
        state: StreamState,
        events: Vec<EventData>,
    ) -> Result<WriteResult, Error> {
        let options = AppendToStreamOptions::default().stream_state(state);
        soon(self.client.append_to_stream(stream, &options, events)).await
    }

    /// How many events of the stream are to be seen.
    pub async fn length(&self, stream: &str) -> usize {
        all(self.store.read_stream(stream, 0, usize::MAX)).await.len()
    }
}

/// Waits for something that must happen soon.
#[track_caller]
pub fn soon<T>(what: impl Future<Output = T>) -> impl Future<Output = T> {
    let caller = std::panic::Location::caller();
    async move {
        let answer = tokio::time::timeout(Duration::from_secs(30), what).await;
        answer.unwrap_or_else(|_| panic!("what {caller} waits for did not happen within the deadline"))
    }
}

/// A name that no other test and no other run uses.
pub fn fresh(category: &str) -> String {
    format!("{category}-{}", Uuid::new_v4())
}

/// A category of its own: `c` and a number, without a `-`.
pub fn fresh_category() -> String {
    format!("c{}", Uuid::new_v4().simple())
}

pub fn event(event_type: &str, n: u64) -> EventData {
    EventData::json(event_type, &json!({ "n": n })).unwrap().id(Uuid::new_v4())
}

pub fn events(count: u64) -> Vec<EventData> {
    (0..count).map(|n| event("counted.v1", n)).collect()
}

/// All that a read of our module brings.
pub async fn all<T, E: std::fmt::Debug>(read: impl Stream<Item = Result<T, E>>) -> Vec<T> {
    soon(read.map(Result::unwrap).collect()).await
}

/// All that a read of the official client brings.
pub async fn all_of(mut read: ReadStream) -> Result<Vec<ResolvedEvent>, Error> {
    let mut events = Vec::new();
    while let Some(event) = soon(read.next()).await? {
        events.push(event);
    }
    Ok(events)
}

pub fn revisions(events: &[ResolvedEvent]) -> Vec<u64> {
    events.iter().map(|event| event.get_original_event().revision).collect()
}

/// The number of the gRPC status, when that is all the client makes of an error.
#[track_caller]
pub fn status<T: std::fmt::Debug>(answer: Result<T, Error>) -> i32 {
    match answer {
        Err(Error::Grpc { code, .. }) => code as i32,
        other => panic!("a bare gRPC status was expected: {other:?}"),
    }
}

pub const INVALID_ARGUMENT: i32 = 3;
pub const RESOURCE_EXHAUSTED: i32 = 8;
pub const FAILED_PRECONDITION: i32 = 9;
