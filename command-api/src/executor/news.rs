//! Events of a stream that the log has shown and its state in memory may not have.

use event_store::RecordedEvent;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Events that are kept of a stream. With more, it is read again.
const MOST: usize = 16;

/// The news of one stream.
#[derive(Default)]
pub(super) struct News {
    /// So many events the stream has at least.
    written: AtomicU64,
    events: Mutex<VecDeque<RecordedEvent>>,
}

impl News {
    /// Notes an event, and keeps it if it will be asked for. Gives whether it is news: the log may show an event again.
    pub fn add(&self, event: &RecordedEvent, is_kept: bool) -> bool {
        let written = event.revision.saturating_add(1);
        let mut events = self.events();
        if self.written.fetch_max(written, Ordering::Relaxed) >= written {
            return false;
        }
        if is_kept {
            if events.len() == MOST {
                events.pop_front();
            }
            events.push_back(event.clone());
        }
        true
    }

    /// Whether the log has shown events from this revision on.
    pub fn are_more_than(&self, next_revision: u64) -> bool {
        next_revision < self.written.load(Ordering::Relaxed)
    }

    /// What is kept, in the order of the stream.
    pub fn take(&self) -> VecDeque<RecordedEvent> {
        std::mem::take(&mut *self.events())
    }

    /// A state with all events before this revision is in memory.
    pub fn forget_before(&self, next_revision: u64) {
        if self.written.load(Ordering::Relaxed) > 0 {
            self.events().retain(|event| event.revision >= next_revision);
        }
    }

    fn events(&self) -> MutexGuard<'_, VecDeque<RecordedEvent>> {
        // Nothing panics while it holds the lock.
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
