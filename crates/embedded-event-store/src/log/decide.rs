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

use super::recent::{RecentIds, Seen, Verdict};
use super::record::{Place, ProposedEvent, Record, TOMBSTONE_REVISION};
use super::writer::{Change, Expected, WriteError, Written};
use super::{Log, StorageError};
use crate::index::StreamNumber;
use crate::metadata::{StreamMetadata, metadata_stream, subject_of};

const HEADS_IN_MEMORY: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");
const RECENT_IDS: usize = 200_000;

#[derive(Debug, Clone, Copy)]
struct Head {
    number: Option<StreamNumber>,
    last: Option<u64>,
    truncate_before: u64,
}

impl Head {
    fn is_tombstoned(&self) -> bool {
        self.last == Some(TOMBSTONE_REVISION)
    }

    fn is_soft_deleted(&self) -> bool {
        self.truncate_before == TOMBSTONE_REVISION && self.last.is_some()
    }
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
    recent: RecentIds,
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
        if head.is_tombstoned() {
            return Err(WriteError::StreamDeleted { stream: stream.to_owned() });
        }
        if expected == Expected::StreamExists {
            self.check_exists(stream, head)?;
        }
        match change {
            // The metadata of a tombstoned stream may still be written, as the protocol's own server has it.
            Change::Append(events) => self.append(stream, expected, head, events),
            Change::Delete => {
                self.check(stream, expected, head)?;
                if !self.has_anything(stream, head)? {
                    // There is nothing to hide, whatever was expected.
                    return Err(WriteError::WrongExpected {
                        stream: stream.to_owned(),
                        expected,
                        current: None,
                    });
                }
                self.soft_delete(stream)
            }
            Change::Tombstone => {
                self.check(stream, expected, head)?;
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

    fn append(
        &mut self,
        stream: &str,
        expected: Expected,
        head: Head,
        events: &[ProposedEvent],
    ) -> Result<Written, WriteError> {
        let wrong = || WriteError::WrongExpected { stream: stream.to_owned(), expected, current: head.last };
        let repeated = match (expected, head.last) {
            (Expected::NoStream, None) => None,
            (Expected::NoStream, Some(_)) if head.is_soft_deleted() => None,
            (Expected::NoStream, Some(_)) => {
                let again = match self.repeated_at(head, 0, events)? {
                    None => self.repeated_at(head, head.truncate_before, events)?,
                    again => again,
                };
                Some(again.ok_or_else(wrong)?)
            }
            (Expected::Revision(e), Some(last)) if e == last => None,
            (Expected::Revision(e), Some(last)) if e < last => {
                Some(self.repeated_at(head, e + 1, events)?.ok_or_else(wrong)?)
            }
            (Expected::Revision(_), _) => return Err(wrong()),
            (Expected::Any | Expected::StreamExists, _) => {
                self.seen_recently(head, events).map_err(|()| wrong())?
            }
        };
        if let Some(seen) = repeated {
            return Ok(Written { revision: Some(seen.revision), position: Some(seen.position) });
        }
        if events.is_empty() {
            return Ok(Written { revision: head.last, position: None });
        }
        let first = head.last.map_or(0, |last| last + 1);
        if head.is_soft_deleted() {
            self.write_metadata(stream, |metadata| metadata.truncate_before = Some(first))?;
        }
        let mut written = Written { revision: None, position: None };
        for (revision, event) in (first..).zip(events) {
            written = self.push(stream, revision, event)?;
        }
        if let (Some(subject), Some(newest)) = (subject_of(stream), events.last()) {
            let before = self.head(subject)?;
            self.note_metadata(subject, &StreamMetadata::parse(&newest.data));
            // New metadata makes a deleted stream a stream again. What was deleted stays deleted.
            if before.is_soft_deleted() && !before.is_tombstoned() {
                let next = before.last.map_or(0, |last| last + 1);
                self.write_metadata(subject, |metadata| metadata.truncate_before = Some(next))?;
            }
        }
        Ok(written)
    }

    /// Whether the stream is there: by its events, or by its metadata alone. A deleted one is not.
    fn check_exists(&mut self, stream: &str, head: Head) -> Result<(), WriteError> {
        if head.is_soft_deleted() {
            return Err(WriteError::StreamDeleted { stream: stream.to_owned() });
        }
        if self.has_anything(stream, head)? {
            return Ok(());
        }
        Err(WriteError::WrongExpected {
            stream: stream.to_owned(),
            expected: Expected::StreamExists,
            current: None,
        })
    }

    /// Whether the stream has events, or at least metadata.
    fn has_anything(&mut self, stream: &str, head: Head) -> Result<bool, StorageError> {
        Ok(head.last.is_some()
            || subject_of(stream).is_none() && self.head(&metadata_stream(stream))?.last.is_some())
    }

    /// Expected revisions of changes that are not appends.
    fn check(&self, stream: &str, expected: Expected, head: Head) -> Result<(), WriteError> {
        let holds = match expected {
            // That it exists was checked before.
            Expected::Any | Expected::StreamExists => true,
            Expected::NoStream => head.last.is_none() || head.is_soft_deleted(),
            Expected::Revision(revision) => head.last == Some(revision),
        };
        if holds {
            return Ok(());
        }
        Err(WriteError::WrongExpected { stream: stream.to_owned(), expected, current: head.last })
    }

    /// The last of the events, if exactly these stand in the stream from `revision` on.
    fn repeated_at(
        &self,
        head: Head,
        revision: u64,
        events: &[ProposedEvent],
    ) -> Result<Option<Seen>, StorageError> {
        let (Some(number), Some(newest)) = (head.number, head.last) else { return Ok(None) };
        let mut last = None;
        for (revision, event) in (revision..=newest).zip(events) {
            let Some(record) = self.record_at(number, revision)? else { return Ok(None) };
            if record.id() != event.id {
                return Ok(None);
            }
            last = Some((revision, record.position()));
        }
        let end = revision + events.len() as u64;
        Ok(last
            .filter(|(revision, _)| revision + 1 == end)
            .map(|(revision, position)| Seen { revision, position }))
    }

    fn seen_recently(&self, head: Head, events: &[ProposedEvent]) -> Result<Option<Seen>, ()> {
        let Some(number) = head.number else { return Ok(None) };
        match self.recent.compare(number, events.iter().map(|e| e.id)) {
            Verdict::New => Ok(None),
            Verdict::Repeated(seen) => Ok(Some(seen)),
            Verdict::Mixed => Err(()),
        }
    }

    fn soft_delete(&mut self, stream: &str) -> Result<Written, WriteError> {
        self.write_metadata(stream, |metadata| metadata.truncate_before = Some(TOMBSTONE_REVISION))
    }

    fn write_metadata(
        &mut self,
        stream: &str,
        change: impl FnOnce(&mut StreamMetadata),
    ) -> Result<Written, WriteError> {
        let name = metadata_stream(stream);
        let head = self.head(&name)?;
        let mut metadata = self.metadata_from(head)?;
        change(&mut metadata);
        let event = ProposedEvent {
            id: Uuid::new_v4(),
            event_type: "$metadata".to_owned(),
            is_json: true,
            metadata: Bytes::new(),
            data: metadata.to_json(),
        };
        let written = self.push(&name, head.last.map_or(0, |last| last + 1), &event)?;
        self.note_metadata(stream, &metadata);
        Ok(written)
    }

    fn note_metadata(&mut self, stream: &str, metadata: &StreamMetadata) {
        if let Some(head) = self.heads.peek_mut(stream) {
            head.truncate_before = metadata.truncate_before.unwrap_or(0);
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
        self.pending.insert((number, revision), Arc::clone(&record));
        self.decided.records.push((number, record));
        Ok(Written { revision: Some(revision), position: Some(position) })
    }

    fn head(&mut self, stream: &str) -> Result<Head, StorageError> {
        if let Some(head) = self.heads.get(stream) {
            return Ok(*head);
        }
        let mut head = Head { number: self.log.index.stream(stream)?, last: None, truncate_before: 0 };
        if let Some(number) = head.number {
            head.last = self.log.index.last(number, u64::MAX)?.map(|(revision, _)| revision);
        }
        if subject_of(stream).is_none() {
            let of_metadata = self.head(&metadata_stream(stream))?;
            head.truncate_before = self.metadata_from(of_metadata)?.truncate_before.unwrap_or(0);
        }
        self.heads.put(stream.to_owned(), head);
        Ok(head)
    }

    fn metadata_from(&self, head: Head) -> Result<StreamMetadata, StorageError> {
        let (Some(number), Some(last)) = (head.number, head.last) else {
            return Ok(StreamMetadata::default());
        };
        let record = self.record_at(number, last)?;
        Ok(record.map(|record| StreamMetadata::parse(record.data())).unwrap_or_default())
    }

    fn record_at(&self, number: StreamNumber, revision: u64) -> Result<Option<Arc<Record>>, StorageError> {
        if let Some(record) = self.pending.get(&(number, revision)) {
            return Ok(Some(Arc::clone(record)));
        }
        self.log.index.position(number, revision)?.map(|position| self.log.record(position)).transpose()
    }
}
