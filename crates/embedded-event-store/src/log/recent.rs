//! The ids of recent events, so that a retry without an expected revision is recognised.

use std::collections::hash_map::Entry;
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
    /// The first id was not seen before, or there is none.
    New,
    /// All of them were; this is the last.
    Repeated(Seen),
    /// The first was seen, and a later one was not; or the last stands too far before it.
    Mixed,
}

/// A bounded memory of recent event ids for each stream. Of an id that was used more than once, the first use counts.
#[derive(Debug)]
pub struct RecentIds {
    limit: usize,
    seen: HashMap<(StreamNumber, Uuid), Seen>,
    order: VecDeque<(StreamNumber, Uuid)>,
}

impl RecentIds {
    /// Remembers at most `limit` events.
    pub fn new(limit: usize) -> Self {
        RecentIds { limit, seen: HashMap::new(), order: VecDeque::new() }
    }

    /// Remembers an event.
    pub fn add(&mut self, stream: StreamNumber, id: Uuid, seen: Seen) {
        let Entry::Vacant(entry) = self.seen.entry((stream, id)) else { return };
        entry.insert(seen);
        self.order.push_back((stream, id));
        if self.order.len() > self.limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.seen.remove(&oldest);
        }
    }

    /// Compares an append's ids with what was seen.
    pub fn compare(&self, stream: StreamNumber, ids: &[Uuid]) -> Verdict {
        let mut seen = ids.iter().map(|id| self.seen.get(&(stream, *id)));
        let Some(Some(first)) = seen.next() else { return Verdict::New };
        let mut last = first;
        for seen in seen {
            let Some(seen) = seen else { return Verdict::Mixed };
            last = seen;
        }
        // The protocol's own server does not answer at all if the last stands farther before the first.
        if last.revision + 1 < first.revision { Verdict::Mixed } else { Verdict::Repeated(*last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamNumber = StreamNumber(1);

    fn ids(numbers: &[u128]) -> Vec<Uuid> {
        numbers.iter().map(|n| Uuid::from_u128(*n)).collect()
    }

    fn seen(revision: u64) -> Seen {
        Seen { revision, position: revision + 10 }
    }

    #[test]
    fn the_first_id_decides_and_the_others_must_agree() {
        let mut recent = RecentIds::new(10);
        for n in 0..3 {
            recent.add(STREAM, Uuid::from_u128(u128::from(n)), seen(n));
        }
        for new in [&[][..], &[7, 8], &[8, 2]] {
            assert_eq!(recent.compare(STREAM, &ids(new)), Verdict::New, "{new:?}");
        }
        assert_eq!(recent.compare(StreamNumber(2), &ids(&[0])), Verdict::New);
        for (repeated, last) in [(&[0, 1][..], 1), (&[1, 0, 2], 2), (&[0, 2], 2), (&[1, 0], 0), (&[1, 1], 1)]
        {
            assert_eq!(recent.compare(STREAM, &ids(repeated)), Verdict::Repeated(seen(last)), "{repeated:?}");
        }
        for mixed in [&[2, 8][..], &[2, 1, 0], &[0, 8, 1]] {
            assert_eq!(recent.compare(STREAM, &ids(mixed)), Verdict::Mixed, "{mixed:?}");
        }
    }

    #[test]
    fn the_first_use_of_an_id_counts_until_it_is_forgotten() {
        let mut recent = RecentIds::new(2);
        recent.add(STREAM, Uuid::from_u128(0), seen(0));
        recent.add(STREAM, Uuid::from_u128(0), seen(1));
        recent.add(STREAM, Uuid::from_u128(1), seen(2));
        assert_eq!(recent.compare(STREAM, &ids(&[0])), Verdict::Repeated(seen(0)));
        recent.add(STREAM, Uuid::from_u128(2), seen(3));
        assert_eq!(recent.compare(STREAM, &ids(&[0])), Verdict::New);
    }
}
