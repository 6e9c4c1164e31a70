//! All streams of one kind of aggregate: the writers that are warm, least recently used out.

use super::stream::Stream;
use super::{Accepted, Envelope, ExecuteError, ViewError};
use domain::Aggregate;
use event_store::EventStore;
use lru::LruCache;
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The streams of one category.
pub struct Streams<A: Aggregate> {
    store: EventStore,
    capacity: NonZeroUsize,
    max_staleness: Duration,
    warm: Mutex<LruCache<String, Arc<Stream<A>>>>,
}

impl<A: Aggregate> Streams<A> {
    pub(super) fn new(store: EventStore, capacity: NonZeroUsize, max_staleness: Duration) -> Self {
        Self { store, capacity, max_staleness, warm: Mutex::new(LruCache::unbounded()) }
    }

    /// Decides the command on the aggregate of that id and appends what follows.
    ///
    /// # Errors
    /// A rule's no, or that the store cannot be asked.
    pub async fn execute(
        &self,
        id: impl Display,
        command: A::Command,
        envelope: Envelope,
    ) -> Result<Accepted, ExecuteError<A::Rejection>> {
        self.stream(id).execute(command, envelope).await
    }

    /// Looks at the state of that id.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn view<T: Send + 'static>(
        &self,
        id: impl Display,
        look: impl FnOnce(&A) -> T + Send + 'static,
    ) -> Result<T, ViewError> {
        self.stream(id).view(look).await
    }

    /// Looks at the state after each change until there is something to see, at most so long. `None`: the time
    /// is over.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn wait<T: Send + 'static>(
        &self,
        id: impl Display,
        at_most: Duration,
        look: impl Fn(&A) -> Option<T> + Clone + Send + 'static,
    ) -> Result<Option<T>, ViewError> {
        let stream = self.stream(id);
        let seen = async {
            loop {
                let changed = stream.changed.notified();
                tokio::pin!(changed);
                // Registered before the look, so that no change in between is missed.
                changed.as_mut().enable();
                if let Some(seen) = stream.view(look.clone()).await? {
                    return Ok(seen);
                }
                changed.await;
            }
        };
        match tokio::time::timeout(at_most, seen).await {
            Ok(seen) => seen.map(Some),
            Err(_) => Ok(None),
        }
    }

    fn stream(&self, id: impl Display) -> Arc<Stream<A>> {
        let name = format!("{}-{id}", A::CATEGORY);
        // Nothing panics while it holds the lock, and the cache is valid at any time.
        let mut warm = self.warm.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = warm.get(&name) {
            return Arc::clone(stream);
        }
        let stream = Arc::new(Stream::new(name.clone(), self.store.clone(), self.max_staleness));
        warm.put(name, Arc::clone(&stream));
        // A stream that is being worked on stays: a second writer for it would only make conflicts. Everybody
        // who holds one got it under this lock.
        let mut tries = 8;
        while warm.len() > self.capacity.get() && tries > 0 {
            tries -= 1;
            if let Some((name, oldest)) = warm.pop_lru()
                && Arc::strong_count(&oldest) > 1
            {
                warm.put(name, oldest);
            }
        }
        stream
    }
}
