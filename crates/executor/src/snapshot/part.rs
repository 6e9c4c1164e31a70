//! The parts of a snapshot: what stands before each, and how a set comes together again.

use bytes::Bytes;
use domain::inventory::UnreadableSnapshot;
use event_store::{Position, RecordedEvent};
use uuid::Uuid;

/// The name of a part on disk.
pub const PART_TYPE: &str = "snapshot.part_recorded.v1";

/// What a part says of itself and of its set: what it is a snapshot of, and at which event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub set: Uuid,
    /// Its place in the set, from 0.
    pub index: u64,
    /// The parts of the set.
    pub count: u64,
    /// The last event that is in the state: its revision, its position and its id.
    pub revision: u64,
    pub position: Position,
    pub event_id: Uuid,
}

impl Head {
    /// A part's head and what comes after it; `None` when the event is no part.
    pub fn of(event: &RecordedEvent) -> Option<(Self, Bytes)> {
        if event.event_type != PART_TYPE {
            return None;
        }
        let mut reader = Reader(&event.data);
        let head = Self::read(&mut reader).ok()?;
        let length = reader.0.len();
        Some((head, event.data.slice(event.data.len() - length..)))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, UnreadableSnapshot> {
        Ok(Self {
            set: Uuid::from_bytes(reader.array()?),
            index: reader.number()?,
            count: reader.number()?,
            revision: reader.number()?,
            position: Position::new(reader.number()?),
            event_id: Uuid::from_bytes(reader.array()?),
        })
    }

    /// The part's bytes: the head, and its share of the content.
    pub fn before(&self, content: &[u8]) -> Bytes {
        let mut bytes = Vec::with_capacity(2 * 16 + 4 * 8 + content.len());
        bytes.extend_from_slice(self.set.as_bytes());
        for number in [self.index, self.count, self.revision, self.position.value()] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(self.event_id.as_bytes());
        bytes.extend_from_slice(content);
        bytes.into()
    }

    /// Whether its set is whole when it is there.
    pub fn is_last(&self) -> bool {
        self.index.checked_add(1) == Some(self.count)
    }

    fn is_before(&self, next: &Self) -> bool {
        let as_next = Self { index: self.index.saturating_add(1), ..*self };
        as_next == *next
    }
}

/// Parts as they are met, from the newest on backwards.
#[derive(Default)]
pub struct Assembly {
    parts: Vec<(Head, Bytes)>,
}

impl Assembly {
    /// Takes the next older event of the stream, which may be no part; gives the newest set that is whole.
    pub fn add(&mut self, part: Option<(Head, Bytes)>) -> Option<(Head, Vec<u8>)> {
        let Some((head, bytes)) = part else {
            self.parts.clear();
            return None;
        };
        let goes_on = self.parts.last().is_some_and(|(next, _)| head.is_before(next));
        if !goes_on {
            self.parts.clear();
        }
        if goes_on || head.is_last() {
            self.parts.push((head, bytes));
        }
        if head.index > 0 || self.parts.is_empty() {
            return None;
        }
        let content: Vec<_> = self.parts.iter().rev().map(|(_, bytes)| bytes.as_ref()).collect();
        Some((head, content.concat()))
    }
}

/// Bytes that are not read yet.
pub struct Reader<'bytes>(pub &'bytes [u8]);

impl<'bytes> Reader<'bytes> {
    pub fn array<const LENGTH: usize>(&mut self) -> Result<[u8; LENGTH], UnreadableSnapshot> {
        let (array, rest) = self.0.split_first_chunk().ok_or(UnreadableSnapshot::Damaged)?;
        self.0 = rest;
        Ok(*array)
    }

    pub fn number(&mut self) -> Result<u64, UnreadableSnapshot> {
        self.array().map(u64::from_le_bytes)
    }

    pub fn bytes(&mut self, length: usize) -> Result<&'bytes [u8], UnreadableSnapshot> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(UnreadableSnapshot::Damaged)?;
        self.0 = rest;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Parts in the order in which they were written: the set, the place in it, how many there should be.
    fn newest(written: &[(u128, u64, u64)]) -> Option<(u128, Vec<u8>)> {
        let mut assembly = Assembly::default();
        let part = |&(set, index, count): &(u128, u64, u64)| {
            let head = Head {
                set: Uuid::from_u128(set),
                index,
                count,
                revision: 5,
                position: Position::new(6),
                event_id: Uuid::nil(),
            };
            (head, Bytes::from(vec![u8::try_from(set * 10).unwrap() + u8::try_from(index).unwrap()]))
        };
        let found = written.iter().rev().find_map(|written| assembly.add(Some(part(written))));
        found.map(|(head, content)| (head.set.as_u128(), content))
    }

    #[test]
    fn the_newest_set_that_is_whole_counts() {
        assert_eq!(newest(&[]), None);
        assert_eq!(newest(&[(1, 0, 1)]), Some((1, vec![10])));
        assert_eq!(newest(&[(1, 0, 2), (1, 1, 2)]), Some((1, vec![10, 11])));
        assert_eq!(newest(&[(1, 0, 1), (2, 0, 2), (2, 1, 2)]), Some((2, vec![20, 21])));
    }

    #[test]
    fn a_torn_set_leaves_the_one_before_it() {
        assert_eq!(newest(&[(1, 0, 2)]), None);
        assert_eq!(newest(&[(1, 1, 2)]), None);
        assert_eq!(newest(&[(1, 0, 2), (1, 1, 2), (2, 0, 2)]), Some((1, vec![10, 11])));
        assert_eq!(newest(&[(1, 0, 2), (1, 1, 2), (2, 0, 3), (2, 2, 3)]), Some((1, vec![10, 11])));
        // Another process wrote in between.
        assert_eq!(newest(&[(1, 0, 2), (2, 0, 1), (1, 1, 2)]), Some((2, vec![20])));
        assert_eq!(newest(&[(1, 0, 2), (2, 1, 2)]), None);
    }

    #[test]
    fn a_head_is_read_as_it_was_written() {
        let head = Head {
            set: Uuid::from_u128(1),
            index: 2,
            count: 3,
            revision: 4,
            position: Position::new(5),
            event_id: Uuid::from_u128(6),
        };
        let bytes = head.before(b"rest");
        let mut reader = Reader(&bytes);
        assert_eq!((Head::read(&mut reader).unwrap(), reader.0), (head, b"rest".as_slice()));
        assert!(Head::read(&mut Reader(&bytes[..40])).is_err());
    }
}
