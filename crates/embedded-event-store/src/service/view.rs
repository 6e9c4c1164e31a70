//! How much of a stream is to be seen: what its metadata hides, and whether it is deleted.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::index::StreamNumber;
use crate::log::record::{Record, TOMBSTONE_REVISION};
use crate::log::{Log, StorageError};
use crate::metadata::{StreamMetadata, metadata_stream, subject_of};

/// What there is of a stream.
#[derive(Debug, Clone, Copy)]
pub enum StreamState {
    /// Nothing, or nothing any more.
    Missing,
    /// It is closed for ever.
    Deleted,
    /// Events, seen through this.
    Visible(View),
}

/// The visible part of a stream.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The stream's number.
    pub number: StreamNumber,
    /// The oldest revision that is not hidden; it may be beyond the newest.
    pub first: u64,
    /// The newest revision.
    pub last: u64,
    /// Events recorded before this are hidden (ticks of 100 ns since 1970); 0 hides none.
    pub not_before_ticks: u64,
}

impl View {
    /// Looks at a stream as of the position `visible`.
    pub fn of(log: &Log, stream: &str, visible: u64) -> Result<StreamState, StorageError> {
        let subject = subject_of(stream);
        if is_subject_closed(log, stream, visible)? {
            return Ok(StreamState::Deleted);
        }
        let Some((number, last)) = last_of(log, stream, visible)? else { return Ok(StreamState::Missing) };
        if last == TOMBSTONE_REVISION {
            return Ok(StreamState::Deleted);
        }
        let metadata = match subject {
            Some(_) => StreamMetadata::of_metadata_stream(),
            None => metadata_of(log, stream, visible)?,
        };
        if metadata.is_soft_deleted() {
            return Ok(StreamState::Missing);
        }
        let not_before_ticks = metadata.not_before_ticks(ticks_now());
        Ok(StreamState::Visible(View { number, first: metadata.first(last), last, not_before_ticks }))
    }

    /// Whether the event is young enough.
    pub fn shows(&self, record: &Record) -> bool {
        record.created_ticks() >= self.not_before_ticks
    }
}

/// A stream that is closed takes its metadata along, even if it never had any, and the metadata's metadata.
fn is_subject_closed(log: &Log, stream: &str, visible: u64) -> Result<bool, StorageError> {
    let mut subject = subject_of(stream);
    while let Some(name) = subject {
        if last_of(log, name, visible)?.is_some_and(|(_, last)| last == TOMBSTONE_REVISION) {
            return Ok(true);
        }
        subject = subject_of(name);
    }
    Ok(false)
}

fn last_of(log: &Log, stream: &str, visible: u64) -> Result<Option<(StreamNumber, u64)>, StorageError> {
    let Some(number) = log.index.stream(stream)? else { return Ok(None) };
    Ok(log.index.last(number, visible)?.map(|(revision, _)| (number, revision)))
}

fn metadata_of(log: &Log, stream: &str, visible: u64) -> Result<StreamMetadata, StorageError> {
    let Some(number) = log.index.stream(&metadata_stream(stream))? else {
        return Ok(StreamMetadata::default());
    };
    let Some((_, position)) = log.index.last(number, visible)? else { return Ok(StreamMetadata::default()) };
    Ok(StreamMetadata::of(&*log.record(position)?))
}

fn ticks_now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_nanos() / 100).unwrap_or(u64::MAX)
}
