//! What comes from the log while the database is busy, until it is written.

use crate::fact::{Fact, UnreadableFact, stored_position};
use crate::projection::Projection;
use event_store::{Position, RecordedEvent};
use std::marker::PhantomData;

/// Events that one transaction applies at most.
const MAX_FACTS: usize = 2_000;
/// Bytes of payload that one transaction applies at most (plus one event).
const MAX_BYTES: usize = 1024 * 1024;
/// Events that are looked at, wanted or not, before the checkpoint must move.
const MAX_SEEN: usize = 50_000;

/// What is gathered for the next transaction.
pub struct Gathering<P> {
    facts: Vec<Fact>,
    bytes: usize,
    seen: usize,
    upto: Option<i64>,
    /// The wanted event that cannot be read. Nothing is taken after it.
    unreadable: Option<UnreadableFact>,
    projection: PhantomData<P>,
}

/// Events for one transaction, and the position up to which they are all.
pub struct Batch {
    pub facts: Vec<Fact>,
    pub upto: i64,
}

impl<P: Projection> Gathering<P> {
    /// Nothing yet; everything up to `after` is applied.
    pub fn new(after: Option<i64>) -> Self {
        Self { facts: Vec::new(), bytes: 0, seen: 0, upto: after, unreadable: None, projection: PhantomData }
    }

    pub fn has_room(&self) -> bool {
        self.unreadable.is_none()
            && self.facts.len() < MAX_FACTS
            && self.bytes < MAX_BYTES
            && self.seen < MAX_SEEN
    }

    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }

    pub fn has_facts(&self) -> bool {
        !self.facts.is_empty()
    }

    /// The next event of the log, wanted or not.
    pub fn add(&mut self, event: &RecordedEvent) {
        // A subscription that began again may repeat an event.
        if self.is_behind(event.position) {
            return;
        }
        if P::wants(event) {
            match Fact::read(event) {
                Ok(fact) => {
                    self.bytes += event.data.len();
                    self.facts.push(fact);
                }
                Err(unreadable) => {
                    self.unreadable = Some(unreadable);
                    return;
                }
            }
        }
        self.pass(event.position);
    }

    /// Nothing of interest up to here.
    pub fn add_checkpoint(&mut self, position: Position) {
        if !self.is_behind(position) {
            self.pass(position);
        }
    }

    fn is_behind(&self, position: Position) -> bool {
        stored_position(position).is_some_and(|position| Some(position) <= self.upto)
    }

    fn pass(&mut self, position: Position) {
        self.upto = stored_position(position).or(self.upto);
        self.seen += 1;
    }

    /// What is gathered, which leaves this empty; none when there is nothing.
    pub fn take(&mut self) -> Option<Batch> {
        let upto = self.upto.filter(|_| self.seen > 0)?;
        self.bytes = 0;
        self.seen = 0;
        Some(Batch { facts: std::mem::take(&mut self.facts), upto })
    }

    /// The event that cannot be read, when all before it is taken.
    pub fn dead_end(&mut self) -> Option<UnreadableFact> {
        if self.seen == 0 { self.unreadable.take() } else { None }
    }
}
