//! How far behind the log order fulfilment reads. Who buys waits as long for their stock, so a process that is far behind
//! is not ready.

use chrono::Utc;
use clap::Args;
use event_store::{EventStore, Lag, Position};
use futures::FutureExt;
use http_boundary::{Finding, Health};
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Its name in `/readyz`.
const PART: &str = "order-fulfilment: lag";
/// How long the event store may take to say how far the log goes.
const WITHIN: Duration = Duration::from_secs(2);
/// For so long the last answer is given again, however many ask.
const KNOWN_FOR: Duration = Duration::from_secs(1);

/// When order fulfilment counts as ready.
#[derive(Debug, Clone, Args)]
pub struct FulfilmentArgs {
    /// How many seconds order fulfilment may be behind the log and still be ready
    #[arg(long, env = "EMPORIUM_FULFILMENT_BEHIND_SECONDS", default_value_t = 30, value_name = "SECONDS")]
    pub fulfilment_behind_seconds: u32,
}

impl Default for FulfilmentArgs {
    fn default() -> Self {
        Self { fulfilment_behind_seconds: 30 }
    }
}

/// Where order fulfilment reads the log. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Reading {
    shared: Arc<Shared>,
}

struct Shared {
    store: EventStore,
    at_most: i64,
    place: Mutex<Place>,
    known: tokio::sync::Mutex<Option<(Instant, Known)>>,
    events: Gauge,
    seconds: Gauge,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// It is not this process's turn.
    Elsewhere,
    /// Everything up to here is read.
    Here(Option<Position>),
}

#[derive(Debug, Clone, Copy)]
enum Known {
    Elsewhere,
    Behind(Lag),
    /// The event store does not say.
    Unknown,
}

impl Reading {
    /// It has not begun.
    #[must_use]
    pub fn new(store: EventStore, args: &FulfilmentArgs) -> Self {
        let shared = Shared {
            store,
            at_most: i64::from(args.fulfilment_behind_seconds),
            place: Mutex::new(Place::Elsewhere),
            known: tokio::sync::Mutex::default(),
            events: Gauge::default(),
            seconds: Gauge::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Tells `/readyz` and `/metrics` of it.
    pub fn report(&self, health: &Health) {
        let reading = self.clone();
        health.ask(PART, move || {
            let reading = reading.clone();
            async move { reading.finding().await }.boxed()
        });
        health.metrics().register(|registry| {
            let registry = registry.sub_registry_with_prefix("fulfilment");
            let events = "Events of the log that order fulfilment has not read yet";
            registry.register("lag_events", events, self.shared.events.clone());
            let seconds = "Age of the oldest event that order fulfilment has not read yet";
            registry.register("lag_seconds", seconds, self.shared.seconds.clone());
        });
        let reading = self.clone();
        health.metrics().refresh(move || {
            let reading = reading.clone();
            async move {
                reading.look().await;
            }
            .boxed()
        });
    }

    /// It reads on after this place.
    pub(super) fn begins(&self, after: Option<Position>) {
        self.set(Place::Here(after));
    }

    /// Everything up to here is read.
    pub(super) fn reaches(&self, position: Position) {
        self.set(Place::Here(Some(position)));
    }

    /// It is not this process's turn any more.
    pub(super) fn ends(&self) {
        self.set(Place::Elsewhere);
    }

    async fn finding(&self) -> Finding {
        let (ready, detail) = match self.look().await {
            Known::Elsewhere => (true, json!({ "how": "it reads nothing: it is not this process's turn" })),
            Known::Unknown => (true, json!({ "how": "the event store does not say how far the log goes" })),
            Known::Behind(lag) => (self.is_near(lag), detail(lag)),
        };
        Finding { ready, detail }
    }

    fn is_near(&self, lag: Lag) -> bool {
        lag.seconds <= self.shared.at_most
    }

    async fn look(&self) -> Known {
        let mut last = self.shared.known.lock().await;
        if let Some((_, known)) = last.filter(|(at, _)| at.elapsed() < KNOWN_FOR) {
            return known;
        }
        let known = self.look_now().await;
        let lag = if let Known::Behind(lag) = known { lag } else { Lag::NONE };
        self.shared.events.set(i64::try_from(lag.events).unwrap_or(i64::MAX));
        self.shared.seconds.set(lag.seconds);
        *last = Some((Instant::now(), known));
        known
    }

    async fn look_now(&self) -> Known {
        let place = *self.shared.place.lock().unwrap_or_else(PoisonError::into_inner);
        let Place::Here(reached) = place else { return Known::Elsewhere };
        let store = &self.shared.store;
        let lag = async { store.lag(reached, store.head().await?, Utc::now()).await };
        match tokio::time::timeout(WITHIN, lag).await {
            Ok(Ok(lag)) => Known::Behind(lag),
            Ok(Err(_)) | Err(_) => Known::Unknown,
        }
    }

    fn set(&self, place: Place) {
        *self.shared.place.lock().unwrap_or_else(PoisonError::into_inner) = place;
    }
}

fn detail(lag: Lag) -> Value {
    json!({ "events": lag.events, "is_estimate": lag.is_estimate, "seconds": lag.seconds })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use embedded_event_store::{Config, EmbeddedEventStore};
    use event_store::{ExpectedRevision, NewEvent};
    use tower::ServiceExt;
    use uuid::Uuid;

    const DEADLINE: Duration = Duration::from_secs(30);

    /// Three events in a log of their own; where the last of them is.
    async fn three_events() -> (tempfile::TempDir, EmbeddedEventStore, EventStore, Position) {
        let folder = tempfile::tempdir().unwrap();
        let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
        let store = EventStore::connect(&server.connection_string()).unwrap();
        let id = Uuid::new_v4;
        let event = || NewEvent { id: id(), event_type: "x.v1", data: b"{}".into(), metadata: b"{}".into() };
        let events = vec![event(), event(), event()];
        let end = store.append("x-1", ExpectedRevision::NoStream, events).await.unwrap().position;
        (folder, server, store, end)
    }

    /// What those who run the shop read there.
    async fn page(health: &Health, path: &str) -> (StatusCode, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = health.open_routes().oneshot(request).await.unwrap();
        let status = answer.status();
        let page = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(page.to_vec()).unwrap())
    }

    /// What `/readyz` says of the lag, once it has this status.
    async fn lag_when(health: &Health, wanted: StatusCode) -> Value {
        let asking = async {
            loop {
                let (status, body) = page(health, "/readyz").await;
                if status == wanted {
                    return serde_json::from_str::<Value>(&body).unwrap()["parts"][PART].take();
                }
            }
        };
        tokio::time::timeout(DEADLINE, asking).await.expect("it has that status in time")
    }

    async fn figure(health: &Health, name: &str) -> i64 {
        let (_, metrics) = page(health, "/metrics").await;
        let line = metrics.lines().find(|line| line.starts_with(&format!("emporium_fulfilment_{name} ")));
        line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    #[tokio::test]
    async fn the_process_is_not_ready_while_fulfilment_is_far_behind_and_the_figures_say_how_far() {
        let (_folder, server, store, end) = three_events().await;
        let args = FulfilmentArgs { fulfilment_behind_seconds: 0 };
        let (reading, health) = (Reading::new(store, &args), Health::default());
        reading.report(&health);
        reading.begins(None);
        // The events need a second to be as old as that.
        let behind = lag_when(&health, StatusCode::SERVICE_UNAVAILABLE).await;
        assert_eq!((&behind["ready"], &behind["detail"]["events"]), (&json!(false), &json!(3)), "{behind}");
        assert!(behind["detail"]["seconds"].as_i64() >= Some(1), "{behind}");
        assert_eq!(figure(&health, "lag_events").await, 3);
        assert!(figure(&health, "lag_seconds").await >= 1);

        reading.reaches(end);
        let near = lag_when(&health, StatusCode::OK).await;
        assert_eq!((&near["ready"], &near["detail"]["events"]), (&json!(true), &json!(0)), "{near}");
        assert_eq!((figure(&health, "lag_events").await, figure(&health, "lag_seconds").await), (0, 0));
        server.stop().await;
    }

    #[tokio::test]
    async fn it_is_ready_only_when_it_is_near_the_end_of_the_log() {
        let (_folder, server, store, end) = three_events().await;
        let reading = Reading::new(store.clone(), &FulfilmentArgs::default());
        assert!(matches!(reading.look_now().await, Known::Elsewhere));
        reading.begins(None);
        let Known::Behind(lag) = reading.look_now().await else { panic!("it reads") };
        assert_eq!((lag.events, reading.is_near(lag)), (3, true));
        assert!(!reading.is_near(Lag { seconds: 31, ..lag }));
        reading.reaches(end);
        let finding = reading.finding().await;
        assert_eq!((finding.ready, finding.detail), (true, detail(Lag::NONE)));
        server.stop().await;
    }
}
