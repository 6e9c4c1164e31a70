//! The consumers of a group, and who of them gets an event.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::mpsc;

use super::info::ConsumerInfo;
use super::measurements::{LastAsked, Measurements};
use super::settings::Strategy;
use crate::service::Resolved;

/// Streams are pinned to consumers in so many buckets.
const BUCKETS: u64 = 1024;

/// What a consumer is handed.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// The event.
    pub event: Resolved,
    /// How often it was given before.
    pub retries: u32,
}

/// Why a consumer's subscription ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The group was deleted, changed or restarted, or the consumer asked for it.
    Dropped,
    /// The group cannot go on reading.
    Failed,
    /// The store is stopping.
    Stopping,
}

/// A connected consumer.
pub(super) struct Connected {
    pub number: u64,
    pub user: String,
    pub connection_name: String,
    pub slots: usize,
    pub sender: mpsc::Sender<Delivery>,
    pub end: Arc<OnceLock<End>>,
    in_flight: usize,
    total: u64,
    last_asked: LastAsked,
    measurements: Option<Measurements>,
}

/// Who connects.
pub(super) struct Connecting {
    pub user: String,
    pub connection_name: String,
    pub slots: usize,
    pub sender: mpsc::Sender<Delivery>,
    pub end: Arc<OnceLock<End>>,
}

impl Connected {
    fn is_free(&self) -> bool {
        self.in_flight < self.slots && self.sender.capacity() > 0 && !self.sender.is_closed()
    }
}

/// Where the events of a bucket are.
struct Pin {
    consumer: u64,
    in_flight: usize,
}

/// The consumers of one group, in the order in which the next events go to them.
pub(super) struct Consumers {
    strategy: Strategy,
    measured: bool,
    list: Vec<Connected>,
    pins: HashMap<u64, Pin>,
    next_number: u64,
    next_turn: usize,
}

impl Consumers {
    /// Nobody yet. If they are to be `measured`, it is noted how long each takes for its messages.
    pub fn new(strategy: Strategy, measured: bool) -> Self {
        Consumers { strategy, measured, list: Vec::new(), pins: HashMap::new(), next_number: 1, next_turn: 0 }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Adds one; gives its number.
    pub fn add(&mut self, new: Connecting) -> u64 {
        let number = self.next_number;
        self.next_number += 1;
        let Connecting { user, connection_name, slots, sender, end } = new;
        self.list.push(Connected {
            number,
            user,
            connection_name,
            slots,
            sender,
            end,
            in_flight: 0,
            total: 0,
            last_asked: LastAsked::never(),
            measurements: self.measured.then(Measurements::default),
        });
        number
    }

    /// Takes one out.
    pub fn remove(&mut self, number: u64) -> Option<Connected> {
        let index = self.list.iter().position(|consumer| consumer.number == number)?;
        self.pins.retain(|_, pin| pin.consumer != number);
        Some(self.list.remove(index))
    }

    /// Takes all out.
    pub fn remove_all(&mut self) -> Vec<Connected> {
        self.pins.clear();
        std::mem::take(&mut self.list)
    }

    /// Whether anybody takes another event.
    pub fn any_free(&self) -> bool {
        self.list.iter().any(Connected::is_free)
    }

    /// Hands an event to whom it is due; gives the consumer's number, or `None` if nobody may have it now.
    pub fn hand_out(&mut self, bucket: u64, delivery: Delivery) -> Option<u64> {
        let index = match self.strategy {
            Strategy::DispatchToSingle => self.list.iter().position(Connected::is_free)?,
            Strategy::RoundRobin => {
                let count = self.list.len();
                (0..count)
                    .map(|step| (self.next_turn + step) % count)
                    .find(|index| self.list[*index].is_free())?
            }
            Strategy::Pinned | Strategy::PinnedByCorrelation => self.pinned(bucket)?,
        };
        let consumer = &mut self.list[index];
        consumer.sender.try_send(delivery).ok()?;
        consumer.in_flight += 1;
        consumer.total += 1;
        self.next_turn = index + 1;
        let number = consumer.number;
        if self.strategy.pins() {
            self.pins.entry(bucket).or_insert(Pin { consumer: number, in_flight: 0 }).in_flight += 1;
        }
        Some(number)
    }

    /// A consumer has answered an event after this time.
    pub fn answered(&mut self, number: u64, after: Duration) {
        let consumer = self.list.iter_mut().find(|consumer| consumer.number == number);
        if let Some(measurements) = consumer.and_then(|consumer| consumer.measurements.as_mut()) {
            measurements.note(after);
        }
    }

    /// An event is no longer with a consumer.
    pub fn taken_back(&mut self, number: u64, bucket: u64) {
        if let Some(consumer) = self.list.iter_mut().find(|consumer| consumer.number == number) {
            consumer.in_flight = consumer.in_flight.saturating_sub(1);
        }
        if let Some(pin) = self.pins.get_mut(&bucket)
            && pin.consumer == number
        {
            pin.in_flight -= 1;
            if pin.in_flight == 0 {
                self.pins.remove(&bucket);
            }
        }
    }

    /// What can be told of each, and starts counting anew.
    pub fn ask(&mut self) -> Vec<ConsumerInfo> {
        self.list
            .iter_mut()
            .map(|consumer| {
                let since_asked = consumer.last_asked.asked(consumer.total);
                ConsumerInfo {
                    user: consumer.user.clone(),
                    connection_name: consumer.connection_name.clone(),
                    total_items: consumer.total,
                    since_asked,
                    free: consumer.slots.saturating_sub(consumer.in_flight),
                    in_flight: consumer.in_flight,
                    measurements: consumer
                        .measurements
                        .as_ref()
                        .map(Measurements::figures)
                        .unwrap_or_default(),
                }
            })
            .collect()
    }

    /// While events of a bucket are with a consumer, the others follow them there. Otherwise each bucket prefers the
    /// consumers in an order of its own, which stays when others come and go.
    fn pinned(&self, bucket: u64) -> Option<usize> {
        let number = match self.pins.get(&bucket) {
            Some(pin) => pin.consumer,
            None => self.list.iter().map(|c| c.number).max_by_key(|number| hash(&(bucket, *number)))?,
        };
        self.list.iter().position(|consumer| consumer.number == number && consumer.is_free())
    }
}

/// The bucket of an event, by what it is pinned by.
pub(super) fn bucket_of(strategy: Strategy, event: &Resolved) -> u64 {
    let Some(record) = event.event.as_ref().or(event.link.as_ref()) else { return 0 };
    let key = match strategy {
        Strategy::DispatchToSingle | Strategy::RoundRobin => return 0,
        Strategy::PinnedByCorrelation => correlation_of(record.metadata()),
        Strategy::Pinned => None,
    };
    let key =
        key.unwrap_or_else(|| source_stream(record.event_type(), record.data(), record.stream()).into());
    hash(&key) % BUCKETS
}

fn correlation_of(metadata: &[u8]) -> Option<Vec<u8>> {
    let metadata: serde_json::Value = serde_json::from_slice(metadata).ok()?;
    Some(metadata.get("$correlationId")?.as_str()?.as_bytes().to_vec())
}

/// A link counts for the stream that it leads to, so that both kinds of group pin alike.
fn source_stream<'a>(event_type: &[u8], data: &'a [u8], stream: &'a [u8]) -> &'a [u8] {
    if event_type != b"$>" {
        return stream;
    }
    let after_sign = data.iter().position(|byte| *byte == b'@').map(|at| &data[at + 1..]);
    after_sign.unwrap_or(stream)
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
