//! Orders that must be looked at again although nothing happens to them: their time runs out, or the gateway owes them
//! an answer.
//!
//! The deadline runs from the moment at which the store recorded that the order was placed, and never moves. Only a
//! payment that is under way is waited for beyond it, as long as its own event says ([`Paying`]), and in all never longer
//! than that after the deadline: who asks for payments in vain keeps the goods no longer than who does nothing.

use super::events::Wait;
use super::paying::Paying;
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
    alarm: Option<Key>,
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
            let Kept { order_id, deadline, paying_until, is_asking } = kept;
            let is_inherited = is_asking;
            let paying = if is_asking { Paying::inherited(paying_until) } else { Paying::default() };
            let restored = Open { deadline, paying, is_asking, is_inherited, ..Open::default() };
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
            paying_until: open.deadline.and(open.paying.until()),
            is_asking: open.is_asking,
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
            Wait::ForMoney(seconds) => open.deadline = Some(after(recorded_at.timestamp(), seconds)),
            Wait::ForPayment(payment_id, seconds) => {
                let until = after(recorded_at.timestamp(), seconds);
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
        if !is_asking && !waits {
            self.forget(order_id);
            return;
        }
        let open = self.orders.entry(order_id).or_default();
        open.is_asking = is_asking;
        open.is_pending = standing.is_pending;
        if standing.is_pending {
            open.paying.found_under_way(standing.under_way(), Utc::now());
        } else {
            (open.deadline, open.paying) = (None, Paying::default());
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
            return (order_id, Alarm::Expire { even_while_paying: open.is_asking });
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
        let deadline = self.deadline?;
        Some(self.paying.until().map_or(deadline, |until| until.max(deadline)))
    }
}

fn after(moment: i64, seconds: u32) -> i64 {
    moment.saturating_add(i64::from(seconds))
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
        open.wait(order_id, placed_at, Wait::ForMoney(60));
        open.wait(order_id, placed_at + chrono::TimeDelta::seconds(5), Wait::ForPayment(PAYMENT, 60));
        assert_eq!(open.known_since(order_id), Some(placed_at));
        // After a restart, what was recorded before it may be as old as it likes.
        let mut restored = OpenOrders::restore(open.keep());
        assert_eq!(restored.known_since(order_id), None);
        restored.wait(order_id, placed_at, Wait::ForPayment(PAYMENT, 120));
        assert_eq!(restored.known_since(order_id), None);
    }

    const ORDER: OrderId = OrderId(Uuid::nil());
    const PAYMENT: PaymentId = PaymentId(Uuid::nil());
    const OVER: (OrderId, Alarm) = (ORDER, Alarm::Expire { even_while_paying: false });

    fn waiting() -> Standing {
        Standing { is_pending: true, ..Standing::default() }
    }

    fn paying() -> Standing {
        let intent = IntentId::new("pi_1").unwrap();
        Standing { undecided: vec![(PAYMENT, intent)], ..waiting() }
    }

    fn seconds_ago(seconds: i64) -> DateTime<Utc> {
        Utc::now() - chrono::TimeDelta::seconds(seconds)
    }

    #[tokio::test]
    async fn a_payment_under_way_is_waited_for_and_a_declined_one_is_not() {
        let mut open = OpenOrders::default();
        open.wait(ORDER, seconds_ago(60), Wait::ForMoney(30));
        open.settled(ORDER, &waiting());
        assert_eq!(open.next().await, OVER);
        // Asked for just before the time was over.
        open.wait(ORDER, seconds_ago(31), Wait::ForPayment(PAYMENT, 60));
        open.settled(ORDER, &paying());
        assert!(open.orders[&ORDER].over_at().is_some_and(|over_at| !from_now(over_at).is_zero()));
        // The gateway said no: the deadline is the one of before.
        open.settled(ORDER, &waiting());
        assert_eq!(open.next().await, OVER);
        // Also after a restart.
        let mut open = OpenOrders::restore(open.keep());
        assert_eq!(open.next().await, OVER);
    }

    /// A penny through 3-D Secure.
    #[tokio::test]
    async fn a_payment_that_leaves_something_due_is_not_waited_for() {
        let mut open = OpenOrders::default();
        open.wait(ORDER, seconds_ago(60), Wait::ForMoney(30));
        open.wait(ORDER, seconds_ago(31), Wait::ForPayment(PAYMENT, 600));
        open.settled(ORDER, &Standing { is_short: true, ..paying() });
        assert_eq!(open.next().await, (ORDER, Alarm::Expire { even_while_paying: true }));
    }

    #[tokio::test]
    async fn a_payment_is_never_waited_for_longer_than_its_event_says() {
        let mut open = OpenOrders::default();
        open.wait(ORDER, seconds_ago(60), Wait::ForMoney(30));
        open.wait(ORDER, seconds_ago(50), Wait::ForPayment(PAYMENT, 40));
        open.settled(ORDER, &paying());
        assert_eq!(open.next().await, (ORDER, Alarm::Expire { even_while_paying: true }));
    }

    /// The log is read behind: the deadline rings, and only the look at the order finds that it is being paid.
    #[tokio::test]
    async fn a_payment_whose_event_was_not_read_yet_is_waited_for() {
        let is_over =
            |open: &OpenOrders| open.orders[&ORDER].over_at().is_some_and(|at| from_now(at).is_zero());
        let mut open = OpenOrders::default();
        open.wait(ORDER, seconds_ago(60), Wait::ForMoney(30));
        for _ in 0..2 {
            assert_eq!(open.next().await, OVER);
            open.settled(ORDER, &paying());
            assert!(!is_over(&open));
            // Over a restart too, also after a checkpoint that does not know until when.
            let mut kept = open.keep();
            open = OpenOrders::restore(kept.clone());
            assert!(!is_over(&open));
            kept[0].paying_until = None;
            assert!(!is_over(&OpenOrders::restore(kept)));
            // It was declined, and another one is asked for.
            open.settled(ORDER, &waiting());
        }
        open.settled(ORDER, &paying());
        // Its event says how long ago it was asked for.
        open.wait(ORDER, seconds_ago(50), Wait::ForPayment(PAYMENT, 40));
        assert_eq!(open.next().await, (ORDER, Alarm::Expire { even_while_paying: true }));
    }

    #[tokio::test]
    async fn payments_one_after_the_other_are_waited_for_once() {
        let (mut open, placed_at) = (OpenOrders::default(), Utc::now());
        open.wait(ORDER, placed_at, Wait::ForMoney(30));
        open.settled(ORDER, &paying());
        for second in 0..200 {
            open.wait(ORDER, placed_at + chrono::TimeDelta::seconds(second), Wait::ForPayment(PAYMENT, 60));
        }
        assert_eq!(open.orders[&ORDER].over_at(), Some(placed_at.timestamp() + 30 + 60));
        // An order that waits long waits no less for a payment at its beginning.
        let mut open = OpenOrders::default();
        open.wait(ORDER, placed_at, Wait::ForMoney(900));
        open.wait(ORDER, placed_at, Wait::ForPayment(PAYMENT, 60));
        open.settled(ORDER, &paying());
        assert_eq!(open.orders[&ORDER].over_at(), Some(placed_at.timestamp() + 900));
    }
}
