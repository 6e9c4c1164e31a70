use crate::Position;
use bytes::Bytes;
use uuid::Uuid;

/// The revision of the event that closes a stream for ever.
pub const TOMBSTONE_REVISION: u64 = i64::MAX as u64;
/// The type of the event that closes a stream for ever.
pub const TOMBSTONE_TYPE: &str = "$streamDeleted";

/// An event of anybody's: nothing is asked of its names, its data and its metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    /// Its identity; the same id again at the same place is the same event.
    pub id: Uuid,
    /// Its name on disk.
    pub event_type: String,
    /// Whether it is marked as JSON; otherwise it is opaque bytes. A mark is not a promise.
    pub is_json: bool,
    /// The payload, byte for byte.
    pub data: Bytes,
    /// The metadata, byte for byte; empty if there is none.
    pub metadata: Bytes,
}

impl RawEvent {
    /// Bytes of payload and metadata.
    #[must_use]
    pub fn size(&self) -> usize {
        self.data.len() + self.metadata.len()
    }
}

/// An event of anybody's as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// Its stream's name.
    pub stream: String,
    /// Its number in the stream, from 0; [`TOMBSTONE_REVISION`] for the event that closes a stream.
    pub revision: u64,
    /// Its place in the log.
    pub position: Position,
    /// When the store took it: ticks of 100 ns since 1970.
    pub created_ticks: u64,
    /// The event.
    pub event: RawEvent,
}

impl RawRecord {
    /// Whether it closes its stream for ever.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.revision == TOMBSTONE_REVISION && self.event.event_type == TOMBSTONE_TYPE
    }
}
