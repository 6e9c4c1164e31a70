//! Orders that must be looked at again although nothing happens to them: their time runs out, or the gateway owes them
//! an answer.
//!
//! A deadline runs from the moment at which the store recorded that the order was placed or that a payment was asked for.

use super::settle::Standing;
use chrono::{DateTime, Utc};
use domain::OrderId;
use futures::StreamExt;
use rand::Rng;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;
use tokio_util::time::DelayQueue;
use tokio_util::time::delay_queue::Key;

/// How much longer an order waits while a payment is under way when its time is over.
const EXTENSION: Duration = Duration::from_secs(15 * 60);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// For an order that no shopper waits for any more.
const LONGEST_PAUSE_WHEN_OVER: Duration = Duration::from_secs(15 * 60);

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
    /// When the first of its events was recorded that came while it was not among these orders; none: not known.
    since: Option<DateTime<Utc>>,
    /// Whether it waits for its money.
    is_pending: bool,
    /// Whether the deadline passed over it because a payment was under way.
    is_extended: bool,
    /// Whether its alarm rang at the deadline, and what that led to is not known yet.
    is_expiring: bool,
    /// Whether the gateway is asked, or to be asked again.
    is_asking: bool,
    /// Whether the gateway was to be asked when the last process ended: perhaps in vain.
    is_inherited: bool,
    fruitless: u32,
    alarm: Option<Key>,
}

/// What is kept of an order over a restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub order_id: OrderId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_extended: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_asking: bool,
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
        for kept in kept {
            let Kept { order_id, deadline, is_extended, is_asking } = kept;
            let is_inherited = is_asking;
            let restored = Open { deadline, is_extended, is_asking, is_inherited, ..Open::default() };
            open.orders.insert(order_id, restored);
            if is_asking {
                open.ring(order_id, Duration::ZERO);
            } else {
                open.ring_at_deadline(order_id);
            }
        }
        open
    }

    pub fn keep(&self) -> Vec<Kept> {
        let kept = |(order_id, open): (&OrderId, &Open)| Kept {
            order_id: *order_id,
            deadline: open.deadline,
            is_extended: open.is_extended,
            is_asking: open.is_asking,
        };
        self.orders.iter().map(kept).collect()
    }

    pub fn len(&self) -> usize {
        self.orders.len()
    }

    /// Notes that the order waits at least so many seconds from the moment when the store recorded this.
    pub fn wait(&mut self, order_id: OrderId, recorded_at: DateTime<Utc>, hold_seconds: u32) {
        let deadline = recorded_at.timestamp().saturating_add(i64::from(hold_seconds));
        let open = self
            .orders
            .entry(order_id)
            .or_insert_with(|| Open { since: Some(recorded_at), ..Open::default() });
        if open.deadline.is_none_or(|known| known < deadline) {
            open.deadline = Some(deadline);
            open.is_extended = false;
            self.ring_at_deadline(order_id);
        }
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
        if !is_asking && !waits {
            self.forget(order_id);
            return;
        }
        let open = self.orders.entry(order_id).or_default();
        open.is_asking = is_asking;
        open.is_pending = standing.is_pending;
        let was_expiring = std::mem::take(&mut open.is_expiring);
        if !standing.is_pending {
            open.deadline = None;
        } else if was_expiring {
            open.is_extended = true;
        }
        if !is_asking {
            open.fruitless = 0;
            open.is_inherited = false;
        }
        if standing.undecided.is_empty() {
            self.ring_at_deadline(order_id);
        } else {
            self.ring_after_pause(order_id);
        }
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
        let until_deadline = open.over_at().map_or(pause, from_now);
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
            open.is_expiring = true;
            return (order_id, Alarm::Expire { even_while_paying: open.is_extended && open.is_asking });
        }
    }

    fn ring_at_deadline(&mut self, order_id: OrderId) {
        if let Some(over_at) = self.orders.get(&order_id).and_then(Open::over_at) {
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
        let longest = if self.is_pending { LONGEST_PAUSE } else { LONGEST_PAUSE_WHEN_OVER };
        FIRST_PAUSE.saturating_mul(1 << self.fruitless.min(16)).min(longest)
    }

    /// When its time is over: later than the deadline only as long as a payment is under way.
    fn over_at(&self) -> Option<i64> {
        let extension = if self.is_extended && self.is_asking { EXTENSION.as_secs() } else { 0 };
        self.deadline.map(|deadline| deadline.saturating_add_unsigned(extension))
    }
}

/// From now until then; zero when it is over. The queue takes no more than two years.
fn from_now(deadline: i64) -> Duration {
    const LONGEST: u64 = 365 * 24 * 60 * 60;
    let seconds = deadline.saturating_sub(Utc::now().timestamp());
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{IntentId, PaymentId};
    use uuid::Uuid;

    #[tokio::test]
    async fn only_questions_in_vain_make_the_pause_longer() {
        let order_id = OrderId(Uuid::nil());
        let intent = IntentId::new("pi_1").unwrap();
        let standing = Standing {
            is_pending: true,
            undecided: vec![(PaymentId(Uuid::nil()), intent)],
            ..Standing::default()
        };
        let mut open = OpenOrders::default();
        for questions in 0..4 {
            // Whatever happens to the order, it is looked at again and the gateway is not asked.
            (0..5).for_each(|_| open.settled(order_id, &standing));
            assert_eq!(open.orders[&order_id].fruitless, questions);
            open.ring_later(order_id);
        }
        open.settled(order_id, &Standing { is_pending: true, ..Standing::default() });
        assert_eq!(open.len(), 0);
    }

    #[tokio::test]
    async fn questions_in_vain_become_rare_and_never_stop() {
        let order_id = OrderId(Uuid::nil());
        let intent = IntentId::new("pi_1").unwrap();
        let undecided = vec![(PaymentId(Uuid::nil()), intent)];
        for (is_pending, longest) in [(true, LONGEST_PAUSE), (false, LONGEST_PAUSE_WHEN_OVER)] {
            let mut open = OpenOrders::default();
            let standing = Standing { is_pending, undecided: undecided.clone(), ..Standing::default() };
            open.settled(order_id, &standing);
            let mut last = Duration::ZERO;
            for _ in 0..100 {
                let pause = open.orders[&order_id].pause();
                assert!(last < pause && pause <= longest || pause == longest, "{last:?} {pause:?}");
                last = pause;
                open.ring_later(order_id);
                assert!(open.orders[&order_id].alarm.is_some());
            }
            assert_eq!(last, longest);
        }
    }

    #[tokio::test]
    async fn only_an_order_whose_events_were_all_seen_is_known_to_be_young() {
        let order_id = OrderId(Uuid::nil());
        let placed_at = Utc::now();
        let mut open = OpenOrders::default();
        open.wait(order_id, placed_at, 60);
        open.wait(order_id, placed_at + chrono::TimeDelta::seconds(5), 60);
        assert_eq!(open.known_since(order_id), Some(placed_at));
        // After a restart, what was recorded before it may be as old as it likes.
        let mut restored = OpenOrders::restore(open.keep());
        assert_eq!(restored.known_since(order_id), None);
        restored.wait(order_id, placed_at, 120);
        assert_eq!(restored.known_since(order_id), None);
    }

    #[tokio::test]
    async fn a_deadline_passes_over_an_order_only_as_long_as_a_payment_is_under_way() {
        let order_id = OrderId(Uuid::nil());
        let intent = IntentId::new("pi_1").unwrap();
        let waiting = Standing { is_pending: true, ..Standing::default() };
        let paying = Standing { undecided: vec![(PaymentId(Uuid::nil()), intent)], ..waiting.clone() };
        let mut open = OpenOrders::default();
        let a_minute_ago = Utc::now() - chrono::TimeDelta::seconds(60);
        open.wait(order_id, a_minute_ago, 30);
        assert_eq!(open.next().await, (order_id, Alarm::Expire { even_while_paying: false }));
        open.settled(order_id, &paying);
        assert!(open.orders[&order_id].over_at().is_some_and(|over_at| !from_now(over_at).is_zero()));
        // The gateway said no: nothing is waited for any more.
        open.settled(order_id, &waiting);
        assert_eq!(open.next().await, (order_id, Alarm::Expire { even_while_paying: false }));
        // It never says anything.
        open.settled(order_id, &paying);
        open.wait(order_id, a_minute_ago - EXTENSION, 31);
        let known = open.orders.get_mut(&order_id).unwrap();
        known.deadline =
            known.deadline.map(|deadline| deadline - i64::try_from(EXTENSION.as_secs()).unwrap());
        open.ring_at_deadline(order_id);
        assert_eq!(open.next().await, (order_id, Alarm::Expire { even_while_paying: true }));
    }
}
