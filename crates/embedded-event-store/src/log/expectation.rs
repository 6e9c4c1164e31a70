//! Whether a stream is as a change expects it, and whether the change was made before.
//!
//! Repeats are recognised as the protocol's own server does it, and before anything else is decided: the retry of an append
//! to a stream that has been deleted since does not bring the stream back.

use uuid::Uuid;

use super::decide::{Decider, Head};
use super::recent::Seen;
use super::record::TOMBSTONE_REVISION;
use super::writer::{Expected, WriteError};
use super::{StorageError, recent::Verdict};
use crate::metadata::subject_of;

impl Decider {
    /// Checks what a change expects. `None` if the change may be made; otherwise all its ids were written before, in the
    /// same place, and this is where the last of them stands.
    pub(super) fn check(
        &mut self,
        stream: &str,
        expected: Expected,
        head: Head,
        ids: &[Uuid],
    ) -> Result<Option<Seen>, WriteError> {
        let wrong = || WriteError::wrong(stream, expected, head.last);
        if self.is_closed(stream, head)? || expected == Expected::StreamExists && head.is_soft_deleted {
            return Err(WriteError::StreamDeleted { stream: stream.to_owned() });
        }
        if expected == Expected::StreamExists && !self.has_anything(stream, head)? {
            return Err(wrong());
        }
        let first = match expected {
            Expected::Any | Expected::StreamExists => {
                let Some(number) = head.number else { return Ok(None) };
                return match self.recent.compare(number, ids) {
                    Verdict::New => Ok(None),
                    Verdict::Repeated(seen) => Ok(Some(seen)),
                    Verdict::Mixed => Err(wrong()),
                };
            }
            Expected::NoStream => 0,
            Expected::Revision(revision) if head.last.is_none_or(|last| revision > last) => {
                return Err(wrong());
            }
            Expected::Revision(revision) => revision + 1,
        };
        if first == head.last.map_or(0, |last| last + 1) {
            return Ok(None);
        }
        match self.stand_from(head, first, ids)? {
            Standing::All(seen) => Ok(Some(seen)),
            Standing::NotTheFirst if expected == Expected::NoStream && head.is_soft_deleted => Ok(None),
            Standing::Nothing | Standing::NotTheFirst | Standing::NotALater => Err(wrong()),
        }
    }

    /// Whether the stream is closed for ever. One that is takes its metadata along.
    fn is_closed(&mut self, stream: &str, mut head: Head) -> Result<bool, StorageError> {
        let mut stream = stream;
        loop {
            if head.last == Some(TOMBSTONE_REVISION) {
                return Ok(true);
            }
            let Some(subject) = subject_of(stream) else { return Ok(false) };
            head = self.head(subject)?;
            stream = subject;
        }
    }

    /// Whether exactly these ids stand in the stream from the revision `first` on, hidden or not.
    fn stand_from(&self, head: Head, first: u64, ids: &[Uuid]) -> Result<Standing, StorageError> {
        let mut standing = Standing::Nothing;
        let Some(number) = head.number else { return Ok(standing) };
        for (revision, id) in (first..).zip(ids) {
            match self.record_at(number, revision)? {
                Some(record) if record.id() == *id => {
                    standing = Standing::All(Seen { revision, position: record.position() });
                }
                _ if revision == first => return Ok(Standing::NotTheFirst),
                _ => return Ok(Standing::NotALater),
            }
        }
        Ok(standing)
    }
}

enum Standing {
    /// All do; here is the last.
    All(Seen),
    /// There are none.
    Nothing,
    /// Already the first does not.
    NotTheFirst,
    /// The first does, and a later one does not.
    NotALater,
}
