//! Which messages wait, which are with whom, and which are done. Decides, and does no I/O.
//!
//! A message is unfinished from the moment when it is read until a consumer is done with it, or it is safely parked.
//! Everything before the oldest unfinished one is done: that is the checkpoint.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use super::consumers::{Connected, Connecting, Consumers, Delivery, bucket_of};
use super::settings::{Settings, Strategy};
use crate::service::Resolved;

/// Where a message comes from, in the order in which messages are given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Origin {
    /// From the source, at this revision or position.
    Source(u64),
    /// From the parked messages, at this revision of their stream.
    Parked(u64),
}

/// A message of the group.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub origin: Origin,
    pub event: Resolved,
    pub retries: u32,
    id: Uuid,
    bucket: u64,
}

struct InFlight {
    entry: Entry,
    consumer: u64,
    since: Instant,
    deadline: Instant,
}

/// A message that is to be parked, and why.
pub(super) struct ToPark {
    pub entry: Entry,
    pub reason: String,
}

/// The messages of one group.
pub(super) struct Deliveries {
    pub consumers: Consumers,
    strategy: Strategy,
    timeout: Duration,
    max_retries: u32,
    waiting: VecDeque<Entry>,
    retrying: BTreeMap<Origin, Entry>,
    in_flight: HashMap<Uuid, InFlight>,
    deadlines: BTreeSet<(Instant, Uuid)>,
    /// With the bytes that each holds.
    unfinished: BTreeMap<Origin, usize>,
    held_bytes: usize,
    read_to: Option<u64>,
    finished: u64,
    handed_out: u64,
}

impl Deliveries {
    /// Nothing yet; everything up to `done_to` is done.
    pub fn new(settings: &Settings, done_to: Option<u64>) -> Self {
        Deliveries {
            consumers: Consumers::new(settings.strategy, settings.extra_statistics),
            strategy: settings.strategy,
            timeout: settings.message_timeout(),
            max_retries: settings.max_retry_count,
            waiting: VecDeque::new(),
            retrying: BTreeMap::new(),
            in_flight: HashMap::new(),
            deadlines: BTreeSet::new(),
            unfinished: BTreeMap::new(),
            held_bytes: 0,
            read_to: done_to,
            finished: 0,
            handed_out: 0,
        }
    }

    /// Takes a message from the source, or one that was parked.
    pub fn add(&mut self, origin: Origin, event: Resolved) {
        let Some(id) = event.link.as_ref().or(event.event.as_ref()).map(|record| record.id()) else { return };
        let bucket = bucket_of(self.strategy, &event);
        let bytes = [&event.event, &event.link].into_iter().flatten().map(|record| record.raw().len()).sum();
        self.held_bytes += bytes;
        self.unfinished.insert(origin, bytes);
        let entry = Entry { origin, event, retries: 0, id, bucket };
        match origin {
            Origin::Source(place) => {
                self.read_to = self.read_to.max(Some(place));
                self.waiting.push_back(entry);
            }
            Origin::Parked(_) => {
                self.retrying.insert(origin, entry);
            }
        }
    }

    /// The source has nothing for this group up to here.
    pub fn nothing_up_to(&mut self, place: u64) {
        self.read_to = self.read_to.max(Some(place));
    }

    /// Up to here the source was read.
    pub fn read_to(&self) -> Option<u64> {
        self.read_to
    }

    /// Up to here everything from the source is done; `None` if nothing is.
    pub fn done_to(&self) -> Option<u64> {
        match self.unfinished.first_key_value() {
            Some((Origin::Source(oldest), _)) => oldest.checked_sub(1),
            Some((Origin::Parked(_), _)) | None => self.read_to,
        }
    }

    /// The oldest parked message that is being given again.
    pub fn oldest_replayed(&self) -> Option<u64> {
        match self.unfinished.range(Origin::Parked(0)..).next() {
            Some((Origin::Parked(revision), _)) => Some(*revision),
            _ => None,
        }
    }

    /// How many messages from the source were done since the last call of `count_anew`.
    pub fn finished(&self) -> u64 {
        self.finished
    }

    /// Starts to count done messages anew.
    pub fn count_anew(&mut self) {
        self.finished = 0;
    }

    /// How many messages were handed out.
    pub fn handed_out(&self) -> u64 {
        self.handed_out
    }

    /// Bytes of all messages that are not finished.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Messages that wait for a consumer.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Messages that wait to be given again.
    pub fn retrying(&self) -> usize {
        self.retrying.len()
    }

    /// Messages that are with consumers.
    pub fn in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// When the next message's time is over.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }

    /// Hands out whatever anybody may have now: first what is to be given again, then what is new.
    pub fn push(&mut self, now: Instant) {
        let mut held_back = Vec::new();
        while self.consumers.any_free() {
            let next = self.retrying.pop_first().map(|(_, entry)| (entry, true));
            let Some((entry, again)) = next.or_else(|| self.waiting.pop_front().map(|e| (e, false))) else {
                break;
            };
            // Two events of one id are told apart by their answers only if they are handed out one after the other.
            let delivery = Delivery { event: entry.event.clone(), retries: entry.retries };
            let taken = match self.in_flight.contains_key(&entry.id) {
                true => None,
                false => self.consumers.hand_out(entry.bucket, delivery),
            };
            match taken {
                Some(consumer) => {
                    let deadline = now + self.timeout;
                    self.deadlines.insert((deadline, entry.id));
                    self.handed_out += 1;
                    self.in_flight.insert(entry.id, InFlight { entry, consumer, since: now, deadline });
                }
                None => held_back.push((entry, again)),
            }
        }
        for (entry, again) in held_back.into_iter().rev() {
            if again {
                self.retrying.insert(entry.origin, entry);
            } else {
                self.waiting.push_front(entry);
            }
        }
    }

    /// A consumer is done with messages. It is heard even if the message is on its way to another by now.
    pub fn ack(&mut self, ids: &[Uuid]) {
        for id in ids {
            if let Some(entry) = self.answered(id) {
                self.finish(entry.origin);
            }
        }
    }

    /// A consumer wants messages to be parked.
    pub fn park(&mut self, ids: &[Uuid], reason: &str) -> Vec<ToPark> {
        let taken = ids.iter().filter_map(|id| self.answered(id));
        let reason = format!("Client explicitly NAK'ed message.\n{reason}");
        taken.map(|entry| ToPark { entry, reason: reason.clone() }).collect()
    }

    /// A consumer wants messages to be given again. What was given too often is to be parked.
    pub fn retry(&mut self, ids: &[Uuid]) -> Vec<ToPark> {
        let taken: Vec<_> = ids.iter().filter_map(|id| self.answered(id)).collect();
        taken.into_iter().filter_map(|entry| self.again(entry)).collect()
    }

    /// Takes back what consumers have had for too long. What was given too often is to be parked.
    pub fn expire(&mut self, now: Instant) -> Vec<ToPark> {
        let mut to_park = Vec::new();
        while let Some((at, id)) = self.deadlines.first().copied()
            && at <= now
        {
            self.deadlines.remove(&(at, id));
            let taken = self.take_back(&id);
            to_park.extend(taken.and_then(|entry| self.again(entry)));
        }
        to_park
    }

    /// Lets a consumer go; its messages are for the others, and count as given once more.
    pub fn leave(&mut self, consumer: u64) -> Option<Connected> {
        let ids: Vec<_> =
            self.in_flight.iter().filter(|(_, m)| m.consumer == consumer).map(|(id, _)| *id).collect();
        for id in ids {
            if let Some(entry) = self.take_back(&id) {
                self.put_back(entry);
            }
        }
        self.consumers.remove(consumer)
    }

    /// Lets all consumers go.
    pub fn let_all_go(&mut self) -> Vec<Connected> {
        let ids: Vec<_> = self.in_flight.keys().copied().collect();
        for entry in ids.iter().filter_map(|id| self.take_back(id)).collect::<Vec<_>>() {
            self.put_back(entry);
        }
        self.consumers.remove_all()
    }

    /// Adds a consumer; gives its number.
    pub fn join(&mut self, consumer: Connecting) -> u64 {
        self.consumers.add(consumer)
    }

    /// A message is safely parked, or nothing is left to be done with it.
    pub fn finish(&mut self, origin: Origin) {
        let Some(bytes) = self.unfinished.remove(&origin) else { return };
        self.held_bytes -= bytes;
        if matches!(origin, Origin::Source(_)) {
            self.finished += 1;
        }
    }

    /// A message could not be parked: it is given again.
    pub fn not_parked(&mut self, entry: Entry) {
        self.retrying.insert(entry.origin, entry);
    }

    fn again(&mut self, entry: Entry) -> Option<ToPark> {
        if entry.retries >= self.max_retries {
            let reason = format!("Reached retry count of {}", self.max_retries);
            return Some(ToPark { entry, reason });
        }
        self.put_back(entry);
        None
    }

    fn put_back(&mut self, mut entry: Entry) {
        entry.retries = entry.retries.saturating_add(1);
        self.retrying.insert(entry.origin, entry);
    }

    /// The message of this id, which a consumer has answered.
    fn answered(&mut self, id: &Uuid) -> Option<Entry> {
        if let Some(message) = self.in_flight.get(id) {
            self.consumers.answered(message.consumer, message.since.elapsed());
        }
        self.take_back(id)
    }

    /// The message of this id, from its consumer or from those that are to be given again.
    fn take_back(&mut self, id: &Uuid) -> Option<Entry> {
        if let Some(message) = self.in_flight.remove(id) {
            self.deadlines.remove(&(message.deadline, *id));
            self.consumers.taken_back(message.consumer, message.entry.bucket);
            return Some(message.entry);
        }
        let origin = self.retrying.values().find(|entry| entry.id == *id && entry.retries > 0)?.origin;
        self.retrying.remove(&origin)
    }
}

#[cfg(test)]
#[path = "deliveries_tests.rs"]
mod tests;
