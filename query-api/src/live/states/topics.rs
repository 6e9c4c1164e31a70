//! What is watched, what is known of it, and the listeners.

use super::{State, Watched};
use crate::checkpoints::Checkpoints;
use crate::live::log::{Following, NotFollowed};
use async_stream::stream;
use event_store::Position;
use futures::Stream;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How long the first listener waits for the first state.
const FIRST_WITHIN: Duration = Duration::from_secs(5);

/// What is known of something that is watched.
#[derive(Debug, Clone)]
enum Known {
    NotYet,
    /// It is not in the read model, which had come so far when it was read.
    Nothing(Option<Position>),
    State(Arc<State>),
}

struct Topic {
    known: watch::Sender<Known>,
    unread: Option<Unread>,
}

/// What has touched it since it was read, which may be more than the read model has applied.
#[derive(Debug, Clone, Copy)]
struct Unread {
    /// The first of it; none if it is to be read in any case.
    from: Option<Position>,
    upto: Option<Position>,
}

/// What is watched, and how each of it stands.
#[derive(Default)]
pub struct Topics {
    topics: Mutex<HashMap<Watched, Topic>>,
    /// Something is to be read.
    pub touched: Notify,
}

impl Topics {
    /// One more listener.
    pub fn join(self: &Arc<Self>, watched: &Watched, following: Following) -> Listener {
        let mut topics = self.lock();
        let topic = topics
            .entry(watched.clone())
            .or_insert_with(|| Topic { known: watch::Sender::new(Known::NotYet), unread: None });
        let known = Some(topic.known.subscribe());
        drop(topics);
        Listener { watched: watched.clone(), known, topics: Arc::clone(self), _following: following }
    }

    /// It is to be read again when the read model has come to `from`, and once more when it has come to `upto`.
    pub fn touch(&self, watched: &Watched, from: Option<Position>, upto: Option<Position>) {
        if let Some(topic) = self.lock().get_mut(watched) {
            topic.unread = Some(match topic.unread {
                Some(unread) => Unread { from: unread.from.min(from), upto: unread.upto.max(upto) },
                None => Unread { from, upto },
            });
            self.touched.notify_one();
        }
    }

    /// Everything is to be read.
    pub fn touch_all(&self) {
        let all: Vec<Watched> = self.lock().keys().cloned().collect();
        all.iter().for_each(|watched| self.touch(watched, None, None));
    }

    /// What is to be read now.
    pub fn take_due(&self, checkpoints: &Checkpoints) -> Vec<Watched> {
        let mut due = Vec::new();
        for (watched, topic) in self.lock().iter_mut() {
            let reached = checkpoints.position(watched.model());
            let Some(unread) = topic.unread.filter(|unread| unread.from <= reached) else { continue };
            // The rest of it when the read model has moved on.
            let next = reached.map_or(0, |reached| reached.value().saturating_add(1));
            topic.unread = (unread.upto > reached)
                .then_some(Unread { from: Some(Position::new(next)), upto: unread.upto });
            due.push(watched.clone());
        }
        due
    }

    /// What was read, or how far the read model was that did not have it. Tells it if it is another than before.
    pub fn tell(&self, watched: &Watched, state: Result<State, Option<Position>>) {
        let topics = self.lock();
        let Some(topic) = topics.get(watched) else { return };
        topic.known.send_if_modified(|known| match (&known, state) {
            (Known::State(old), Ok(new)) if old.json == new.json || old.position > new.position => false,
            (Known::State(_), Err(_)) => false,
            (_, Ok(new)) => {
                *known = Known::State(Arc::new(new));
                true
            }
            (_, Err(reached)) => {
                *known = Known::Nothing(reached);
                true
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Watched, Topic>> {
        // Nothing panics while it holds the lock.
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A listener; when it goes, its topic may be watched by nobody.
pub struct Listener {
    pub watched: Watched,
    known: Option<watch::Receiver<Known>>,
    topics: Arc<Topics>,
    _following: Following,
}

impl Listener {
    /// Whether it has heard nothing.
    pub fn is_without_state(&self) -> bool {
        self.known.as_ref().is_some_and(|known| !matches!(*known.borrow(), Known::State(_)))
    }

    /// Whether there is a state, as soon as that is known: from a read model that has come so far at least.
    pub async fn has_state(&mut self, at_least: Option<Position>) -> Result<bool, NotFollowed> {
        let Some(known) = &mut self.known else { return Ok(false) };
        let first = known.wait_for(|known| match known {
            Known::NotYet => false,
            Known::Nothing(reached) => *reached >= at_least,
            Known::State(_) => true,
        });
        match tokio::time::timeout(FIRST_WITHIN, first).await {
            Ok(Ok(known)) => Ok(matches!(*known, Known::State(_))),
            _ => Err(NotFollowed::NoAnswer),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.known = None;
        let mut topics = self.topics.lock();
        if topics.get(&self.watched).is_some_and(|topic| topic.known.receiver_count() == 0) {
            topics.remove(&self.watched);
        }
    }
}

/// How it stands, and then each new state.
pub fn states(mut listener: Listener, after: Option<Position>) -> impl Stream<Item = Arc<State>> + Send {
    stream! {
        let mut is_first = true;
        loop {
            let Some(known) = &mut listener.known else { return };
            let state = match &*known.borrow_and_update() {
                Known::State(state) => Some(Arc::clone(state)),
                Known::NotYet | Known::Nothing(_) => None,
            };
            // Another process may have been further ahead when it told the last one.
            let is_new = |state: &State| match after {
                Some(after) if is_first => state.position > after,
                Some(after) => state.position >= after,
                None => true,
            };
            if let Some(state) = state.filter(|state| is_new(state)) {
                yield state;
            }
            is_first = false;
            if known.changed().await.is_err() {
                return;
            }
        }
    }
}
