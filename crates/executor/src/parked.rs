//! The streams that cannot be read, as far as this process has met them. Each stands still by itself: whoever needs it is
//! told so, and everything else goes on.

use super::unreadable::{Described, Unreadable};
use chrono::{DateTime, Utc};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::broadcast;

/// For so long nobody looks again whether the stream can be read by now, however many ask.
const LOOKED_AT_FOR: Duration = Duration::from_secs(1);
/// Streams that are kept by name. Somebody who writes into more has other aims, and must not fill memory or log.
const MAX_KEPT: usize = 10_000;
/// Streams that can be read again and that a slow listener has not heard of.
const WAITING: usize = 1_024;

/// A stream that is parked.
#[derive(Debug, Clone)]
pub struct ParkedStream {
    pub at: Described,
    /// When this process met it.
    pub since: DateTime<Utc>,
}

/// All that are parked.
pub struct ParkedStreams {
    kept: Mutex<HashMap<String, Kept>>,
    /// How many are kept: nobody takes the lock as long as there are none.
    count: AtomicUsize,
    freed: broadcast::Sender<String>,
}

struct Kept {
    at: Arc<Unreadable>,
    since: DateTime<Utc>,
    looked_at: Instant,
}

impl Default for ParkedStreams {
    fn default() -> Self {
        Self { kept: Mutex::default(), count: AtomicUsize::new(0), freed: broadcast::Sender::new(WAITING) }
    }
}

impl ParkedStreams {
    /// Why the stream could not be read a moment ago.
    pub(super) fn just_now(&self, stream: &str) -> Option<Arc<Unreadable>> {
        if self.is_empty() {
            return None;
        }
        let kept = self.lock();
        let kept = kept.get(stream).filter(|kept| kept.looked_at.elapsed() < LOOKED_AT_FOR)?;
        Some(Arc::clone(&kept.at))
    }

    /// Notes that the stream cannot be read. The log has it once, and not for each who asks.
    pub(super) fn park(&self, at: &Arc<Unreadable>) {
        let mut kept = self.lock();
        let looked_at = Instant::now();
        if let Some(known) = kept.get_mut(&at.stream).filter(|known| known.at.revision == at.revision) {
            known.looked_at = looked_at;
            return;
        }
        if kept.len() >= MAX_KEPT && !kept.contains_key(&at.stream) {
            tracing::debug!(stream = at.stream, revision = at.revision, "one more stream cannot be read");
            return;
        }
        tracing::error!(
            stream = at.stream,
            revision = at.revision,
            event_type = at.event_type,
            error = &at.fault as &dyn std::error::Error,
            "a stream cannot be read: it is parked, and everything else goes on"
        );
        let parked = Kept { at: Arc::clone(at), since: Utc::now(), looked_at };
        kept.insert(at.stream.clone(), parked);
        self.count.store(kept.len(), Ordering::Relaxed);
    }

    /// Looks again at once when the stream is next asked for, and tells those who wait for it. Gives whether it was parked.
    pub fn free(&self, stream: &str) -> bool {
        if self.is_empty() {
            return false;
        }
        let mut kept = self.lock();
        let was_parked = kept.remove(stream).is_some();
        self.count.store(kept.len(), Ordering::Relaxed);
        drop(kept);
        if was_parked {
            tracing::info!(stream, "a parked stream is read again");
            self.wake(stream);
        }
        was_parked
    }

    /// Tells those who wait for a stream to try again.
    pub fn wake(&self, stream: &str) {
        // Nobody may be waiting.
        let _ = self.freed.send(stream.to_owned());
    }

    /// Hears the names of streams that were freed.
    #[must_use]
    pub fn freed(&self) -> broadcast::Receiver<String> {
        self.freed.subscribe()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, by name.
    #[must_use]
    pub fn all(&self) -> Vec<ParkedStream> {
        let kept = self.lock();
        let mut all: Vec<_> =
            kept.values().map(|kept| ParkedStream { at: kept.at.describe(), since: kept.since }).collect();
        drop(kept);
        all.sort_by(|one, other| one.at.stream.cmp(&other.at.stream));
        all
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Kept>> {
        // Nothing panics while it holds the lock.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    #[test]
    fn a_parked_stream_is_looked_at_once_for_all_who_ask_and_at_once_after_it_was_freed() {
        let parked = ParkedStreams::default();
        let mut freed = parked.freed();
        assert!(parked.just_now("order-1").is_none() && !parked.free("order-1"));
        let at = Arc::new(Unreadable::deleted("order-1"));
        parked.park(&at);
        let since = parked.all()[0].since;
        parked.park(&at);
        assert_eq!((parked.len(), parked.all()[0].since), (1, since));
        assert!(parked.just_now("order-1").is_some() && parked.just_now("order-2").is_none());
        assert!(parked.free("order-1") && parked.just_now("order-1").is_none());
        assert_eq!((freed.try_recv().unwrap().as_str(), parked.len()), ("order-1", 0));
    }
}
