//! All streams of one kind of aggregate: the writers that are warm, least recently used out.

use super::loaded::Loaded;
use super::snapshot::Snapshots;
use super::stream::Stream;
use super::unreadable::Unreadable;
use super::{Accepted, Envelope, ExecuteError, Shared, ViewError, Writers};
use chrono::{DateTime, Utc};
use domain::Aggregate;
use event_store::RecordedEvent;
use futures::{StreamExt, pin_mut};
use lru::LruCache;
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// When a request that waits for a change looks whether another process has made it, in case the log cannot be followed;
/// later ever more rarely.
const FIRST_LOOK_AFTER: Duration = Duration::from_millis(200);

/// The streams of one category.
pub struct Streams<A: Aggregate> {
    shared: Shared,
    capacity: NonZeroUsize,
    snapshots: Option<Snapshots<A>>,
    warm: Mutex<LruCache<String, Arc<Stream<A>>>>,
    /// Whether this process is about to look at whatever is written to any of them.
    all_are_used: AtomicBool,
}

impl<A: Aggregate> Streams<A> {
    pub(super) fn new(shared: Shared, capacity: NonZeroUsize) -> Self {
        let warm = Mutex::new(LruCache::unbounded());
        Self { shared, capacity, snapshots: None, warm, all_are_used: AtomicBool::new(false) }
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// The same, for streams that become so long that snapshots are kept of them.
    pub(super) fn with_snapshots(self, snapshots: Snapshots<A>) -> Self {
        Self { snapshots: Some(snapshots), ..self }
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
        self.stream(id).view(None, move |loaded| look(&loaded.aggregate)).await
    }

    /// Looks at the state of that id with the event of this revision in it, also when another process wrote it.
    ///
    /// # Errors
    /// When the stream cannot be read.
    pub async fn view_at_least<T: Send + 'static>(
        &self,
        id: impl Display,
        revision: u64,
        look: impl FnOnce(&A) -> T + Send + 'static,
    ) -> Result<T, ViewError> {
        self.stream(id).view(Some(revision), move |loaded| look(&loaded.aggregate)).await
    }

    /// Looks at the state of that id before the first event that cannot be read, or at the whole if there is none. For
    /// those who report on a parked stream: nothing may be decided on it.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn readable_part<T>(
        &self,
        id: impl Display,
        look: impl FnOnce(&A) -> T,
    ) -> Result<T, ViewError> {
        let mut loaded = Loaded::empty();
        let Shared { store, guard, .. } = &self.shared;
        match loaded.catch_up(store, guard, &A::stream(id), usize::MAX).await {
            Ok(_) | Err(ViewError::Unreadable(_)) => Ok(look(&loaded.aggregate)),
            Err(error) => Err(error),
        }
    }

    /// When the store recorded the first event of that id that is as wanted; none if there is no such event. Events that
    /// cannot be read are none: whoever needs the state has come to them already.
    ///
    /// # Errors
    /// When the store cannot be asked.
    pub async fn recorded_at(
        &self,
        id: impl Display,
        is_wanted: impl Fn(&A::Event) -> bool,
    ) -> Result<Option<DateTime<Utc>>, ViewError> {
        let stream = A::stream(id);
        let events = self.shared.store.read_stream(&stream, 0, usize::MAX);
        pin_mut!(events);
        while let Some(event) = events.next().await {
            let event = event.map_err(ViewError::Store)?;
            if Unreadable::read::<A>(&event).is_ok_and(|(fact, _)| is_wanted(&fact)) {
                return Ok(Some(event.recorded_at));
            }
        }
        Ok(None)
    }

    /// The answer that this command got before, if it came with an idempotency key that came before. For those who
    /// would otherwise look at something else first that has changed since.
    ///
    /// # Errors
    /// [`ExecuteError::KeyReused`] when the key came with another request, or when the stream cannot be read.
    pub async fn replayed(
        &self,
        id: impl Display,
        envelope: Envelope,
    ) -> Result<Option<Accepted>, ExecuteError<A::Rejection>> {
        self.replayed_at(id, None, envelope).await
    }

    /// The same, also when another process gave the answer a moment ago.
    ///
    /// # Errors
    /// As [`Self::replayed`].
    pub async fn replayed_anywhere(
        &self,
        id: impl Display,
        envelope: Envelope,
    ) -> Result<Option<Accepted>, ExecuteError<A::Rejection>> {
        // No stream has this revision: whatever is new is read.
        let at_least = match self.shared.writers {
            Writers::OnlyUs => None,
            Writers::Others { .. } => Some(u64::MAX),
        };
        self.replayed_at(id, at_least, envelope).await
    }

    async fn replayed_at(
        &self,
        id: impl Display,
        at_least: Option<u64>,
        envelope: Envelope,
    ) -> Result<Option<Accepted>, ExecuteError<A::Rejection>> {
        if envelope.fingerprint.is_none() {
            return Ok(None);
        }
        let known = self.stream(id).view(at_least, move |loaded| loaded.replayed(&envelope)).await;
        let end = known.map_err(ViewError::of_command)?.transpose()?;
        Ok(end.map(|end| Accepted { revision: end.revision, position: end.position, replayed: true }))
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
            let mut pause = FIRST_LOOK_AFTER;
            let mut at_least = None;
            loop {
                let changed = stream.changed.notified();
                tokio::pin!(changed);
                // Registered before the look, so that no change in between is missed.
                changed.as_mut().enable();
                let look = look.clone();
                let looked =
                    stream.view(at_least, move |loaded| (look(&loaded.aggregate), loaded.next_revision()));
                let (seen, next_revision) = looked.await?;
                if let Some(seen) = seen {
                    return Ok(seen);
                }
                at_least = match self.shared.writers {
                    Writers::OnlyUs => {
                        changed.await;
                        None
                    }
                    Writers::Others { max_staleness } => {
                        let is_rung = tokio::time::timeout(pause, changed).await.is_ok();
                        pause = (pause * 2).min(max_staleness);
                        (!is_rung).then_some(next_revision)
                    }
                };
            }
        };
        match tokio::time::timeout(at_most, seen).await {
            Ok(seen) => seen.map(Some),
            Err(_) => Ok(None),
        }
    }

    /// Whether the stream of that id has events, as far as is known here without asking the store. Waits so long for the first
    /// one. Where nobody else writes, nothing is followed, and the answer is no.
    pub async fn has_begun_within(&self, id: impl Display, at_most: Duration) -> bool {
        if self.shared.writers == Writers::OnlyUs {
            return false;
        }
        let stream = self.stream(id);
        let begun = async {
            loop {
                let changed = stream.changed.notified();
                tokio::pin!(changed);
                // Registered before the look, so that no change in between is missed.
                changed.as_mut().enable();
                if stream.has_begun() {
                    return;
                }
                changed.await;
            }
        };
        tokio::time::timeout(at_most, begun).await.is_ok()
    }

    /// Says whether this process is about to look at whatever is written to any of these streams. Then what other processes
    /// write is kept for that look, and nothing is read again that the log has shown.
    pub fn all_are_used(&self, are_used: bool) {
        self.all_are_used.store(are_used, Ordering::Relaxed);
    }

    /// The log has this event; this process or another one wrote it. Events of other categories are passed over, and of
    /// streams that are not in memory, unless all are used.
    pub fn was_written(&self, event: &RecordedEvent) {
        if self.shared.writers == Writers::OnlyUs || event.category() != A::CATEGORY {
            return;
        }
        let all_are_used = self.all_are_used.load(Ordering::Relaxed);
        let known = self.warm().peek(&event.stream).map(|stream| {
            // Besides the cache, those who use it have it.
            let is_used = Arc::strong_count(stream) > 1;
            (Arc::clone(stream), is_used || all_are_used)
        });
        match known {
            Some((stream, is_kept)) => stream.was_written(event, is_kept),
            None if all_are_used && event.revision == 0 => {
                self.stream_named(event.stream.clone()).was_written(event, true);
            }
            None => {}
        }
    }

    fn warm(&self) -> MutexGuard<'_, LruCache<String, Arc<Stream<A>>>> {
        // Nothing panics while it holds the lock, and the cache is valid at any time.
        self.warm.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stream(&self, id: impl Display) -> Arc<Stream<A>> {
        self.stream_named(A::stream(id))
    }

    fn stream_named(&self, name: String) -> Arc<Stream<A>> {
        let mut warm = self.warm();
        if let Some(stream) = warm.get(&name) {
            return Arc::clone(stream);
        }
        let stream = Arc::new(Stream::new(name.clone(), self.shared.clone(), self.snapshots));
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
