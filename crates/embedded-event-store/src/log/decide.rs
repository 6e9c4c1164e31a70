//! Whether a change to a stream is accepted, and the records that it becomes.
//!
//! One thread decides, in the order in which the changes arrived. What it has decided but not yet written counts for the
//! changes behind it: if the write fails, the process ends, so nothing is ever decided on what did not happen.

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lru::LruCache;
use uuid::Uuid;

use super::recent::{RecentIds, Seen};
use super::record::{Place, ProposedEvent, Record, TOMBSTONE_REVISION};
use super::writer::{Change, Expected, WriteError, Written};
use super::{Log, StorageError};
use crate::index::StreamNumber;
use crate::metadata::{self, StreamMetadata, metadata_stream, subject_of};

const HEADS_IN_MEMORY: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");
const RECENT_IDS: usize = 200_000;

#[derive(Debug, Clone, Copy)]
pub(super) struct Head {
    pub(super) number: Option<StreamNumber>,
    pub(super) last: Option<u64>,
    pub(super) is_soft_deleted: bool,
}

/// What is to be written in one go.
pub struct Decided {
    /// The new records, in order.
    pub records: Vec<(StreamNumber, Arc<Record>)>,
    /// The streams that begin with them.
    pub new_streams: Vec<(String, StreamNumber)>,
}

/// Decides changes, one after the other.
pub struct Decider {
    log: Arc<Log>,
    next_position: u64,
    now_ticks: u64,
    heads: LruCache<String, Head>,
    pub(super) recent: RecentIds,
    pending: HashMap<(StreamNumber, u64), Arc<Record>>,
    decided: Decided,
}

impl Decider {
    /// Continues the log, and remembers the ids of its newest events, so that retries across a restart are recognised.
    pub fn new(log: Arc<Log>) -> Result<Self, StorageError> {
        let head = log.head();
        let mut decider = Decider {
            next_position: head + 1,
            now_ticks: 0,
            heads: LruCache::new(HEADS_IN_MEMORY),
            recent: RecentIds::new(RECENT_IDS),
            pending: HashMap::new(),
            decided: Decided { records: Vec::new(), new_streams: Vec::new() },
            log,
        };
        for record in decider.log.newest()? {
            let name = String::from_utf8_lossy(record.stream()).into_owned();
            if let Some(number) = decider.log.index.stream(&name)? {
                let seen = Seen { revision: record.revision(), position: record.position() };
                decider.recent.add(number, record.id(), seen);
            }
        }
        Ok(decider)
    }

    /// Starts a new group of changes.
    pub fn begin(&mut self) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.now_ticks = u64::try_from(now.as_nanos() / 100).unwrap_or(u64::MAX);
    }

    /// The group's records; the next group starts empty.
    pub fn take(&mut self) -> Decided {
        self.pending.clear();
        Decided {
            records: std::mem::take(&mut self.decided.records),
            new_streams: std::mem::take(&mut self.decided.new_streams),
        }
    }

    /// Decides one change.
    pub fn decide(
        &mut self,
        stream: &str,
        expected: Expected,
        change: &Change,
    ) -> Result<Written, WriteError> {
        let head = self.head(stream)?;
        match change {
            Change::Append(events) => {
                let ids: Vec<Uuid> = events.iter().map(|event| event.id).collect();
                match self.check(stream, expected, head, &ids)? {
                    None => self.append(stream, head, events),
                    Some(seen) => self.repeated(stream, head, seen),
                }
            }
            Change::Delete => {
                self.check(stream, expected, head, &[Uuid::new_v4()])?;
                if !self.has_anything(stream, head)? {
                    // There is nothing to hide, whatever was expected.
                    return Err(WriteError::wrong(stream, expected, None));
                }
                self.write_metadata(stream, metadata::soft_delete())
            }
            Change::Tombstone => {
                self.check(stream, expected, head, &[Uuid::new_v4()])?;
                let event = ProposedEvent {
                    id: Uuid::new_v4(),
                    event_type: "$streamDeleted".to_owned(),
                    is_json: false,
                    metadata: Bytes::new(),
                    data: Bytes::new(),
                };
                self.push(stream, TOMBSTONE_REVISION, &event)
            }
        }
    }

    /// Writes events that were found to be new. A soft-deleted stream goes on with them; metadata for one makes it a stream
    /// again, from behind what was deleted. Both show in the log after the events.
    fn append(&mut self, stream: &str, head: Head, events: &[ProposedEvent]) -> Result<Written, WriteError> {
        let deleted_subject = match subject_of(stream) {
            Some(subject) if self.head(subject)?.is_soft_deleted => Some(subject),
            _ => None,
        };
        let first = next(head.last);
        let mut written = Written { revision: head.last, position: Some(self.next_position - 1) };
        for (revision, event) in (first..).zip(events) {
            written = self.push(stream, revision, event)?;
        }
        if head.is_soft_deleted {
            self.go_on(stream, first)?;
        }
        if let Some(subject) = deleted_subject {
            let last = self.head(subject)?.last;
            self.go_on(subject, next(last))?;
        }
        Ok(written)
    }

    /// The answer to events that were written before. Where they stand is only said of what can be read.
    fn repeated(&mut self, stream: &str, head: Head, seen: Seen) -> Result<Written, WriteError> {
        let (Some(number), Some(last)) = (head.number, head.last) else {
            return Ok(Written { revision: Some(seen.revision), position: None });
        };
        let metadata = match subject_of(stream) {
            Some(_) => StreamMetadata::of_metadata_stream(),
            None => {
                self.newest_metadata(stream)?.map(|newest| StreamMetadata::of(&newest)).unwrap_or_default()
            }
        };
        let not_before = metadata.not_before_ticks(self.now_ticks);
        let shows = seen.revision >= metadata.first(last)
            && (not_before == 0
                || self
                    .record_at(number, seen.revision)?
                    .is_some_and(|record| record.created_ticks() >= not_before));
        Ok(Written { revision: Some(seen.revision), position: shows.then_some(seen.position) })
    }

    /// Whether the stream has events, or at least metadata.
    pub(super) fn has_anything(&mut self, stream: &str, head: Head) -> Result<bool, StorageError> {
        Ok(head.last.is_some() || self.head(&metadata_stream(stream))?.last.is_some())
    }

    /// Makes a soft-deleted stream a stream again, from the revision `first` on.
    fn go_on(&mut self, stream: &str, first: u64) -> Result<(), WriteError> {
        let newest = self.newest_metadata(stream)?;
        if let Some(metadata) = newest.and_then(|newest| metadata::go_on(newest.data(), first)) {
            self.write_metadata(stream, metadata)?;
        }
        Ok(())
    }

    fn write_metadata(&mut self, stream: &str, metadata: Bytes) -> Result<Written, WriteError> {
        let of_metadata = metadata_stream(stream);
        let last = self.head(&of_metadata)?.last;
        let event = ProposedEvent {
            id: Uuid::new_v4(),
            event_type: "$metadata".to_owned(),
            is_json: true,
            metadata: Bytes::new(),
            data: metadata,
        };
        self.push(&of_metadata, next(last), &event)
    }

    fn newest_metadata(&mut self, stream: &str) -> Result<Option<Arc<Record>>, StorageError> {
        let head = self.head(&metadata_stream(stream))?;
        match (head.number, head.last) {
            (Some(number), Some(last)) => self.record_at(number, last),
            _ => Ok(None),
        }
    }

    /// Adds one record to the group.
    fn push(&mut self, stream: &str, revision: u64, event: &ProposedEvent) -> Result<Written, WriteError> {
        let position = self.next_position;
        let mut head = self.head(stream)?;
        let number = match head.number {
            Some(number) => number,
            None => {
                let number = StreamNumber(position);
                self.decided.new_streams.push((stream.to_owned(), number));
                number
            }
        };
        self.next_position += 1;
        let place = Place { stream, revision, position, created_ticks: self.now_ticks };
        let record = Arc::new(Record::new(place, event));
        head.number = Some(number);
        head.last = Some(revision);
        self.heads.put(stream.to_owned(), head);
        self.recent.add(number, event.id, Seen { revision, position });
        if let Some(subject) = subject_of(stream)
            && subject_of(subject).is_none()
            && let Some(head) = self.heads.peek_mut(subject)
        {
            head.is_soft_deleted = StreamMetadata::of(&record).is_soft_deleted();
        }
        self.pending.insert((number, revision), Arc::clone(&record));
        self.decided.records.push((number, record));
        Ok(Written { revision: Some(revision), position: Some(position) })
    }

    pub(super) fn head(&mut self, stream: &str) -> Result<Head, StorageError> {
        if let Some(head) = self.heads.get(stream) {
            return Ok(*head);
        }
        let mut head = Head { number: self.log.index.stream(stream)?, last: None, is_soft_deleted: false };
        if let Some(number) = head.number {
            head.last = self.log.index.last(number, u64::MAX)?.map(|(revision, _)| revision);
        }
        // Metadata cannot be soft-deleted.
        if subject_of(stream).is_none() {
            let newest = self.newest_metadata(stream)?;
            head.is_soft_deleted = newest.is_some_and(|newest| StreamMetadata::of(&newest).is_soft_deleted());
        }
        self.heads.put(stream.to_owned(), head);
        Ok(head)
    }

    pub(super) fn record_at(
        &self,
        number: StreamNumber,
        revision: u64,
    ) -> Result<Option<Arc<Record>>, StorageError> {
        if let Some(record) = self.pending.get(&(number, revision)) {
            return Ok(Some(Arc::clone(record)));
        }
        self.log.index.position(number, revision)?.map(|position| self.log.record(position)).transpose()
    }
}

/// The revision of the next event.
fn next(last: Option<u64>) -> u64 {
    last.map_or(0, |last| last + 1)
}
