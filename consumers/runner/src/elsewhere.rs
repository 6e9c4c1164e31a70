//! Work that another process does, as this one sees it.
//!
//! Of all processes the one that holds a lock works. Somebody may hold it who does not: a process that hangs, or a stranger
//! with the event store's password. Then nobody works, and those that wait for their turn would go on saying that another
//! process does. So they look whether what the work leaves in the event store still moves.

use chrono::{DateTime, TimeDelta, Utc};
use event_store::{EventStore, EventStoreError, Position, RecordedEvent};
use futures::TryStreamExt;
use http_boundary::Health;
use prometheus_client::metrics::gauge::Gauge;
use std::convert::Infallible;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What `/readyz` says while it is not this process that works.
const ELSEWHERE: &str = "another process runs it";
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long the event store may take for a look.
const WITHIN: Duration = Duration::from_secs(5);
/// So many events are looked through at once for one that is work.
const EVENTS_OF_A_LOOK: usize = 1_000;
/// So many events of the work's stream are looked through for one that says how far the work is: others may have written
/// there.
const TRACES_OF_A_LOOK: usize = 100;
/// For so long this process must have seen the same: one that begins after an outage finds much undone.
const SEEN_FOR: Duration = Duration::from_secs(60);

/// What an event says.
type Says<T> = Box<dyn Fn(&RecordedEvent) -> T + Send + Sync>;

/// A kind of work, and what it leaves in the event store.
pub struct Work {
    /// Its name in `/readyz`.
    pub part: &'static str,
    /// Its lock.
    pub lock: &'static str,
    /// The name of its figure in `/metrics`.
    pub figure: &'static str,
    /// The stream in which it says how far it is.
    pub stream: &'static str,
    /// How far it is, by an event of that stream; none if the event does not say.
    pub reached: Says<Option<Reached>>,
    /// Whether there is something to do for an event.
    pub is_work: Says<bool>,
    /// How long an event may wait.
    pub patience: Duration,
}

/// How far work is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reached {
    /// Everything up to here is done.
    pub position: Option<Position>,
    /// So many events of the log may come after it before it has to be said again.
    pub events: u64,
}

/// Watches work while another process has the turn.
pub struct Elsewhere {
    store: EventStore,
    health: Health,
    work: Work,
    /// Whether the lock was held by another process when it was last asked for.
    held: watch::Sender<bool>,
    seen: Mutex<Option<Seen>>,
    stands_still: AtomicBool,
    figure: Gauge,
}

/// What was seen at the last look.
#[derive(Debug, Clone, Copy)]
struct Seen {
    reached: Option<Position>,
    /// Since when it has not moved, as far as this process knows.
    since: Instant,
    /// When the first event after it was recorded that is work.
    waits_since: Option<DateTime<Utc>>,
    /// No event up to here is work.
    looked_up_to: Option<Position>,
}

impl Elsewhere {
    /// Nothing was seen yet. Registers its figure.
    pub fn new(store: EventStore, health: &Health, work: Work) -> Self {
        let figure = Gauge::default();
        let help = "How long work has waited that another process has the turn for and does not do";
        health.metrics().register(|registry| registry.register(work.figure, help, figure.clone()));
        let held = watch::Sender::new(false);
        let (seen, stands_still) = (Mutex::default(), AtomicBool::new(false));
        Self { store, health: health.clone(), work, held, seen, stands_still, figure }
    }

    /// Says at once that another process does not work.
    #[must_use]
    pub fn without_patience(self) -> Self {
        Self { work: Work { patience: Duration::ZERO, ..self.work }, ..self }
    }

    /// Another process has the turn.
    pub fn is_held(&self) {
        if !self.stands_still.load(Ordering::Relaxed) {
            self.health.is_well_so(self.work.part, ELSEWHERE);
        }
        self.held.send_replace(true);
    }

    /// Who has the turn is not known, or this process has it.
    pub fn is_not_held(&self) {
        self.held.send_replace(false);
        self.stands_still.store(false, Ordering::Relaxed);
        self.figure.set(0);
        *self.seen() = None;
    }

    /// Looks now and then, while another process has the turn.
    pub async fn watch(&self) -> Infallible {
        let mut held = self.held.subscribe();
        loop {
            // The sender lives as long as this.
            if held.wait_for(|held| *held).await.is_ok() {
                match tokio::time::timeout(WITHIN, self.look()).await {
                    Ok(Ok(waits)) if *self.held.borrow() => self.tell(waits),
                    Ok(Ok(_)) => {}
                    Ok(Err(error)) => tracing::debug!(part = self.work.part, %error, "it is looked again"),
                    Err(_) => tracing::debug!(part = self.work.part, "it is looked again: no answer in time"),
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    fn tell(&self, waits: Option<TimeDelta>) {
        let (part, lock) = (self.work.part, self.work.lock);
        let before = self.stands_still.swap(waits.is_some(), Ordering::Relaxed);
        let seconds = waits.map_or(0, |waits| waits.num_seconds());
        self.figure.set(seconds);
        let Some(_) = waits else {
            if before {
                tracing::info!(part, "the process that has the turn works again");
                self.health.is_well_so(part, ELSEWHERE);
            }
            return;
        };
        let why = format!(
            "another process has the turn and does not work: something has waited for {seconds} s. Look for a process \
             that hangs, or for a stranger in the event store who holds `lock-{lock}`: end its connection, and change the \
             password"
        );
        if !before {
            tracing::error!(part, why, "work stands still");
        }
        self.health.is_well_so(part, why);
    }

    /// How long an event has waited for the work, if it stands still.
    async fn look(&self) -> Result<Option<TimeDelta>, EventStoreError> {
        let reached = self.reached().await?;
        let before = (*self.seen()).filter(|seen| seen.reached == reached.position);
        let mut seen = before.unwrap_or_else(|| Seen {
            reached: reached.position,
            since: Instant::now(),
            waits_since: None,
            looked_up_to: reached.position,
        });
        if seen.waits_since.is_none() {
            self.look_for_work(&mut seen).await?;
        }
        *self.seen() = Some(seen);
        let Some(waits_since) = seen.waits_since else { return Ok(None) };
        let waits = Utc::now() - waits_since;
        let patience = self.work.patience;
        let is_late = waits.to_std().unwrap_or_default() >= patience
            && seen.since.elapsed() >= patience.min(SEEN_FOR)
            && self.is_due(reached).await?;
        Ok(is_late.then_some(waits))
    }

    async fn reached(&self) -> Result<Reached, EventStoreError> {
        let stream = self.store.own_stream(self.work.stream).await?;
        let mut traces = pin!(self.store.read_stream_backwards(stream.name(), None, TRACES_OF_A_LOOK));
        while let Some(trace) = traces.try_next().await? {
            if let Some(reached) = (self.work.reached)(&trace) {
                return Ok(reached);
            }
        }
        Ok(Reached::default())
    }

    async fn look_for_work(&self, seen: &mut Seen) -> Result<(), EventStoreError> {
        let mut events = pin!(self.store.read_all(seen.looked_up_to, EVENTS_OF_A_LOOK));
        while let Some(event) = events.try_next().await? {
            if Some(event.position) <= seen.looked_up_to {
                continue;
            }
            if (self.work.is_work)(&event) {
                seen.waits_since = Some(event.recorded_at);
                break;
            }
            seen.looked_up_to = Some(event.position);
        }
        Ok(())
    }

    /// Whether so much has come since that it must have moved.
    async fn is_due(&self, reached: Reached) -> Result<bool, EventStoreError> {
        if reached.events == 0 {
            return Ok(true);
        }
        let head = self.store.head().await?;
        let lag = self.store.lag(reached.position, head, Utc::now()).await?;
        Ok(lag.events >= reached.events)
    }

    fn seen(&self) -> MutexGuard<'_, Option<Seen>> {
        // Nothing panics while it holds the lock.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use embedded_event_store::{Config, EmbeddedEventStore};
    use event_store::{ExpectedRevision, RawEvent};
    use uuid::Uuid;

    /// Digs holes for `garden` and says so in `dug`.
    struct Garden {
        server: EmbeddedEventStore,
        store: EventStore,
        _folder: tempfile::TempDir,
    }

    impl Garden {
        async fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
            let store = EventStore::connect(&server.connection_string()).unwrap();
            Self { server, store, _folder: folder }
        }

        /// As the event of this number of the stream.
        async fn append(&self, stream: &str, number: u64, data: String) -> Position {
            let event = RawEvent {
                id: Uuid::new_v4(),
                event_type: "x.v1".to_owned(),
                is_json: true,
                data: data.into(),
                metadata: "{}".into(),
            };
            let expected = number.checked_sub(1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
            self.store.append_raw(stream, expected, vec![event]).await.unwrap().position
        }

        fn elsewhere(&self, patience: Duration, events: u64) -> Elsewhere {
            let reached = move |event: &RecordedEvent| {
                let position = std::str::from_utf8(&event.data).ok()?.parse().ok()?;
                Some(Reached { position: Some(position), events })
            };
            let work = Work {
                part: "digging",
                lock: "digging",
                figure: "digging_standstill_seconds",
                stream: "dug",
                reached: Box::new(reached),
                is_work: Box::new(|event| event.category() == "garden"),
                patience,
            };
            Elsewhere::new(self.store.clone(), &Health::default(), work)
        }
    }

    #[tokio::test]
    async fn work_that_waits_while_nothing_moves_stands_still() {
        let garden = Garden::open().await;
        let elsewhere = garden.elsewhere(Duration::ZERO, 0);
        let patient = garden.elsewhere(Duration::from_secs(600), 0);
        garden.append("house-1", 0, "{}".to_owned()).await;
        assert_eq!(elsewhere.look().await.unwrap(), None);
        let hole = garden.append("garden-1", 0, "{}".to_owned()).await;
        assert!(elsewhere.look().await.unwrap().is_some());
        assert_eq!(patient.look().await.unwrap(), None);
        garden.append("dug", 0, hole.value().to_string()).await;
        garden.append("dug", 1, "a stranger's".to_owned()).await;
        assert_eq!(elsewhere.look().await.unwrap(), None);
        garden.append("garden-2", 0, "{}".to_owned()).await;
        assert!(elsewhere.look().await.unwrap().is_some());
        garden.server.stop().await;
    }

    #[tokio::test]
    async fn what_has_much_to_say_may_wait_for_as_much_to_come() {
        let garden = Garden::open().await;
        let elsewhere = garden.elsewhere(Duration::ZERO, 4);
        let hole = garden.append("garden-1", 0, "{}".to_owned()).await;
        garden.append("dug", 0, hole.value().to_string()).await;
        garden.append("garden-2", 0, "{}".to_owned()).await;
        assert_eq!(elsewhere.look().await.unwrap(), None);
        garden.append("garden-3", 0, "{}".to_owned()).await;
        garden.append("garden-4", 0, "{}".to_owned()).await;
        assert!(elsewhere.look().await.unwrap().is_some());
        garden.server.stop().await;
    }

    #[tokio::test]
    async fn it_is_told_once_and_taken_back() {
        let garden = Garden::open().await;
        let elsewhere = garden.elsewhere(Duration::ZERO, 0);
        let said = async || {
            let page = elsewhere.health.open_routes();
            let request = axum::http::Request::get("/readyz").body(axum::body::Body::empty()).unwrap();
            let answer = tower::ServiceExt::oneshot(page, request).await.unwrap();
            let page = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
            let page: serde_json::Value = serde_json::from_slice(&page).unwrap();
            assert_eq!(page["parts"]["digging"]["ready"], true, "{page}");
            page["parts"]["digging"]["how"].as_str().unwrap().to_owned()
        };
        elsewhere.is_held();
        assert_eq!(said().await, ELSEWHERE);
        elsewhere.tell(Some(TimeDelta::seconds(90)));
        elsewhere.is_held();
        assert!(said().await.contains("waited for 90 s"));
        assert_eq!(elsewhere.figure.get(), 90);
        elsewhere.tell(None);
        assert_eq!((said().await.as_str(), elsewhere.figure.get()), (ELSEWHERE, 0));
        garden.server.stop().await;
    }
}
