//! Carts and orders, event by event.
//!
//! A listener first reads the thing's stream and then takes what comes; one that is too slow for what comes reads on in
//! the stream, so nothing is lost, nothing comes twice, and nobody waits for the slowest.

use super::log::{Log, NotFollowed, Place};
use async_stream::try_stream;
use domain::Aggregate;
use domain::stored::{COMMAND_NOTED, StoredEvent, UnreadableEvent};
use event_store::{EVENT_SKIPPED, EventStore, EventStoreError, Position, RecordedEvent, Skips};
use futures::{Stream, StreamExt, TryStreamExt, pin_mut};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use thiserror::Error;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// Events of one stream that wait for its slowest listener; one that is further behind reads them from the stream.
const WAITING: usize = 32;
/// The name of the event that tells how a thing stands, for those who come without having seen it.
pub const CURRENT: &str = "current";

/// What can be watched event by event.
pub trait Told: Aggregate {
    type Id: Copy + Display + Send + Sync + 'static;
    /// How it stands, for programs.
    type View: Serialize + Send;

    fn view(&self, id: Self::Id) -> Self::View;

    /// How it stands, for people, in a few words.
    fn standing(&self) -> String;
}

/// What happened, and how the thing stands then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment<V> {
    /// The event's type, or `current`.
    #[serde(skip)]
    pub name: String,
    /// The event's place in the log.
    pub position: Position,
    pub revision: u64,
    #[serde(flatten)]
    pub view: V,
    /// One line for people.
    pub summary: String,
}

/// Why a listener hears no more; one that comes back goes on where it was.
#[derive(Debug, Error)]
pub enum BrokenOff {
    #[error(transparent)]
    Store(#[from] EventStoreError),
    #[error("an event cannot be read")]
    Unreadable(#[from] UnreadableEvent),
}

/// The streams that somebody watches. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Events {
    log: Log,
    followed: Arc<Followed>,
}

/// Those who watch each stream.
type Followed = Mutex<HashMap<String, broadcast::Sender<Arc<RecordedEvent>>>>;

impl Events {
    /// Nobody watches yet.
    #[must_use]
    pub fn new(log: Log) -> Self {
        let followed = Arc::<Followed>::default();
        let told = Arc::clone(&followed);
        log.hand_to(move |event| {
            if let Some(listeners) = lock(&told).get(&event.stream) {
                // They may just have gone.
                let _ = listeners.send(Arc::clone(event));
            }
        });
        Self { log, followed }
    }

    /// The thing from now on: how it stands, and then each event as it happens. Or, for those who have heard what was
    /// up to a position, each event after it.
    ///
    /// # Errors
    /// When there is no such thing, when too many watch, or when the store does not answer.
    pub async fn follow<T: Told>(
        &self,
        id: T::Id,
        after: Option<Position>,
    ) -> Result<impl Stream<Item = Result<Moment<T::View>, BrokenOff>> + Send + use<T>, NotFollowed> {
        let mut seen = Seen::<T>::nothing(id);
        let mut listener = self.join(seen.stream.clone())?;
        // What happens from now on is handed on; what happened before is in the stream, which is read after this.
        listener.place.is_on().await?;
        let store = self.log.store();
        let past = store.read_stream(&seen.stream, 0, usize::MAX).try_collect::<Vec<_>>().await?;
        if past.is_empty() {
            return Err(NotFollowed::Unknown);
        }
        Ok(moments(store.clone(), listener, seen.take_past(&past, after), seen))
    }

    fn join(&self, stream: String) -> Result<Listener, NotFollowed> {
        let place = self.log.join()?;
        let mut followed = lock(&self.followed);
        let listeners = followed.entry(stream.clone()).or_insert_with(|| broadcast::Sender::new(WAITING));
        let events = Some(listeners.subscribe());
        drop(followed);
        Ok(Listener { stream, events, followed: Arc::clone(&self.followed), place })
    }
}

fn lock(followed: &Followed) -> MutexGuard<'_, HashMap<String, broadcast::Sender<Arc<RecordedEvent>>>> {
    // Nothing panics while it holds the lock.
    followed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One who listens; when it goes, its stream may be watched by nobody.
struct Listener {
    stream: String,
    events: Option<broadcast::Receiver<Arc<RecordedEvent>>>,
    followed: Arc<Followed>,
    place: Place,
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.events = None;
        let mut followed = lock(&self.followed);
        if followed.get(&self.stream).is_some_and(|listeners| listeners.receiver_count() == 0) {
            followed.remove(&self.stream);
        }
    }
}

/// The thing up to the last event that the listener has seen.
struct Seen<T: Told> {
    id: T::Id,
    stream: String,
    state: T,
    next_revision: u64,
    /// Events that cannot be read and that the operator has had passed over.
    skips: Skips,
}

impl<T: Told> Seen<T> {
    fn nothing(id: T::Id) -> Self {
        let (stream, skips) = (format!("{}-{id}", T::CATEGORY), Skips::default());
        Self { id, stream, state: T::default(), next_revision: 0, skips }
    }

    /// Takes the stream's next event in. Gives whether anything is to be told of it.
    fn take(&mut self, event: &RecordedEvent) -> Result<bool, UnreadableEvent> {
        self.next_revision = event.revision + 1;
        if [COMMAND_NOTED, EVENT_SKIPPED].contains(&event.event_type.as_str()) || self.skips.has(event) {
            return Ok(false);
        }
        let fact = T::Event::read(&event.event_type, &event.data)?;
        self.state = std::mem::take(&mut self.state).evolve(&fact);
        Ok(true)
    }

    /// What a listener is told of the past: how the thing stands, or what it has not seen.
    fn take_past(
        &mut self,
        past: &[RecordedEvent],
        after: Option<Position>,
    ) -> Result<Vec<Moment<T::View>>, UnreadableEvent> {
        let mut missed = Vec::new();
        past.iter().for_each(|event| self.skips.add(event));
        for event in past {
            if self.take(event)? && after.is_some_and(|after| after < event.position) {
                missed.push(self.moment(event, &event.event_type));
            }
        }
        match (after, past.last()) {
            (None, Some(last)) => Ok(vec![self.moment(last, CURRENT)]),
            _ => Ok(missed),
        }
    }

    fn moment(&self, event: &RecordedEvent, name: &str) -> Moment<T::View> {
        let what = name.split('.').nth(1).map_or("now".to_owned(), |fact| fact.replace('_', " "));
        Moment {
            name: name.to_owned(),
            position: event.position,
            revision: event.revision,
            view: self.state.view(self.id),
            summary: format!("{what}: {}", self.state.standing()),
        }
    }
}

fn moments<T: Told>(
    store: EventStore,
    mut listener: Listener,
    past: Result<Vec<Moment<T::View>>, UnreadableEvent>,
    mut seen: Seen<T>,
) -> impl Stream<Item = Result<Moment<T::View>, BrokenOff>> + Send {
    try_stream! {
        for moment in past? {
            yield moment;
        }
        loop {
            let Some(events) = &mut listener.events else { return };
            let is_whole = match events.recv().await {
                Ok(event) if event.revision < seen.next_revision => true,
                Ok(event) if event.revision == seen.next_revision => {
                    if seen.take(&event)? {
                        yield seen.moment(&event, &event.event_type);
                    }
                    true
                }
                Ok(_) | Err(RecvError::Lagged(_)) => false,
                Err(RecvError::Closed) => return,
            };
            if !is_whole {
                let missed = store.read_stream(&seen.stream, seen.next_revision, usize::MAX);
                pin_mut!(missed);
                while let Some(event) = missed.next().await {
                    let event = event?;
                    if seen.take(&event)? {
                        yield seen.moment(&event, &event.event_type);
                    }
                }
            }
        }
    }
}
