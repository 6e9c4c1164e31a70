//! Where each stream's events stand in the log.
//!
//! A stream has a number: the position of its first event. The names map to the numbers, and (number, revision) maps to
//! the event's position. Entries are written in the same batch as the events, so they are never ahead of the log or
//! behind it. Readers give the newest position that they may see, and get nothing beyond it.

use std::sync::Arc;

use fjall::{OwnedWriteBatch, UserKey};

use crate::log::StorageError;
use crate::log::database::{Disk, Tables};

/// A stream's number: the position of its first event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamNumber(pub u64);

/// The streams' names and the positions of their events.
#[derive(Clone)]
pub struct Index {
    disk: Arc<Disk>,
}

impl Index {
    /// The index inside the database.
    pub fn new(disk: Arc<Disk>) -> Self {
        Index { disk }
    }

    /// The stream's number, if it was ever written.
    pub fn stream(&self, name: &str) -> Result<Option<StreamNumber>, StorageError> {
        let found = self.disk.with(|tables| Ok(tables.names.get(name.as_bytes())?))?;
        found.map(|value| number(&value, "stream").map(StreamNumber)).transpose()
    }

    /// The stream's newest revision and its position, not beyond `visible`.
    pub fn last(&self, stream: StreamNumber, visible: u64) -> Result<Option<(u64, u64)>, StorageError> {
        self.disk.with(|tables| {
            for guard in tables.entries.range(key(stream, 0)..=key(stream, u64::MAX)).rev() {
                let (revision, position) = entry(guard.into_inner()?)?;
                if position <= visible {
                    return Ok(Some((revision, position)));
                }
            }
            Ok(None)
        })
    }

    /// The position of one event.
    pub fn position(&self, stream: StreamNumber, revision: u64) -> Result<Option<u64>, StorageError> {
        let found = self.disk.with(|tables| Ok(tables.entries.get(key(stream, revision))?))?;
        found.map(|value| number(&value, "position")).transpose()
    }

    /// Up to `count` positions with their revisions, from `from` upwards to `to` (both included).
    pub fn forwards(
        &self,
        stream: StreamNumber,
        (from, to): (u64, u64),
        visible: u64,
        count: usize,
    ) -> Result<Vec<(u64, u64)>, StorageError> {
        let mut found = Vec::new();
        if from > to {
            return Ok(found);
        }
        self.disk.with(|tables| {
            for guard in tables.entries.range(key(stream, from)..=key(stream, to)).take(count) {
                let (revision, position) = entry(guard.into_inner()?)?;
                if position > visible {
                    break;
                }
                found.push((revision, position));
            }
            Ok(found)
        })
    }

    /// Up to `count` positions with their revisions, from `to` downwards to `from` (both included).
    pub fn backwards(
        &self,
        stream: StreamNumber,
        (from, to): (u64, u64),
        visible: u64,
        count: usize,
    ) -> Result<Vec<(u64, u64)>, StorageError> {
        let mut found = Vec::new();
        if from > to {
            return Ok(found);
        }
        self.disk.with(|tables| {
            for guard in tables.entries.range(key(stream, from)..=key(stream, to)).rev() {
                let (revision, position) = entry(guard.into_inner()?)?;
                if position <= visible {
                    found.push((revision, position));
                }
                if found.len() >= count {
                    break;
                }
            }
            Ok(found)
        })
    }
}

/// Notes a new stream in the group.
pub fn add_stream(tables: &Tables, group: &mut OwnedWriteBatch, name: &str, stream: StreamNumber) {
    group.insert(&tables.names, name.as_bytes(), stream.0.to_be_bytes());
}

/// Notes an event's position in the group.
pub fn add_event(
    tables: &Tables,
    group: &mut OwnedWriteBatch,
    stream: StreamNumber,
    revision: u64,
    position: u64,
) {
    group.insert(&tables.entries, key(stream, revision), position.to_be_bytes());
}

fn key(stream: StreamNumber, revision: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&stream.0.to_be_bytes());
    key[8..].copy_from_slice(&revision.to_be_bytes());
    key
}

fn entry((key, value): (UserKey, UserKey)) -> Result<(u64, u64), StorageError> {
    let revision = key.get(8..).unwrap_or_default();
    Ok((number(revision, "revision")?, number(&value, "position")?))
}

fn number(bytes: &[u8], what: &'static str) -> Result<u64, StorageError> {
    let bytes = bytes.try_into().map_err(|_| StorageError::Index { what, bytes: bytes.len() })?;
    Ok(u64::from_be_bytes(bytes))
}
