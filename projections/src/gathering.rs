//! What comes from the log while the database is busy, until it is written.

use crate::fact::{Fact, stored_position};
use crate::parking::Park;
use crate::projection::Projection;
use crate::share::Share;
use crate::step::Batch;
use event_store::{Position, RecordedEvent};
use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;
use uuid::Uuid;

/// Events that one transaction applies at most.
const MAX_FACTS: usize = 2_000;
/// Bytes of payload that one transaction applies at most (plus one event).
const MAX_BYTES: usize = 1024 * 1024;
/// Events that are looked at, wanted or not, before the checkpoint must move.
const MAX_SEEN: usize = 50_000;

/// What is gathered for the next transaction.
pub struct Gathering<P> {
    share: Share,
    facts: Vec<Fact>,
    parks: Vec<Park>,
    waiting: HashMap<String, i64>,
    /// Streams of which nothing is applied any more.
    parked: HashSet<String>,
    bytes: usize,
    seen: usize,
    upto: Option<i64>,
    upto_event: Option<Uuid>,
    projection: PhantomData<P>,
}

impl<P: Projection> Gathering<P> {
    /// Nothing yet; everything up to `after` is applied, but for the parked streams.
    pub fn new(share: Share, after: Option<i64>, parked: Vec<String>) -> Self {
        Self {
            share,
            facts: Vec::new(),
            parks: Vec::new(),
            waiting: HashMap::new(),
            parked: parked.into_iter().collect(),
            bytes: 0,
            seen: 0,
            upto: after,
            upto_event: None,
            projection: PhantomData,
        }
    }

    pub fn has_room(&self) -> bool {
        self.facts.len() < MAX_FACTS && self.bytes < MAX_BYTES && self.seen < MAX_SEEN
    }

    pub fn is_empty(&self) -> bool {
        self.seen == 0
    }

    pub fn has_facts(&self) -> bool {
        !self.facts.is_empty()
    }

    /// How many streams stand still.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// The next event of the log, wanted or not.
    pub fn add(&mut self, event: &RecordedEvent) {
        // A subscription that began again may repeat an event.
        if self.is_behind(event.position) {
            return;
        }
        if P::wants(event) && self.share.has(&event.stream) {
            self.take_in(event);
        }
        self.pass(event.position, Some(event.id));
    }

    fn take_in(&mut self, event: &RecordedEvent) {
        if self.parked.contains(&event.stream) {
            *self.waiting.entry(event.stream.clone()).or_default() += 1;
            return;
        }
        match P::read(event) {
            Ok(fact) => {
                self.bytes += event.data.len();
                self.facts.push(fact);
            }
            Err(unreadable) => {
                self.parks.push(Park::of_unreadable(event, &unreadable));
                self.parked.insert(event.stream.clone());
            }
        }
    }

    /// Nothing of interest up to here.
    pub fn add_checkpoint(&mut self, position: Position, event_id: Option<Uuid>) {
        if !self.is_behind(position) {
            self.pass(position, event_id);
        }
    }

    /// A stream was parked by the last transaction: what is gathered of it since must wait too.
    pub fn park(&mut self, stream: String) {
        let before = self.facts.len();
        self.facts.retain(|fact| fact.stream() != stream);
        self.parks.retain(|park| park.stream != stream);
        let waiting = i64::try_from(before - self.facts.len()).unwrap_or(i64::MAX);
        if waiting > 0 {
            *self.waiting.entry(stream.clone()).or_default() += waiting;
        }
        self.parked.insert(stream);
    }

    fn is_behind(&self, position: Position) -> bool {
        stored_position(position).is_some_and(|position| Some(position) <= self.upto)
    }

    fn pass(&mut self, position: Position, event_id: Option<Uuid>) {
        self.upto = stored_position(position).or(self.upto);
        self.upto_event = event_id;
        self.seen += 1;
    }

    /// What is gathered, which leaves this empty; none when there is nothing.
    pub fn take(&mut self) -> Option<Batch> {
        let upto = self.upto.filter(|_| self.seen > 0)?;
        self.bytes = 0;
        self.seen = 0;
        Some(Batch {
            facts: std::mem::take(&mut self.facts),
            parks: std::mem::take(&mut self.parks),
            waiting: std::mem::take(&mut self.waiting),
            upto,
            upto_event: self.upto_event,
        })
    }
}
