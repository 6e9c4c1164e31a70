//! Reads a whole data folder that nobody has open, and says where the first damage is.
//!
//! Every record's checksum is looked at, and that every position has a record. The index must lead to each record, and
//! from each record to the one before it in its stream; so by the last record every stream is known to have no gap. In
//! the end the index must not know of more than the log holds.

use std::collections::HashMap;

use thiserror::Error;

use crate::config::Config;
use crate::index::StreamNumber;
use crate::log::record::{Record, TOMBSTONE_REVISION};
use crate::log::{Log, OpenError, StorageError};

const PAGE_RECORDS: usize = 1024;
const PAGE_BYTES: usize = 1024 * 1024;

/// What a sound data folder holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// All events, the store's own among them.
    pub events: u64,
    /// All streams that were ever written.
    pub streams: u64,
    /// The position of the newest event; 0 in an empty log.
    pub head: u64,
    /// The records' size in the log, in bytes.
    pub bytes: u64,
}

/// Why a data folder is not sound.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// It cannot be opened at all.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A record is damaged or missing, or an entry of the index cannot be read.
    #[error("the first damage is behind position {sound}")]
    Storage {
        /// All up to this position is sound.
        sound: u64,
        /// What is damaged, and where.
        #[source]
        source: StorageError,
    },
    /// The log and its index do not agree.
    #[error("the first damage is at position {position}, stream {stream:?}, revision {revision}: {what}")]
    Index {
        /// The record's position.
        position: u64,
        /// The record's stream.
        stream: String,
        /// The record's number in its stream.
        revision: u64,
        /// What is wrong.
        what: IndexDamage,
    },
}

/// How the index contradicts the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum IndexDamage {
    /// The stream is not in the index.
    #[error("the index does not know the stream")]
    UnknownStream,
    /// The index leads elsewhere.
    #[error("the index says that this event is at {found:?}")]
    WrongPosition {
        /// The position in the index; `None` if it has none.
        found: Option<u64>,
    },
    /// The events of a stream are not numbered one after the other.
    #[error("the stream's event before it has the revision {before:?}")]
    Gap {
        /// The revision of the event before; `None` if there is none.
        before: Option<u64>,
    },
    /// The index knows of an event that the log does not hold.
    #[error("this is the stream's last event, but the index has a later one, with the revision {found:?}")]
    BeyondTheLog {
        /// The newest revision in the index.
        found: Option<u64>,
    },
}

struct Stream {
    number: StreamNumber,
    revision: u64,
    position: u64,
}

/// Reads the whole data folder. `progress` hears now and then how many of how many events have been looked at. It waits
/// for the disk, needs memory for the streams' names, and locks the folder meanwhile.
///
/// # Errors
/// At the first damage, with its place; or when the folder cannot be opened.
pub fn verify(config: &Config, mut progress: impl FnMut(u64, u64)) -> Result<Verified, VerifyError> {
    let log = Log::open(config)?;
    let head = log.head();
    let mut streams: HashMap<Box<[u8]>, Stream> = HashMap::new();
    let mut next = 1;
    let mut bytes = 0;
    while next <= head {
        let storage = |source| VerifyError::Storage { sound: next - 1, source };
        let page = log.page((next, head), PAGE_RECORDS, PAGE_BYTES).map_err(storage)?;
        for record in &page {
            bytes += record.raw().len() as u64;
            check(&log, &mut streams, record)?;
            next = record.position() + 1;
        }
        progress(next - 1, head);
    }
    for (name, stream) in &streams {
        let storage = |source| VerifyError::Storage { sound: head, source };
        let last = log.index.last(stream.number, u64::MAX).map_err(storage)?;
        if last != Some((stream.revision, stream.position)) {
            return Err(VerifyError::Index {
                position: stream.position,
                stream: String::from_utf8_lossy(name).into_owned(),
                revision: stream.revision,
                what: IndexDamage::BeyondTheLog { found: last.map(|(revision, _)| revision) },
            });
        }
    }
    Ok(Verified { events: head, streams: streams.len() as u64, head, bytes })
}

/// Holds one record against the index and against the stream's record before it.
fn check(log: &Log, streams: &mut HashMap<Box<[u8]>, Stream>, record: &Record) -> Result<(), VerifyError> {
    let (position, revision) = (record.position(), record.revision());
    let name = || String::from_utf8_lossy(record.stream()).into_owned();
    let storage = |source| VerifyError::Storage { sound: position - 1, source };
    let damage = |what| VerifyError::Index { position, stream: name(), revision, what };
    let before = streams.get(record.stream()).map(|stream| stream.revision);
    let follows = match before {
        Some(before) => revision == before + 1 || (revision == TOMBSTONE_REVISION && before < revision),
        None => revision == 0 || revision == TOMBSTONE_REVISION,
    };
    if !follows {
        return Err(damage(IndexDamage::Gap { before }));
    }
    let number = match streams.get(record.stream()) {
        Some(stream) => stream.number,
        None => {
            let number = log.index.stream(&name()).map_err(storage)?;
            number.ok_or_else(|| damage(IndexDamage::UnknownStream))?
        }
    };
    let found = log.index.position(number, revision).map_err(storage)?;
    if found != Some(position) {
        return Err(damage(IndexDamage::WrongPosition { found }));
    }
    match streams.get_mut(record.stream()) {
        Some(stream) => (stream.revision, stream.position) = (revision, position),
        None => {
            streams.insert(record.stream().into(), Stream { number, revision, position });
        }
    }
    Ok(())
}
