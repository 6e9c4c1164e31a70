//! The ids of recent events, so that a retry without an expected revision is recognised.

use std::collections::{HashMap, VecDeque};

use uuid::Uuid;

use crate::index::StreamNumber;

/// Where an event already stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    /// Its number in its stream.
    pub revision: u64,
    /// Its position in the log.
    pub position: u64,
}

/// What the recent ids say about an append.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No id was seen before.
    New,
    /// All of them were, one after the other; this is the last.
    Repeated(Seen),
    /// Some were and some were not.
    Mixed,
}

/// A bounded memory of recent event ids for each stream.
#[derive(Debug)]
pub struct RecentIds {
    limit: usize,
    seen: HashMap<(StreamNumber, Uuid), Seen>,
    order: VecDeque<(StreamNumber, Uuid, u64)>,
}

impl RecentIds {
    /// Remembers at most `limit` events.
    pub fn new(limit: usize) -> Self {
        RecentIds { limit, seen: HashMap::new(), order: VecDeque::new() }
    }

    /// Remembers an event.
    pub fn add(&mut self, stream: StreamNumber, id: Uuid, seen: Seen) {
        self.seen.insert((stream, id), seen);
        self.order.push_back((stream, id, seen.revision));
        while self.order.len() > self.limit {
            let Some((stream, id, revision)) = self.order.pop_front() else { break };
            // The same id may have been used again since, at a later number.
            if self.seen.get(&(stream, id)).is_some_and(|s| s.revision == revision) {
                self.seen.remove(&(stream, id));
            }
        }
    }

    /// Compares an append's ids with what was seen.
    pub fn compare(&self, stream: StreamNumber, ids: impl Iterator<Item = Uuid>) -> Verdict {
        let mut fresh = 0;
        let mut last: Option<Seen> = None;
        for id in ids {
            match self.seen.get(&(stream, id)) {
                None => fresh += 1,
                // One append may use an id more than once; only its last use is remembered.
                Some(seen) if last.is_none_or(|l| l == *seen || l.revision + 1 == seen.revision) => {
                    last = Some(*seen);
                }
                Some(_) => return Verdict::Mixed,
            }
        }
        match (fresh, last) {
            (_, None) => Verdict::New,
            (0, Some(seen)) => Verdict::Repeated(seen),
            _ => Verdict::Mixed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamNumber = StreamNumber(1);

    fn ids(numbers: &[u128]) -> impl Iterator<Item = Uuid> {
        numbers.iter().map(|n| Uuid::from_u128(*n))
    }

    #[test]
    fn repeats_are_told_from_new_and_mixed() {
        let mut recent = RecentIds::new(10);
        for n in 0..3 {
            recent.add(STREAM, Uuid::from_u128(u128::from(n)), Seen { revision: n, position: n + 10 });
        }
        assert_eq!(recent.compare(STREAM, ids(&[7, 8])), Verdict::New);
        assert_eq!(recent.compare(StreamNumber(2), ids(&[0])), Verdict::New);
        assert_eq!(
            recent.compare(STREAM, ids(&[0, 1])),
            Verdict::Repeated(Seen { revision: 1, position: 11 })
        );
        assert_eq!(recent.compare(STREAM, ids(&[2, 8])), Verdict::Mixed);
        assert_eq!(recent.compare(STREAM, ids(&[8, 2])), Verdict::Mixed);
        assert_eq!(recent.compare(STREAM, ids(&[1, 0])), Verdict::Mixed);
    }

    #[test]
    fn the_oldest_are_forgotten_but_not_a_newer_use_of_the_same_id() {
        let mut recent = RecentIds::new(2);
        let seen = |revision| Seen { revision, position: revision + 1 };
        recent.add(STREAM, Uuid::from_u128(0), seen(0));
        recent.add(STREAM, Uuid::from_u128(0), seen(1));
        recent.add(STREAM, Uuid::from_u128(1), seen(2));
        assert_eq!(recent.compare(STREAM, ids(&[0])), Verdict::Repeated(seen(1)));
        assert_eq!(recent.compare(STREAM, ids(&[0, 0])), Verdict::Repeated(seen(1)));
        recent.add(STREAM, Uuid::from_u128(2), seen(3));
        assert_eq!(recent.compare(STREAM, ids(&[0])), Verdict::New);
    }
}
