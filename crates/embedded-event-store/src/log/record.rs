//! The form of one event in the log.
//!
//! A record is one run of bytes: a checksum, a fixed head, then the stream's name, the event's type, its metadata and
//! its data. It is decoded by noting where each part ends; no part is copied. The checksum covers the position too, so
//! a record that turns up in the wrong place is found out.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;
use uuid::Uuid;

const VERSION: u8 = 1;
const JSON: u8 = 0b1;
const CHECKSUM_BYTES: usize = 4;
const HEAD_BYTES: usize = 46;

/// Longest name of a stream, in bytes.
pub const MAX_STREAM_NAME_BYTES: usize = 4096;
/// Longest name of an event type, in bytes.
pub const MAX_EVENT_TYPE_BYTES: usize = 4096;
/// The revision of the event that closes a stream for ever.
pub const TOMBSTONE_REVISION: u64 = i64::MAX as u64;

/// An event that somebody wants to append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedEvent {
    /// The writer's name for the event; what makes a retry recognisable.
    pub id: Uuid,
    /// The type's name.
    pub event_type: String,
    /// Whether the data is JSON (otherwise it is opaque bytes).
    pub is_json: bool,
    /// The writer's own metadata, as it came.
    pub metadata: Bytes,
    /// The event's data, as it came.
    pub data: Bytes,
}

impl ProposedEvent {
    /// What this event adds to the size of an append, in bytes.
    pub fn size(&self) -> usize {
        self.data.len() + self.metadata.len() + self.event_type.len()
    }
}

/// An event in the log.
#[derive(Clone, PartialEq, Eq)]
pub struct Record {
    raw: Bytes,
    position: u64,
    revision: u64,
    id: Uuid,
    created_ticks: u64,
    is_json: bool,
    stream_end: usize,
    type_end: usize,
    metadata_end: usize,
}

/// Why bytes in the log are not a record.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecordError {
    /// Fewer bytes than its parts need.
    #[error("it has {found} bytes where its parts need {needed}")]
    Cut {
        /// Bytes that are there.
        found: usize,
        /// Bytes that its parts need.
        needed: usize,
    },
    /// The bytes are not what was written.
    #[error("its checksum is {found:08x} where {stored:08x} was written")]
    Checksum {
        /// The checksum that was stored.
        stored: u32,
        /// The checksum of the bytes that are there.
        found: u32,
    },
    /// Written by a later release.
    #[error("it has version {0}, which this release does not know")]
    Version(u8),
}

/// Where an event goes and when it was recorded.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// The event's number in its stream.
    pub revision: u64,
    /// Its position in the log.
    pub position: u64,
    /// When it was recorded: ticks of 100 ns since 1970.
    pub created_ticks: u64,
}

impl Record {
    /// Builds the record of an event at its place. The caller has checked the lengths of the names.
    pub fn new(place: Place<'_>, event: &ProposedEvent) -> Self {
        let parts = place.stream.len() + event.event_type.len() + event.metadata.len() + event.data.len();
        let mut raw = BytesMut::with_capacity(HEAD_BYTES + parts);
        raw.put_u32_le(0);
        raw.put_u8(VERSION);
        raw.put_u8(if event.is_json { JSON } else { 0 });
        raw.put_u64_le(place.revision);
        raw.put_slice(event.id.as_bytes());
        raw.put_u64_le(place.created_ticks);
        raw.put_u16_le(u16::try_from(place.stream.len()).unwrap_or(u16::MAX));
        raw.put_u16_le(u16::try_from(event.event_type.len()).unwrap_or(u16::MAX));
        raw.put_u32_le(u32::try_from(event.metadata.len()).unwrap_or(u32::MAX));
        raw.put_slice(place.stream.as_bytes());
        raw.put_slice(event.event_type.as_bytes());
        raw.put_slice(&event.metadata);
        raw.put_slice(&event.data);
        let sum = checksum(place.position, &raw[CHECKSUM_BYTES..]);
        raw[..CHECKSUM_BYTES].copy_from_slice(&sum.to_le_bytes());
        let stream_end = HEAD_BYTES + place.stream.len();
        let type_end = stream_end + event.event_type.len();
        Record {
            raw: raw.freeze(),
            position: place.position,
            revision: place.revision,
            id: event.id,
            created_ticks: place.created_ticks,
            is_json: event.is_json,
            stream_end,
            type_end,
            metadata_end: type_end + event.metadata.len(),
        }
    }

    /// Reads the record that was stored at `position`.
    pub fn decode(position: u64, raw: Bytes) -> Result<Self, RecordError> {
        if raw.len() < HEAD_BYTES {
            return Err(RecordError::Cut { found: raw.len(), needed: HEAD_BYTES });
        }
        let stored = u32::from_le_bytes(array(&raw, 0));
        let found = checksum(position, &raw[CHECKSUM_BYTES..]);
        if stored != found {
            return Err(RecordError::Checksum { stored, found });
        }
        if raw[4] != VERSION {
            return Err(RecordError::Version(raw[4]));
        }
        let stream_end = HEAD_BYTES + usize::from(u16::from_le_bytes(array(&raw, 38)));
        let type_end = stream_end + usize::from(u16::from_le_bytes(array(&raw, 40)));
        let metadata_end = u32::from_le_bytes(array(&raw, 42)) as usize + type_end;
        if raw.len() < metadata_end {
            return Err(RecordError::Cut { found: raw.len(), needed: metadata_end });
        }
        Ok(Record {
            position,
            revision: u64::from_le_bytes(array(&raw, 6)),
            id: Uuid::from_bytes(array(&raw, 14)),
            created_ticks: u64::from_le_bytes(array(&raw, 30)),
            is_json: raw[5] & JSON != 0,
            stream_end,
            type_end,
            metadata_end,
            raw,
        })
    }

    /// The whole record as it is stored.
    pub fn raw(&self) -> &Bytes {
        &self.raw
    }

    /// Position in the log: above 0, one more for each event.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The event's number in its stream, from 0.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// The writer's name for the event.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// When it was recorded: ticks of 100 ns since 1970.
    pub fn created_ticks(&self) -> u64 {
        self.created_ticks
    }

    /// Whether it may change who may do what: it is a stream's metadata, or a setting, or closes a stream, which takes its
    /// metadata along.
    pub fn is_about_access(&self) -> bool {
        self.stream().starts_with(b"$$")
            || self.stream() == b"$settings"
            || self.revision == TOMBSTONE_REVISION
    }

    /// Whether the data is JSON.
    pub fn is_json(&self) -> bool {
        self.is_json
    }

    /// The stream's name (UTF-8).
    pub fn stream(&self) -> &[u8] {
        &self.raw[HEAD_BYTES..self.stream_end]
    }

    /// The event type's name (UTF-8).
    pub fn event_type(&self) -> &[u8] {
        &self.raw[self.stream_end..self.type_end]
    }

    /// The writer's own metadata.
    pub fn metadata(&self) -> &[u8] {
        &self.raw[self.type_end..self.metadata_end]
    }

    /// The event's data.
    pub fn data(&self) -> &[u8] {
        &self.raw[self.metadata_end..]
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Record")
            .field("position", &self.position)
            .field("stream", &String::from_utf8_lossy(self.stream()))
            .field("revision", &self.revision)
            .field("type", &String::from_utf8_lossy(self.event_type()))
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

fn array<const N: usize>(raw: &[u8], from: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&raw[from..from + N]);
    bytes
}

fn checksum(position: u64, rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&position.to_be_bytes());
    hasher.update(rest);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let event = ProposedEvent {
            id: Uuid::from_u128(7),
            event_type: "cart.item_added.v1".into(),
            is_json: true,
            metadata: Bytes::from_static(b"{\"a\":1}"),
            data: Bytes::from_static(b"{\"sku\":\"x\"}"),
        };
        Record::new(Place { stream: "cart-1", revision: 3, position: 99, created_ticks: 12 }, &event)
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let written = record();
        let read = Record::decode(99, written.raw().clone()).unwrap();
        assert_eq!(read, written);
        assert_eq!(read.stream(), b"cart-1");
        assert_eq!(read.event_type(), b"cart.item_added.v1");
        assert_eq!(read.metadata(), b"{\"a\":1}");
        assert_eq!(read.data(), b"{\"sku\":\"x\"}");
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let written = record();
        for byte in 0..written.raw().len() {
            let mut damaged = written.raw().to_vec();
            damaged[byte] ^= 1;
            assert!(Record::decode(99, Bytes::from(damaged)).is_err(), "byte {byte}");
        }
    }

    #[test]
    fn every_cut_is_found() {
        let written = record();
        for end in 0..written.raw().len() {
            assert!(Record::decode(99, written.raw().slice(..end)).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn a_record_at_another_position_is_found() {
        assert!(matches!(Record::decode(98, record().raw().clone()), Err(RecordError::Checksum { .. })));
    }
}
