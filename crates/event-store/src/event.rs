use crate::{EventStoreError, Metadata, Position};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use uuid::Uuid;

/// Where a stream must stand for an append to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpectedRevision {
    /// The stream has no events yet.
    NoStream,
    /// Its last event has this revision.
    Exact(u64),
}

/// An event to be appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its identity; the same id again at the same place is the same event.
    pub id: Uuid,
    /// Its name on disk.
    pub event_type: &'static str,
    /// JSON.
    pub data: Vec<u8>,
    /// JSON: who, when, why; see [`Metadata::to_json`].
    pub metadata: Vec<u8>,
}

/// What the store says of an append that it took.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The revision of the last appended event.
    pub revision: u64,
    /// The position of the last appended event.
    pub position: Position,
}

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEvent {
    /// Its stream's name.
    pub stream: String,
    /// Its number in the stream, from 0.
    pub revision: u64,
    /// Its place in the log.
    pub position: Position,
    /// Its identity.
    pub id: Uuid,
    /// Its name on disk.
    pub event_type: String,
    /// The payload: JSON.
    pub data: Bytes,
    /// The metadata: JSON; see [`RecordedEvent::metadata`].
    pub metadata: Bytes,
    /// When the store took it, cut to the second by the official client.
    pub recorded_at: DateTime<Utc>,
}

impl RecordedEvent {
    /// What every event of ours carries.
    ///
    /// # Errors
    /// When the event was written by somebody else, who does not keep to our metadata.
    pub fn metadata(&self) -> Result<Metadata, serde_json::Error> {
        serde_json::from_slice(&self.metadata)
    }

    /// The stream's category: all before its first `-`.
    #[must_use]
    pub fn category(&self) -> &str {
        self.stream.split_once('-').map_or(self.stream.as_str(), |(category, _)| category)
    }

    /// The id of the stream's aggregate: all after its first `-`.
    #[must_use]
    pub fn stream_id(&self) -> &str {
        self.stream.split_once('-').map_or("", |(_, id)| id)
    }
}

/// What a subscription delivers.
#[derive(Debug, Clone)]
pub enum SubscriptionItem {
    /// The next event, shared by all who follow the log in this process.
    Event(Arc<RecordedEvent>),
    /// The next event of the event store's own: a deletion, the metadata of a stream, its statistics.
    StoresOwn(Arc<RecordedEvent>),
    /// Nothing of interest up to here.
    Checkpoint(Position),
    /// All that was in the log is delivered; from now on events come as they happen.
    CaughtUp,
    /// The store is away, or does not let its user follow the log. The subscription goes on by itself when it can; nothing is
    /// lost or repeated.
    Disconnected {
        /// What went wrong.
        error: EventStoreError,
    },
}

impl SubscriptionItem {
    /// The id of the event at that position, if the item is an event.
    #[must_use]
    pub fn event_id(&self) -> Option<Uuid> {
        match self {
            Self::Event(event) | Self::StoresOwn(event) => Some(event.id),
            Self::Checkpoint(_) | Self::CaughtUp | Self::Disconnected { .. } => None,
        }
    }

    /// The position up to which everything is delivered with this item, if it says so.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        match self {
            Self::Event(event) | Self::StoresOwn(event) => Some(event.position),
            Self::Checkpoint(position) => Some(*position),
            Self::CaughtUp | Self::Disconnected { .. } => None,
        }
    }
}
