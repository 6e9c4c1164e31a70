//! What belongs in the streams that the service keeps for itself, apart from the facts.

use super::standing::seal_of;
use audit_seal::key::PublicKeys;
use audit_seal::stream::Fault;
use audit_seal::verification::Verification;
use audit_seal::{VERIFICATIONS_STREAM, VERIFIED_TYPE, is_of_seals, is_or_succeeds};
use consumer_runner::OwnForm;
use event_store::{Lock, RecordedEvent};
use executor::{is_of_snapshots, is_snapshot_part};

/// Looks whether an event of such a stream is one that the service has written. What must be signed is held against the
/// keys; of all else, only the form can be told.
pub struct OwnStreams {
    keys: PublicKeys,
    consumers: Vec<OwnForm>,
}

impl OwnStreams {
    /// With the keys that are believed, and the streams that the other consumers keep for themselves.
    pub fn new(keys: PublicKeys, consumers: Vec<OwnForm>) -> Self {
        Self { keys, consumers }
    }

    /// What is wrong with the event; nothing if its stream is somebody else's.
    pub fn fault(&self, event: &RecordedEvent) -> Option<Fault> {
        let stream = &event.stream;
        let is_ours = if is_of_seals(stream) {
            seal_of(event).is_ok_and(|seal| seal.check(&self.keys).is_ok())
        } else if is_or_succeeds(stream, VERIFICATIONS_STREAM) {
            self.is_verification(event)
        } else if let Some(form) = self.consumers.iter().find(|form| is_or_succeeds(stream, form.stream)) {
            (form.is_ours)(event)
        } else if is_of_snapshots(stream) {
            is_snapshot_part(event)
        } else if Lock::is_stream(stream) {
            // What holds a lock is the server's alone.
            false
        } else {
            return None;
        };
        (!is_ours).then_some(Fault::Strange)
    }

    fn is_verification(&self, event: &RecordedEvent) -> bool {
        let read = serde_json::from_slice::<Verification>(&event.data);
        event.event_type == VERIFIED_TYPE && read.is_ok_and(|read| read.check(&self.keys).is_ok())
    }
}
