//! A change to a stream, and what becomes of it.

use thiserror::Error;

use super::StorageError;
use super::record::ProposedEvent;

/// What the writer expects of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// That it has no events.
    NoStream,
    /// That it has events.
    StreamExists,
    /// That this is its newest revision.
    Revision(u64),
}

/// A change to a stream.
#[derive(Debug, Clone)]
pub enum Change {
    /// Add these events, all or none.
    Append(Vec<ProposedEvent>),
    /// Hide what is there; the stream may go on later.
    Delete,
    /// Close the stream for ever.
    Tombstone,
}

impl Change {
    /// Its size in bytes.
    pub(super) fn size(&self) -> usize {
        match self {
            Change::Append(events) => events.iter().map(ProposedEvent::size).sum(),
            Change::Delete | Change::Tombstone => 0,
        }
    }
}

/// An accepted change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The newest revision that it wrote; `None` if the stream has no events.
    pub revision: Option<u64>,
    /// The position of the last event that it wrote, or of the log's newest if it had none to write. `None` for a repeat
    /// whose events can no longer be read.
    pub position: Option<u64>,
}

/// Why a change was refused.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The stream is not as expected.
    #[error(
        "stream {stream} is not as expected ({expected:?}): its revision is {current:?}; read it and decide again"
    )]
    WrongExpected {
        /// The stream.
        stream: String,
        /// What was expected.
        expected: Expected,
        /// Its newest revision; `None` if it has no events.
        current: Option<u64>,
    },
    /// The stream is closed.
    #[error("stream {stream} is deleted")]
    StreamDeleted {
        /// The stream.
        stream: String,
    },
    /// The append has too many bytes.
    #[error("the append has {size} bytes and at most {max} are allowed; append fewer events at a time")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The largest size in bytes.
        max: usize,
    },
    /// The disk is nearly full.
    #[error(
        "the disk has {free} bytes left and {reserved} are reserved; make room, and appends are taken again"
    )]
    DiskFull {
        /// Bytes that are free.
        free: u64,
        /// Bytes that must stay free.
        reserved: u64,
    },
    /// The process has no descriptor left for a file. Nothing was written.
    #[error(
        "the process has no descriptor left for the event store's files; try again, and raise its limit for open files (ulimit -n)"
    )]
    NoDescriptors,
    /// The store is stopping.
    #[error("the event store is stopping; try again when it is back")]
    Stopping,
    /// The disk or the data failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl WriteError {
    /// The stream's newest revision is `current`, and that was not expected.
    pub(super) fn wrong(stream: &str, expected: Expected, current: Option<u64>) -> Self {
        WriteError::WrongExpected { stream: stream.to_owned(), expected, current }
    }
}
