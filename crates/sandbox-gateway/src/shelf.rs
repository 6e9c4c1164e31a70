//! What the journal amounts to, in memory.

use crate::answer::{Answer, Event};
use crate::intent::Intent;
use crate::journal::{EventRecord, Record, RequestRecord};
use crate::refund::{Refund, RefundStatus};
use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Old payments that are looked at when something is put on the shelf.
const LOOKS_AT_ONCE: usize = 16;

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

    fn remove(&mut self, metadata: &BTreeMap<String, String>, number: usize) {
        for (name, value) in metadata {
            let hash = self.hasher.hash_one((name.as_str(), value.as_str()));
            if let Entry::Occupied(mut numbers) = self.numbers.entry(hash) {
                numbers.get_mut().retain(|known| *known != number);
                if numbers.get().is_empty() {
                    numbers.remove();
                }
            }
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
#[derive(Debug, PartialEq)]
pub(crate) struct Shelf {
    /// By their numbers; some of the older ones are forgotten.
    pub intents: BTreeMap<usize, Arc<Intent>>,
    pub intent_numbers: HashMap<String, usize>,
    by_metadata: ByMetadata,
    pub refunds: BTreeMap<usize, Arc<Refund>>,
    pub refund_numbers: HashMap<String, usize>,
    pub refunds_of: HashMap<String, Vec<usize>>,
    pub kept: HashMap<String, Kept>,
    /// The keys under which something is kept, by the numbers of the intents that the answers show.
    keys_of: HashMap<usize, BTreeSet<String>>,
    pub untold: HashMap<String, Arc<Event>>,
    /// How many of them are about each intent, by its number.
    untold_of: HashMap<usize, usize>,
    /// Beyond so many payments, the oldest are forgotten that are over.
    keeps: usize,
    /// Where it is looked next for one that is over, and those before it that were not.
    looked_upto: usize,
    left: VecDeque<usize>,
}

#[derive(Debug, PartialEq)]
pub(crate) struct Kept {
    pub fingerprint: String,
    /// When the request came, in milliseconds since 1970.
    pub at: i64,
    pub answer: Arc<Answer>,
}

impl Shelf {
    /// With nothing on it. Of more payments than this, the oldest are forgotten that are over.
    pub fn new(keeps: usize) -> Self {
        Self {
            intents: BTreeMap::new(),
            intent_numbers: HashMap::new(),
            by_metadata: ByMetadata::default(),
            refunds: BTreeMap::new(),
            refund_numbers: HashMap::new(),
            refunds_of: HashMap::new(),
            kept: HashMap::new(),
            keys_of: HashMap::new(),
            untold: HashMap::new(),
            untold_of: HashMap::new(),
            keeps,
            looked_upto: 0,
            left: VecDeque::new(),
        }
    }

    /// The number of the next intent.
    pub fn next_intent(&self) -> usize {
        self.intents.last_key_value().map_or(0, |(last, _)| last + 1)
    }

    /// The number of the next refund.
    pub fn next_refund(&self) -> usize {
        self.refunds.last_key_value().map_or(0, |(last, _)| last + 1)
    }

    /// Forgets payments that are over, the oldest first, while there are more than are kept. With each go its refunds, and the
    /// answers to the requests about it. One that is not over is never forgotten, nor one of which something is to be told
    /// still, nor one of the newest: the shop may be about to ask about it.
    fn forget(&mut self) {
        let upto = self.next_intent().saturating_sub(self.keeps / 2);
        for look in 0..LOOKS_AT_ONCE {
            if self.intents.len() <= self.keeps {
                return;
            }
            // In turns one that was not over before, and the next one.
            let left = if look % 2 == 0 { self.left.pop_front() } else { None };
            let next = || self.intents.range(self.looked_upto..upto.max(self.looked_upto)).next();
            let Some(number) = left.or_else(|| next().map(|(number, _)| *number)) else { continue };
            self.looked_upto = self.looked_upto.max(number + 1);
            let Some(intent) = self.intents.get(&number).cloned() else { continue };
            if intent.is_over() && !self.has_more_to_come(&intent) {
                self.remove(number, &intent);
            } else {
                self.left.push_back(number);
            }
        }
    }

    fn has_more_to_come(&self, intent: &Intent) -> bool {
        let refunds = self.refunds_of.get(&intent.id).into_iter().flatten();
        let mut refunds = refunds.filter_map(|number| self.refunds.get(number));
        self.untold_of.contains_key(&intent.number)
            || refunds.any(|refund| refund.status == RefundStatus::Pending)
    }

    /// An event need not be told any more.
    pub fn told(&mut self, id: &str) {
        let Some(event) = self.untold.remove(id) else { return };
        if let Entry::Occupied(mut untold) = self.untold_of.entry(event.intent.number) {
            *untold.get_mut() -= 1;
            if *untold.get() == 0 {
                untold.remove();
            }
        }
    }

    /// There is nobody to tell anything.
    pub fn tell_nobody(&mut self) {
        self.untold.clear();
        self.untold_of.clear();
    }

    fn keep(&mut self, (key, kept): (String, Kept)) {
        let number = kept.answer.intent.as_ref().map(|intent| intent.number);
        if let Some(number) = number {
            self.keys_of.entry(number).or_default().insert(key.clone());
        }
        let before = self.kept.insert(key.clone(), kept);
        let before = before.and_then(|kept| Some(kept.answer.intent.as_ref()?.number));
        if let Some(before) = before.filter(|before| Some(*before) != number)
            && let Some(keys) = self.keys_of.get_mut(&before)
        {
            keys.remove(&key);
        }
    }

    fn remove(&mut self, number: usize, intent: &Intent) {
        self.intents.remove(&number);
        self.intent_numbers.remove(&intent.id);
        self.by_metadata.remove(&intent.metadata, number);
        for refund in self.refunds_of.remove(&intent.id).into_iter().flatten() {
            if let Some(refund) = self.refunds.remove(&refund) {
                self.refund_numbers.remove(&refund.id);
            }
        }
        for key in self.keys_of.remove(&number).into_iter().flatten() {
            self.kept.remove(&key);
        }
    }

    /// Forgets the answers to requests before a moment, in milliseconds since 1970.
    pub fn forget_keys_before(&mut self, at: i64) {
        let kept = &mut self.kept;
        kept.retain(|_, kept| kept.at >= at);
        self.keys_of.retain(|_, keys| {
            keys.retain(|key| kept.contains_key(key));
            !keys.is_empty()
        });
    }

    /// Puts one change in its place, and gives what is to be told about it.
    pub fn put(&mut self, record: Record) -> Vec<Arc<Event>> {
        let Record { intent, refund, request, events, told, is_past } = record;
        if let Some(id) = told {
            self.told(&id);
        }
        if let Some(intent) = intent.as_ref().filter(|_| !is_past)
            && self.intents.insert(intent.number, intent.clone()).is_none()
        {
            self.intent_numbers.insert(intent.id.clone(), intent.number);
            self.by_metadata.add(&intent.metadata, intent.number);
        }
        if let Some(refund) = refund.as_ref().filter(|_| !is_past)
            && self.refunds.insert(refund.number, refund.clone()).is_none()
        {
            self.refund_numbers.insert(refund.id.clone(), refund.number);
            self.refunds_of.entry(refund.intent.clone()).or_default().push(refund.number);
        }
        let key = request.as_ref().map(|request| request.key.clone());
        if let Some(RequestRecord { key, fingerprint, at, failure }) = request {
            let answer = Arc::new(Answer { failure, intent: intent.clone(), refund: refund.clone() });
            self.keep((key, Kept { fingerprint, at, answer }));
        }
        let Some(intent) = intent else { return Vec::new() };
        let event = |event: EventRecord| {
            let EventRecord { id, happening, created, key: own } = event;
            let (key, intent, refund) = (own.or_else(|| key.clone()), intent.clone(), refund.clone());
            Arc::new(Event { id, happening, created, key, intent, refund })
        };
        let events: Vec<_> = events.into_iter().map(event).collect();
        if !events.is_empty() {
            *self.untold_of.entry(intent.number).or_default() += events.len();
        }
        self.untold.extend(events.iter().map(|event| (event.id.clone(), event.clone())));
        self.forget();
        events
    }

    /// The intents with this in their metadata, newest first.
    pub fn with_metadata<'shelf>(
        &'shelf self,
        name: &'shelf str,
        value: &'shelf str,
    ) -> impl Iterator<Item = &'shelf Arc<Intent>> {
        let intents =
            self.by_metadata.numbers(name, value).iter().rev().filter_map(|number| self.intents.get(number));
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
        let things = self.intents.values().map(intent).chain(self.refunds.values().map(refund));
        things.chain(self.kept.iter().map(kept)).chain(self.untold.values().map(untold))
    }
}
