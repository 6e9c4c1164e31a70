//! The newest events, kept in memory for everybody who follows the log.
//!
//! Hundreds of live subscribers read the same events: they share these records instead of reading the disk again.
//! The tail is bounded in bytes; who has fallen behind it reads from the disk until it has caught up.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError, RwLock};

use super::record::Record;

/// The newest records, without gaps, up to the newest committed one.
#[derive(Debug)]
pub struct Tail {
    limit_bytes: usize,
    state: RwLock<State>,
}

#[derive(Debug, Default)]
struct State {
    records: VecDeque<Arc<Record>>,
    bytes: usize,
}

impl Tail {
    /// An empty tail that keeps at most `limit_bytes` of records.
    pub fn new(limit_bytes: usize) -> Self {
        Tail { limit_bytes, state: RwLock::default() }
    }

    /// Adds records that are safely on disk, in order.
    pub fn push(&self, records: impl IntoIterator<Item = Arc<Record>>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            state.bytes += cost(&record);
            state.records.push_back(record);
        }
        while state.bytes > self.limit_bytes {
            let Some(oldest) = state.records.pop_front() else { break };
            state.bytes -= cost(&oldest);
        }
    }

    /// The records from `position` on, as many as the limits allow (at least one).
    /// `None` if the tail does not reach back that far, or has nothing at that position.
    pub fn page(&self, position: u64, max_count: usize, max_bytes: usize) -> Option<Vec<Arc<Record>>> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let first = state.records.front()?.position();
        let skip = usize::try_from(position.checked_sub(first)?).ok()?;
        if skip >= state.records.len() {
            return None;
        }
        let mut bytes = 0;
        let mut page = Vec::new();
        for record in state.records.range(skip..).take(max_count) {
            bytes += cost(record);
            if bytes > max_bytes && !page.is_empty() {
                break;
            }
            page.push(Arc::clone(record));
        }
        Some(page)
    }

    /// Whether the tail has the record at `position`.
    pub fn has(&self, position: u64) -> bool {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        let reaches = |record: Option<&Arc<Record>>| record.map(|record| record.position());
        let (oldest, newest) = (reaches(state.records.front()), reaches(state.records.back()));
        oldest.is_some_and(|oldest| oldest <= position) && newest >= Some(position)
    }

    /// The record at `position`, if the tail has it.
    pub fn get(&self, position: u64) -> Option<Arc<Record>> {
        self.page(position, 1, usize::MAX)?.pop()
    }
}

fn cost(record: &Record) -> usize {
    record.raw().len() + size_of::<Record>()
}

#[cfg(test)]
mod tests {
    use super::super::record::{Place, ProposedEvent};
    use super::*;
    use bytes::Bytes;
    use uuid::Uuid;

    fn record(position: u64) -> Arc<Record> {
        let event = ProposedEvent {
            id: Uuid::from_u128(u128::from(position)),
            event_type: "t".into(),
            is_json: false,
            metadata: Bytes::new(),
            data: Bytes::from(vec![0; 1000]),
        };
        Arc::new(Record::new(Place { stream: "s", revision: position, position, created_ticks: 0 }, &event))
    }

    #[test]
    fn the_oldest_leave_and_the_newest_stay() {
        let tail = Tail::new(10_000);
        tail.push((1..=100).map(record));
        assert!(tail.page(1, 10, 10_000).is_none());
        assert!(tail.page(101, 10, 10_000).is_none());
        let page = tail.page(97, 10, 100_000).unwrap();
        assert_eq!(page.iter().map(|r| r.position()).collect::<Vec<_>>(), [97, 98, 99, 100]);
    }

    #[test]
    fn a_page_keeps_its_limits_but_always_moves_on() {
        let tail = Tail::new(1_000_000);
        tail.push((1..=10).map(record));
        assert_eq!(tail.page(1, 3, 1_000_000).unwrap().len(), 3);
        assert_eq!(tail.page(1, 10, 2_500).unwrap().len(), 2);
        assert_eq!(tail.page(1, 10, 1).unwrap().len(), 1);
    }
}
