//! What the journal amounts to, in memory.

use crate::answer::{Answer, Event};
use crate::intent::Intent;
use crate::journal::{EventRecord, Record, RequestRecord};
use crate::refund::Refund;
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Intents by a name in their metadata and its value, which never change: a shop searches for each payment that had no answer.
/// It knows their hashes only, which takes an eighth of the memory.
#[derive(Debug, Default)]
struct ByMetadata {
    hasher: RandomState,
    numbers: HashMap<u64, Vec<usize>>,
}

impl ByMetadata {
    fn add(&mut self, metadata: &BTreeMap<String, String>, number: usize) {
        for (name, value) in metadata {
            let hash = self.hasher.hash_one((name.as_str(), value.as_str()));
            self.numbers.entry(hash).or_default().push(number);
        }
    }

    /// Of intents that may have this, oldest first.
    fn numbers(&self, name: &str, value: &str) -> &[usize] {
        self.numbers.get(&self.hasher.hash_one((name, value))).map_or(&[], Vec::as_slice)
    }
}

/// It follows from the intents.
impl PartialEq for ByMetadata {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Everything that there is, and how it is found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Shelf {
    pub intents: Vec<Arc<Intent>>,
    pub intent_numbers: HashMap<String, usize>,
    by_metadata: ByMetadata,
    pub refunds: Vec<Arc<Refund>>,
    pub refund_numbers: HashMap<String, usize>,
    pub refunds_of: HashMap<String, Vec<usize>>,
    pub kept: HashMap<String, Kept>,
    pub untold: HashMap<String, Arc<Event>>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Kept {
    pub fingerprint: String,
    /// When the request came, in milliseconds since 1970.
    pub at: i64,
    pub answer: Arc<Answer>,
}

impl Shelf {
    /// Puts one change in its place, and gives what is to be told about it.
    pub fn put(&mut self, record: Record) -> Vec<Arc<Event>> {
        let Record { intent, refund, request, events, told, is_past } = record;
        if let Some(id) = told {
            self.untold.remove(&id);
        }
        if let Some(intent) = intent.as_ref().filter(|_| !is_past) {
            match self.intents.get_mut(intent.number) {
                Some(place) => *place = intent.clone(),
                None => {
                    self.intent_numbers.insert(intent.id.clone(), self.intents.len());
                    self.by_metadata.add(&intent.metadata, self.intents.len());
                    self.intents.push(intent.clone());
                }
            }
        }
        if let Some(refund) = refund.as_ref().filter(|_| !is_past) {
            match self.refunds.get_mut(refund.number) {
                Some(place) => *place = refund.clone(),
                None => {
                    self.refund_numbers.insert(refund.id.clone(), self.refunds.len());
                    self.refunds_of.entry(refund.intent.clone()).or_default().push(self.refunds.len());
                    self.refunds.push(refund.clone());
                }
            }
        }
        let key = request.as_ref().map(|request| request.key.clone());
        if let Some(RequestRecord { key, fingerprint, at, failure }) = request {
            let answer = Arc::new(Answer { failure, intent: intent.clone(), refund: refund.clone() });
            self.kept.insert(key, Kept { fingerprint, at, answer });
        }
        let Some(intent) = intent else { return Vec::new() };
        let event = |event: EventRecord| {
            let EventRecord { id, happening, created, key: own } = event;
            let (key, intent, refund) = (own.or_else(|| key.clone()), intent.clone(), refund.clone());
            Arc::new(Event { id, happening, created, key, intent, refund })
        };
        let events: Vec<_> = events.into_iter().map(event).collect();
        self.untold.extend(events.iter().map(|event| (event.id.clone(), event.clone())));
        events
    }

    /// The intents with this in their metadata, newest first.
    pub fn with_metadata<'shelf>(
        &'shelf self,
        name: &'shelf str,
        value: &'shelf str,
    ) -> impl Iterator<Item = &'shelf Arc<Intent>> {
        let intents =
            self.by_metadata.numbers(name, value).iter().rev().filter_map(|number| self.intents.get(*number));
        intents.filter(move |intent| intent.metadata.get(name).is_some_and(|known| known == value))
    }

    /// How many records it takes to say all this.
    pub fn size(&self) -> usize {
        self.intents.len() + self.refunds.len() + self.kept.len() + self.untold.len()
    }

    /// Records that amount to the same.
    pub fn records(&self) -> impl Iterator<Item = Record> {
        let intent = |intent: &Arc<Intent>| Record { intent: Some(intent.clone()), ..Record::default() };
        let refund = |refund: &Arc<Refund>| Record { refund: Some(refund.clone()), ..Record::default() };
        let kept = |(key, kept): (&String, &Kept)| {
            let Kept { fingerprint, at, answer } = kept;
            let Answer { failure, intent, refund } = answer.as_ref();
            let (key, fingerprint, failure) = (key.clone(), fingerprint.clone(), failure.clone());
            Record {
                intent: intent.clone(),
                refund: refund.clone(),
                request: Some(RequestRecord { key, fingerprint, at: *at, failure }),
                is_past: true,
                ..Record::default()
            }
        };
        let untold = |event: &Arc<Event>| {
            let Event { id, happening, created, key, intent, refund } = event.as_ref();
            let (id, key) = (id.clone(), key.clone());
            Record {
                intent: Some(intent.clone()),
                refund: refund.clone(),
                events: vec![EventRecord { id, happening: *happening, created: *created, key }],
                is_past: true,
                ..Record::default()
            }
        };
        let things = self.intents.iter().map(intent).chain(self.refunds.iter().map(refund));
        things.chain(self.kept.iter().map(kept)).chain(self.untold.values().map(untold))
    }
}
