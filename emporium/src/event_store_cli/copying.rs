//! What of a log goes into a copy of it, and what of that must go alone.
//!
//! A copy is another log: it has its own identity, and its server has its own `$` streams. And an order of events that one
//! server has written need not be one that another takes: metadata of a stream that is closed for good is refused, and
//! whoever appends to a deleted stream makes the server write metadata as well.

use super::import::is_servers_own;
use event_store::{RawRecord, is_of_log_identity};
use serde_json::Value;
use std::collections::HashSet;

/// The value of `$tb` with which a server deletes a stream so that it can go on later.
const DELETED: u64 = i64::MAX as u64;

/// How an event goes into a copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goes {
    /// Not at all.
    LeftOut,
    /// With others under way.
    InOrder,
    /// When all before it are there, and before any other begins: the target may write an event of its own with it.
    Alone,
}

/// Looks at a log's events in their order.
#[derive(Debug, Default)]
pub struct Copying {
    /// Whether the server's own streams go along.
    system_streams: bool,
    /// Streams that are closed for good.
    closed: HashSet<String>,
    /// Streams that are deleted and may go on.
    deleted: HashSet<String>,
    /// Streams that were deleted once.
    ever_deleted: HashSet<String>,
}

impl Copying {
    /// Of a whole log.
    pub fn new(system_streams: bool) -> Self {
        Self { system_streams, ..Self::default() }
    }

    /// What becomes of the next event.
    pub fn next(&mut self, record: &RawRecord) -> Goes {
        let stream = record.stream.as_str();
        let subject = stream.strip_prefix("$$");
        if is_of_log_identity(subject.unwrap_or(stream)) {
            return Goes::LeftOut;
        }
        if is_servers_own(stream) {
            return if self.system_streams { Goes::Alone } else { Goes::LeftOut };
        }
        if let Some(subject) = subject {
            return self.metadata(subject, record);
        }
        if record.is_tombstone() {
            self.closed.insert(stream.to_owned());
            return Goes::Alone;
        }
        if self.deleted.remove(stream) { Goes::Alone } else { Goes::InOrder }
    }

    fn metadata(&mut self, subject: &str, record: &RawRecord) -> Goes {
        if self.closed.contains(subject) {
            return Goes::LeftOut;
        }
        let metadata = serde_json::from_slice::<Value>(&record.event.data).ok();
        let is_deleted = metadata.and_then(|metadata| metadata["$tb"].as_u64()) == Some(DELETED);
        if is_deleted {
            self.deleted.insert(subject.to_owned());
            self.ever_deleted.insert(subject.to_owned());
        } else {
            self.deleted.remove(subject);
        }
        if self.ever_deleted.contains(subject) { Goes::Alone } else { Goes::InOrder }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event_store::{Position, RawEvent, TOMBSTONE_REVISION, TOMBSTONE_TYPE};
    use uuid::Uuid;

    fn record(stream: &str, event_type: &str, data: &'static str) -> RawRecord {
        let event = RawEvent {
            id: Uuid::nil(),
            event_type: event_type.to_owned(),
            is_json: true,
            data: data.into(),
            metadata: "".into(),
        };
        let revision = if event_type == TOMBSTONE_TYPE { TOMBSTONE_REVISION } else { 0 };
        let stream = stream.to_owned();
        RawRecord { stream, revision, position: Position::new(0), created_ticks: 0, event }
    }

    #[test]
    fn what_the_target_has_of_its_own_or_would_refuse_is_left_out() {
        let mut copying = Copying::new(false);
        let mut goes = |stream, event_type, data| copying.next(&record(stream, event_type, data));
        for stream in ["$scavenges", "$$$scavenges", "$persistentSubscriptionConfig", "log-identity"] {
            assert_eq!(goes(stream, "x", "{}"), Goes::LeftOut, "{stream}");
        }
        assert_eq!(goes("$$log-identity", "$metadata", "{}"), Goes::LeftOut);
        assert_eq!(goes("s", "x", "{}"), Goes::InOrder);
        assert_eq!(goes("$$s", "$metadata", r#"{"$maxCount":3}"#), Goes::InOrder);
        assert_eq!(goes("s", TOMBSTONE_TYPE, ""), Goes::Alone);
        assert_eq!(goes("$$s", "$metadata", "{}"), Goes::LeftOut, "a closed stream takes no metadata");
        let mut with_all = Copying::new(true);
        assert_eq!(with_all.next(&record("$scavenges", "x", "{}")), Goes::Alone);
        assert_eq!(with_all.next(&record("log-identity", "x", "{}")), Goes::LeftOut);
    }

    #[test]
    fn a_deleted_stream_that_goes_on_goes_on_alone() {
        let mut copying = Copying::new(false);
        let mut goes = |stream, event_type, data| copying.next(&record(stream, event_type, data));
        assert_eq!(goes("s", "x", "{}"), Goes::InOrder);
        assert_eq!(goes("$$s", "$metadata", r#"{"$tb":9223372036854775807}"#), Goes::Alone);
        assert_eq!(goes("s", "x", "{}"), Goes::Alone, "the target writes metadata with it");
        assert_eq!(goes("$$s", "$metadata", r#"{"$tb":1}"#), Goes::Alone, "which is this");
        assert_eq!(goes("s", "x", "{}"), Goes::InOrder);
    }
}
