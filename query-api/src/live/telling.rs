//! The streams that somebody watches, each folded once.

use super::replay::Replays;
use super::told::{BrokenOff, Moment, Seen, Told};
use crate::asker::Asker;
use event_store::{EventStore, RecordedEvent};
use futures::{TryStreamExt, pin_mut};
use http_boundary::process::with_causes;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

/// Events of one stream that wait for being told, and moments that wait for its slowest listener; one that is further
/// behind reads the stream.
const WAITING: usize = 32;

/// How a thing stands, as far as it is known here.
#[derive(Debug, Clone)]
pub(super) enum Stands {
    NotYet,
    /// It cannot be read.
    BrokenOff,
    At(Arc<Moment>),
}

/// What is watched, by the names of the streams.
#[derive(Default)]
pub(super) struct Topics(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    by_stream: HashMap<String, Topic>,
    /// Topics that there have been.
    count: u64,
}

struct Topic {
    number: u64,
    events: broadcast::Sender<Arc<RecordedEvent>>,
    moments: broadcast::Sender<Arc<Moment>>,
    stands: watch::Sender<Stands>,
}

/// What a listener gets.
pub(super) struct Joined {
    pub number: u64,
    pub moments: broadcast::Receiver<Arc<Moment>>,
    pub stands: watch::Receiver<Stands>,
}

/// What is needed to tell of one stream. Without it, its topic is no more, and its listeners hear that.
pub(super) struct Telling {
    topics: Arc<Topics>,
    stream: String,
    number: u64,
    events: broadcast::Receiver<Arc<RecordedEvent>>,
    moments: broadcast::Sender<Arc<Moment>>,
    stands: watch::Sender<Stands>,
}

impl Topics {
    /// Hands an event to the task that tells of its stream.
    pub fn hand_on(&self, event: &Arc<RecordedEvent>) {
        if let Some(topic) = self.lock().by_stream.get(&event.stream) {
            // It may just have ended.
            let _ = topic.events.send(Arc::clone(event));
        }
    }

    /// A place among those who listen to a stream; whoever comes first has to see to it that it is told.
    pub fn join(self: &Arc<Self>, stream: &str) -> (Joined, Option<Telling>) {
        let mut watched = self.lock();
        watched.count += 1;
        let number = watched.count;
        match watched.by_stream.entry(stream.to_owned()) {
            Entry::Occupied(topic) => (topic.get().joined(), None),
            Entry::Vacant(place) => {
                let events = broadcast::Sender::new(WAITING);
                let topic = Topic {
                    number,
                    moments: broadcast::Sender::new(WAITING),
                    stands: watch::Sender::new(Stands::NotYet),
                    events,
                };
                let telling = Telling {
                    topics: Arc::clone(self),
                    stream: stream.to_owned(),
                    number,
                    events: topic.events.subscribe(),
                    moments: topic.moments.clone(),
                    stands: topic.stands.clone(),
                };
                (place.insert(topic).joined(), Some(telling))
            }
        }
    }

    /// A listener of a topic has gone.
    pub fn left(&self, stream: &str, number: u64) {
        self.remove(stream, |topic| topic.number == number && topic.moments.receiver_count() == 0);
    }

    fn remove(&self, stream: &str, is_over: impl Fn(&Topic) -> bool) {
        let mut watched = self.lock();
        if watched.by_stream.get(stream).is_some_and(is_over) {
            watched.by_stream.remove(stream);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Watched> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Topic {
    fn joined(&self) -> Joined {
        Joined { number: self.number, moments: self.moments.subscribe(), stands: self.stands.subscribe() }
    }
}

impl Drop for Telling {
    fn drop(&mut self) {
        self.topics.remove(&self.stream, |topic| topic.number == self.number);
    }
}

/// Tells of a stream until nobody listens any more, or until it cannot be read.
pub(super) async fn tell<T: Told>(
    mut telling: Telling,
    id: T::Id,
    replays: Arc<Replays>,
    store: EventStore,
    asker: Asker,
) {
    if let Err(error) = telling.run::<T>(id, &replays, &store, asker).await {
        let error = with_causes(&error);
        tracing::warn!(stream = telling.stream, error, "a live page ends: its listeners come back");
        telling.stands.send_replace(Stands::BrokenOff);
    }
}

impl Telling {
    async fn run<T: Told>(
        &mut self,
        id: T::Id,
        replays: &Replays,
        store: &EventStore,
        asker: Asker,
    ) -> Result<(), BrokenOff> {
        let mut seen = Seen::<T>::nothing(id);
        replays.fold(&mut seen, asker).await?;
        self.stands_at(&seen)?;
        loop {
            let is_whole = match self.events.recv().await {
                Ok(event) if event.revision < seen.next_revision => true,
                Ok(event) if event.revision == seen.next_revision => {
                    self.take(&mut seen, &event)?;
                    true
                }
                Ok(_) | Err(RecvError::Lagged(_)) => false,
                Err(RecvError::Closed) => return Ok(()),
            };
            if !is_whole {
                let missed = store.read_stream(&seen.stream, seen.next_revision, usize::MAX);
                pin_mut!(missed);
                while let Some(event) = missed.try_next().await? {
                    self.take(&mut seen, &event)?;
                }
            }
        }
    }

    fn take<T: Told>(&self, seen: &mut Seen<T>, event: &RecordedEvent) -> Result<(), BrokenOff> {
        if let Some(moment) = seen.take(event, true)? {
            // They may just have gone.
            let _ = self.moments.send(Arc::new(moment));
        }
        self.stands_at(seen)
    }

    fn stands_at<T: Told>(&self, seen: &Seen<T>) -> Result<(), BrokenOff> {
        self.stands.send_replace(Stands::At(Arc::new(seen.current()?)));
        Ok(())
    }
}
