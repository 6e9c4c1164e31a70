//! Orders that must be looked at again although nothing happens to them: their time runs out, the gateway owes them an
//! answer, or a stream that they need cannot be read.
//!
//! The deadline runs from the moment at which the store recorded that the order was placed, and never moves. Only a
//! payment that is under way is waited for beyond it, as long as its own event says ([`Paying`]), and in all never longer
//! than that after the deadline: who asks for payments in vain keeps the goods no longer than who does nothing.

use super::events::Wait;
use super::paying::Paying;
use super::progress::Job;
use super::settle::Standing;
use chrono::{DateTime, Utc};
use domain::{CartId, OrderId};
use futures::StreamExt;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// For an order that no shopper waits for any more, or that is parked.
const LONGEST_PAUSE_WHEN_OVER: Duration = Duration::from_secs(15 * 60);

/// After a restart, those for which the gateway was to be asked are looked at one by one and not all at once: each may be one
/// that hangs, whose question costs several requests, and whoever buys now must not wait for hundreds of them.
const BETWEEN_INHERITED: Duration = Duration::from_millis(50);
/// But all of them within this.
const ALL_INHERITED_WITHIN: Duration = LONGEST_PAUSE;
/// And one that then gets no answer either is asked about again as seldom as if this was so several times.
const FRUITLESS_BEFORE: u32 = 3;

/// The orders, and when each is to be looked at next.
#[derive(Default)]
pub struct OpenOrders {
    orders: HashMap<OrderId, Open>,
    alarms: DelayQueue<OrderId>,
}

#[derive(Default)]
struct Open {
    /// In seconds since 1970; none: it waits for ever.
    deadline: Option<i64>,
    paying: Paying,
    /// When the first of its events was recorded that came while it was not among these orders; none: not known.
    since: Option<DateTime<Utc>>,
    /// Whether it waits for its money.
    is_pending: bool,
    /// Whether the gateway is asked, or to be asked again.
    is_asking: bool,
    /// Whether the gateway was to be asked when the last process ended: perhaps in vain.
    is_inherited: bool,
    fruitless: u32,
    parked: Option<Parked>,
    alarm: Option<Key>,
}

/// Why an order waits until a stream can be read, and what is to be done for it then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The stream that cannot be read.
    pub stream: String,
    /// The cart that the order is still to be placed from, and the revision of its checkout.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cart: Option<(CartId, u64)>,
}

/// What is kept of an order over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub order_id: OrderId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<i64>,
    /// Until when it waits for the payments that are under way; none: nobody knows, or there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paying_until: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_asking: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
}

impl Kept {
    /// Roundly how many bytes it takes in the checkpoint, and no fewer.
    pub fn bytes(&self) -> usize {
        150 + self.parked.as_ref().map_or(0, |parked| 150 + parked.stream.len())
    }
}

/// What is to be done with an order whose alarm rang.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alarm {
    /// Look what it owes.
    Look,
    /// Its time is over.
    Expire {
        /// Also if a payment is under way.
        even_while_paying: bool,
    },
}

impl OpenOrders {
    /// The orders of a checkpoint.
    pub fn restore(kept: Vec<Kept>) -> Self {
        let mut open = Self::default();
        let mut inherited = Vec::new();
        for kept in kept {
            let Kept { order_id, deadline, paying_until, is_asking, parked } = kept;
            let is_inherited = is_asking;
            let paying = if is_asking { Paying::inherited(paying_until) } else { Paying::default() };
            let is_parked = parked.is_some();
            let fruitless = if is_asking && !is_parked { FRUITLESS_BEFORE } else { 0 };
            let restored =
                Open { deadline, paying, is_asking, is_inherited, parked, fruitless, ..Open::default() };
            open.orders.insert(order_id, restored);
            if is_parked {
                open.ring(order_id, Duration::ZERO);
            } else if is_asking {
                inherited.push((deadline, order_id));
            } else {
                open.ring_at_deadline(order_id);
            }
        }
        open.ring_in_turn(inherited);
        open
    }

    /// The youngest first: their shoppers may still wait.
    fn ring_in_turn(&mut self, mut inherited: Vec<(Option<i64>, OrderId)>) {
        inherited.sort_unstable_by_key(|(deadline, _)| Reverse(*deadline));
        let count = u32::try_from(inherited.len()).unwrap_or(u32::MAX);
        let between = BETWEEN_INHERITED.min(ALL_INHERITED_WITHIN / count.max(1));
        let mut after = Duration::ZERO;
        for (_, order_id) in inherited {
            self.ring(order_id, after);
            after += between;
        }
    }

    pub fn keep(&self) -> Vec<Kept> {
        let kept = |(order_id, open): (&OrderId, &Open)| Kept {
            order_id: *order_id,
            deadline: open.deadline,
            paying_until: open.deadline.and(open.paying.until()),
            // A program that does not know of parked orders looks at them all the same.
            is_asking: open.is_asking || open.parked.is_some(),
            parked: open.parked.clone(),
        };
        self.orders.iter().map(kept).collect()
    }

    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Notes how long the order waits from the moment when the store recorded this.
    pub fn wait(&mut self, order_id: OrderId, recorded_at: DateTime<Utc>, wait: Wait) {
        let open = self
            .orders
            .entry(order_id)
            .or_insert_with(|| Open { since: Some(recorded_at), ..Open::default() });
        match wait {
            Wait::ForMoney(seconds) => open.deadline = Some(after(recorded_by(recorded_at), seconds)),
            Wait::ForPayment(payment_id, seconds) => {
                let until = after(recorded_by(recorded_at), seconds);
                let latest = open.deadline.map_or(until, |deadline| after(deadline, seconds));
                open.paying.said(payment_id, seconds, until.min(latest));
            }
        }
        self.ring_at_deadline(order_id);
    }

    /// The moment before which nothing was recorded that the order may still owe to the gateway, if it is known.
    pub fn known_since(&self, order_id: OrderId) -> Option<DateTime<Utc>> {
        self.orders.get(&order_id)?.since
    }

    /// Notes how an order stands after it was settled.
    pub fn settled(&mut self, order_id: OrderId, standing: &Standing) {
        let is_asking = !standing.payments.is_empty() || !standing.undecided.is_empty();
        let waits =
            standing.is_pending && self.orders.get(&order_id).is_some_and(|open| open.deadline.is_some());
        if !is_asking && !waits && standing.blocked.is_none() {
            self.forget(order_id);
            return;
        }
        let open = self.orders.entry(order_id).or_default();
        let was_parked = open.parked.is_some();
        open.parked = standing.blocked.as_ref().map(|by| Parked { stream: by.stream.clone(), cart: None });
        if was_parked && open.parked.is_none() {
            open.fruitless = 0;
        }
        open.is_asking = is_asking;
        open.is_pending = standing.is_pending;
        if standing.is_pending {
            open.paying.found_under_way(standing.under_way(), Utc::now());
        } else {
            (open.deadline, open.paying) = (None, Paying::default());
        }
        if !is_asking && open.parked.is_none() {
            open.fruitless = 0;
            open.is_inherited = false;
        }
        if open.parked.is_some() {
            self.ring_later(order_id);
        } else if standing.undecided.is_empty() {
            self.ring_at_deadline(order_id);
        } else {
            self.ring_after_pause(order_id);
        }
    }

    /// Notes that an order waits until a stream can be read. It is looked at again ever more seldom, and at once when the
    /// stream is freed.
    pub fn park(&mut self, order_id: OrderId, parked: Parked) {
        self.orders.entry(order_id).or_default().parked = Some(parked);
        self.ring_later(order_id);
    }

    /// What is still to be done for a parked order, added to a job for it.
    pub fn complete(&self, order_id: OrderId, job: Job) -> Job {
        match self.orders.get(&order_id).and_then(|open| open.parked.as_ref()) {
            Some(parked) => Job { cart: job.cart.or(parked.cart), after_gap: true, ..job },
            None => job,
        }
    }

    /// A stream can be read again, or whichever if it is not known: the orders that wait for it are looked at soon.
    pub fn ring_parked(&mut self, stream: Option<&str>) {
        let waits = |open: &Open| {
            open.parked.as_ref().is_some_and(|parked| stream.is_none_or(|stream| parked.stream == stream))
        };
        let waiting = self.orders.iter_mut().filter(|(_, open)| waits(open));
        let waiting: Vec<OrderId> = waiting
            .map(|(order_id, open)| {
                open.fruitless = 0;
                *order_id
            })
            .collect();
        waiting.into_iter().for_each(|order_id| self.ring(order_id, Duration::ZERO));
    }

    /// Whether an earlier process may have asked the gateway in vain.
    pub fn is_inherited(&self, order_id: OrderId) -> bool {
        self.orders.get(&order_id).is_some_and(|open| open.is_inherited)
    }

    /// There was no place for a question that was never asked: it is tried again soon.
    pub fn ring_soon(&mut self, order_id: OrderId) {
        self.ring(order_id, FIRST_PAUSE.mul_f64(rand::rng().random_range(0.5..1.0)));
    }

    /// The gateway was asked. The order is looked at again, ever more seldom as long as that changes nothing.
    pub fn ring_later(&mut self, order_id: OrderId) {
        let Some(open) = self.orders.get_mut(&order_id) else { return };
        open.fruitless = open.fruitless.saturating_add(1);
        self.ring_after_pause(order_id);
    }

    fn ring_after_pause(&mut self, order_id: OrderId) {
        let Some(open) = self.orders.get(&order_id) else { return };
        let pause = open.pause();
        let jitter = rand::rng().random_range(0.5..1.0);
        // A parked order cannot be called off at its deadline, and is not looked at all the time from then on.
        let until_deadline = open.over_at().map(from_now);
        let until_deadline =
            until_deadline.filter(|left| open.parked.is_none() || !left.is_zero()).unwrap_or(pause);
        self.ring(order_id, pause.mul_f64(jitter).min(until_deadline));
    }

    /// Waits for the next alarm.
    pub async fn next(&mut self) -> (OrderId, Alarm) {
        loop {
            let Some(rung) = self.alarms.next().await else {
                // Nothing is set: there will be when the next event comes, and then this is asked anew.
                return std::future::pending().await;
            };
            let order_id = rung.into_inner();
            let Some(open) = self.orders.get_mut(&order_id) else { continue };
            open.alarm = None;
            let is_over = open.over_at().is_some_and(|over_at| from_now(over_at).is_zero());
            if !is_over {
                return (order_id, Alarm::Look);
            }
            return (order_id, Alarm::Expire { even_while_paying: open.is_asking });
        }
    }

    fn ring_at_deadline(&mut self, order_id: OrderId) {
        let waiting = self.orders.get(&order_id).filter(|open| open.parked.is_none());
        if let Some(over_at) = waiting.and_then(Open::over_at) {
            self.ring(order_id, from_now(over_at));
        }
    }

    fn ring(&mut self, order_id: OrderId, after: Duration) {
        let Some(open) = self.orders.get_mut(&order_id) else { return };
        match &open.alarm {
            Some(alarm) => self.alarms.reset(alarm, after),
            None => open.alarm = Some(self.alarms.insert(order_id, after)),
        }
    }

    fn forget(&mut self, order_id: OrderId) {
        if let Some(open) = self.orders.remove(&order_id)
            && let Some(alarm) = open.alarm
        {
            self.alarms.try_remove(&alarm);
        }
    }
}

impl Open {
    /// How long the gateway is left in peace.
    fn pause(&self) -> Duration {
        let is_waited_for = self.is_pending && self.parked.is_none();
        let longest = if is_waited_for { LONGEST_PAUSE } else { LONGEST_PAUSE_WHEN_OVER };
        FIRST_PAUSE.saturating_mul(1 << self.fruitless.min(16)).min(longest)
    }

    /// When its time is over: later than the deadline only as long as a payment is under way.
    fn over_at(&self) -> Option<i64> {
        let deadline = self.deadline?;
        Some(self.paying.until().map_or(deadline, |until| until.max(deadline)))
    }
}

/// The first whole second by which it was recorded for certain: the event store's client cuts the fraction off, and nobody is to
/// have less time than was promised.
fn recorded_by(recorded_at: DateTime<Utc>) -> i64 {
    recorded_at.timestamp().saturating_add(1)
}

fn after(moment: i64, seconds: u32) -> i64 {
    moment.saturating_add(i64::from(seconds))
}

/// From now until then; zero when it is over. The queue takes no more than two years.
fn from_now(deadline: i64) -> Duration {
    time_left(deadline, Utc::now())
}

fn time_left(deadline: i64, now: DateTime<Utc>) -> Duration {
    const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);
    let left = deadline.saturating_mul(1_000).saturating_sub(now.timestamp_millis());
    Duration::from_millis(u64::try_from(left).unwrap_or(0)).min(LONGEST)
}

#[cfg(test)]
mod tests;
