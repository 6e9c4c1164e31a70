use crate::RecordedEvent;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use uuid::Uuid;

/// The name on disk of a marker in an aggregate's own stream: the operator has had an event of this stream passed over
/// that no program of ours can read. Its metadata says who and when. For the aggregate nothing has happened, and whoever
/// folds the stream passes over both.
pub const EVENT_SKIPPED: &str = "event.skipped.v1";

/// What the marker says: which event is passed over, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skip {
    /// The event's number in the stream.
    pub revision: u64,
    /// Its identity.
    pub event_id: Uuid,
    /// Its name on disk.
    pub event_type: String,
    /// Why it could not be read.
    pub fault: String,
    /// Why the operator has it passed over.
    pub reason: String,
}

impl Skip {
    /// As it stands in the log.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("numbers, ids and texts can always be written")
    }

    /// What the event says, if it is such a marker and was written by us.
    #[must_use]
    pub fn of(event: &RecordedEvent) -> Option<Self> {
        let is_ours = event.event_type == EVENT_SKIPPED && event.metadata().is_ok();
        if is_ours { serde_json::from_slice(&event.data).ok() } else { None }
    }
}

/// The events of one stream that are passed over.
#[derive(Debug, Clone, Default)]
pub struct Skips {
    ids: HashMap<u64, Uuid>,
}

impl Skips {
    /// Takes an event of the stream in, which may be a marker.
    pub fn add(&mut self, event: &RecordedEvent) {
        // Nothing but what stands before it: a marker for later events was not written by us.
        if let Some(skip) = Skip::of(event).filter(|skip| skip.revision < event.revision) {
            self.ids.insert(skip.revision, skip.event_id);
        }
    }

    /// Whether this event of the stream is passed over.
    #[must_use]
    pub fn has(&self, event: &RecordedEvent) -> bool {
        self.ids.get(&event.revision).is_some_and(|id| *id == event.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metadata, Position};
    use chrono::DateTime;

    fn event(revision: u64, id: u128, event_type: &str, data: &[u8]) -> RecordedEvent {
        let id = Uuid::from_u128(id);
        let metadata = Metadata {
            correlation_id: id,
            causation_id: id,
            command_id: id,
            actor: "operator".to_owned(),
            occurred_at: DateTime::UNIX_EPOCH,
            fingerprint: String::new(),
            more: false,
        };
        RecordedEvent {
            stream: "order-1".to_owned(),
            revision,
            position: Position::new(revision),
            id,
            event_type: event_type.to_owned(),
            data: data.to_vec().into(),
            metadata: metadata.to_json().into(),
            recorded_at: DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_golden_file_reads_as_what_was_written_and_is_written_the_same() {
        let golden = include_str!("../golden/event.skipped.v1.json");
        let skip = Skip {
            revision: 3,
            event_id: Uuid::from_u128(7),
            event_type: "order.renamed.v9".to_owned(),
            fault: "the event type `order.renamed.v9` is not known".to_owned(),
            reason: "a script wrote it by mistake".to_owned(),
        };
        assert_eq!(serde_json::from_str::<Skip>(golden).unwrap(), skip);
        let written: serde_json::Value = serde_json::to_value(&skip).unwrap();
        assert_eq!(written, serde_json::from_str::<serde_json::Value>(golden).unwrap());
    }

    #[test]
    fn a_marker_names_one_earlier_event_and_no_other() {
        let skip = |revision| {
            let (event_type, fault, reason) = (String::new(), String::new(), String::new());
            let event_id = Uuid::from_u128(7);
            Skip { revision, event_id, event_type, fault, reason }.to_json()
        };
        let mut skips = Skips::default();
        let foreign = event(3, 7, "foreign.v1", b"{}");
        skips.add(&event(2, 1, EVENT_SKIPPED, &skip(3)));
        skips.add(&event(4, 1, "foreign.v1", &skip(3)));
        skips.add(&event(4, 1, EVENT_SKIPPED, b"{}"));
        let unsigned = RecordedEvent { metadata: "{}".into(), ..event(4, 1, EVENT_SKIPPED, &skip(3)) };
        skips.add(&unsigned);
        assert!(!skips.has(&foreign));
        skips.add(&event(4, 1, EVENT_SKIPPED, &skip(3)));
        assert!(skips.has(&foreign));
        assert!(!skips.has(&event(3, 8, "foreign.v1", b"{}")), "another event at its place");
        assert!(!skips.has(&event(2, 7, "foreign.v1", b"{}")));
    }
}
