//! Events of a stream that the log has shown and its state in memory may not have.

use event_store::{Metadata, RecordedEvent};
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Events that are kept of a stream. With more, it is read again.
const MOST: usize = 16;

/// The news of one stream. Events of one command were appended at once: they are news when the last of them is there, or a
/// state between them would be seen that never was.
#[derive(Default)]
pub(super) struct News {
    /// So many events the stream has at least, up to the last one of a command.
    written: AtomicU64,
    events: Mutex<VecDeque<RecordedEvent>>,
}

impl News {
    /// Notes an event, and keeps it if it will be asked for. Gives whether there is news: the log may show an event again.
    pub fn add(&self, event: &RecordedEvent, is_kept: bool) -> bool {
        let written = event.revision.saturating_add(1);
        let mut events = self.events();
        if self.written.load(Ordering::Relaxed) >= written {
            return false;
        }
        if is_kept {
            if events.len() == MOST {
                events.pop_front();
            }
            events.push_back(event.clone());
        }
        let is_whole = !has_more(event);
        if is_whole {
            self.written.store(written, Ordering::Relaxed);
        }
        is_whole
    }

    /// Whether the log has shown events from this revision on.
    pub fn are_more_than(&self, next_revision: u64) -> bool {
        next_revision < self.written.load(Ordering::Relaxed)
    }

    /// Whether a state can be made of what is kept alone.
    pub fn are_from_the_start(&self) -> bool {
        let events = self.events();
        events.front().is_some_and(|first| first.revision == 0) && self.written.load(Ordering::Relaxed) > 0
    }

    /// What is kept of whole commands, in the order of the stream.
    pub fn take(&self) -> Vec<RecordedEvent> {
        let mut events = self.events();
        let written = self.written.load(Ordering::Relaxed);
        let whole = events.iter().take_while(|event| event.revision < written).count();
        events.drain(..whole).collect()
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

/// Whether the next event of its stream is of the same command. Metadata that cannot be read is somebody else's.
fn has_more(event: &RecordedEvent) -> bool {
    serde_json::from_slice::<Metadata>(&event.metadata).is_ok_and(|metadata| metadata.more)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use chrono::DateTime;
    use event_store::Position;
    use uuid::Uuid;

    fn event(revision: u64, more: bool) -> RecordedEvent {
        let id = Uuid::from_u128(u128::from(revision));
        let metadata = Metadata {
            correlation_id: id,
            causation_id: id,
            command_id: id,
            actor: "shopper".to_owned(),
            occurred_at: DateTime::UNIX_EPOCH,
            fingerprint: String::new(),
            more,
        };
        RecordedEvent {
            stream: "order-1".to_owned(),
            revision,
            position: Position::new(revision),
            id,
            event_type: "order.paid.v1".to_owned(),
            data: "{}".into(),
            metadata: metadata.to_json().into(),
            recorded_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn events_of_one_command_are_news_when_the_last_of_them_is_there() {
        let news = News::default();
        assert!(news.add(&event(0, false), true));
        assert!(!news.add(&event(1, true), true));
        assert!(!news.are_more_than(1), "the command is not whole");
        assert_eq!(news.take().iter().map(|event| event.revision).collect::<Vec<_>>(), [0]);
        assert!(news.add(&event(2, false), true));
        assert!(news.are_more_than(1));
        assert_eq!(news.take().iter().map(|event| event.revision).collect::<Vec<_>>(), [1, 2]);
        // The log may show events again.
        assert!(!news.add(&event(1, true), true) && !news.add(&event(2, false), true));
        assert!(news.take().is_empty());
    }
}
