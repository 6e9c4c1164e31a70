//! Orders that are parked: a stream that they need cannot be read. They are told of, with the money that is held or taken
//! for them, and nobody else waits for them.

use super::settle::Blocked;
use api::operations::{ParkedOrder, PaymentAtStake};
use chrono::Utc;
use domain::order::{Order, PaymentPhase};
use domain::{IntentId, OrderId, PaymentId};
use executor::Executor;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Those that this process knows of. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct ParkedOrders {
    orders: Arc<Mutex<HashMap<OrderId, ParkedOrder>>>,
}

impl ParkedOrders {
    /// Notes that an order is parked; says whether that is news.
    pub fn park(&self, order_id: OrderId, by: &Blocked, payments: Vec<PaymentAtStake>) -> bool {
        let Blocked { stream, why } = by.clone();
        let mut orders = self.lock();
        let since = orders.get(&order_id).map(|known| known.since);
        let is_news = since.is_none();
        let since = since.unwrap_or_else(Utc::now);
        orders.insert(order_id, ParkedOrder { order_id: order_id.0, stream, why, since, payments });
        is_news
    }

    /// Notes that it is parked no more; says whether it was.
    pub fn free(&self, order_id: OrderId) -> bool {
        self.lock().remove(&order_id).is_some()
    }

    /// Another process looks after them now.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// Whether an order waits for this stream.
    #[must_use]
    pub fn wait_for(&self, stream: &str) -> bool {
        self.lock().values().any(|parked| parked.stream == stream)
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// All of them, the first that was parked first.
    #[must_use]
    pub fn all(&self) -> Vec<ParkedOrder> {
        let mut all: Vec<_> = self.lock().values().cloned().collect();
        all.sort_by_key(|parked| (parked.since, parked.order_id));
        all
    }

    /// The payments of all of them, and the money of those in each currency, in its smallest units.
    #[must_use]
    pub fn at_stake(&self) -> (usize, BTreeMap<String, i64>) {
        let (mut payments, mut money) = (0, BTreeMap::<String, i64>::new());
        for payment in self.lock().values().flat_map(|parked| &parked.payments) {
            payments += 1;
            let sum = money.entry(payment.amount.currency.clone()).or_default();
            *sum = sum.saturating_add(payment.amount.amount);
        }
        (payments, money)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<OrderId, ParkedOrder>> {
        // Nothing panics while it holds the lock.
        self.orders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The payments of an order that cannot be read to its end, or that waits for a stream that cannot.
pub async fn payments_at_stake(executor: &Executor, order_id: OrderId) -> Vec<PaymentAtStake> {
    let payments = executor.orders.readable_part(order_id, |order| match order {
        Order::Unplaced => vec![],
        Order::Placed(order) => order
            .payments
            .iter()
            .filter(|payment| !matches!(payment.phase, PaymentPhase::Declined | PaymentPhase::Voided))
            .map(|payment| PaymentAtStake {
                payment_id: payment.payment_id.0,
                status: payment.phase.name().to_owned(),
                amount: payment.amount.into(),
            })
            .collect(),
    });
    // It is told without them while the store is away, and looked at again later.
    payments.await.unwrap_or_default()
}

/// The payments of an order that the gateway has taken.
pub async fn captured(executor: &Executor, order_id: OrderId) -> Vec<(PaymentId, IntentId)> {
    let captured = executor.orders.view(order_id, |order| {
        let Order::Placed(order) = order else { return vec![] };
        let intent_of = |phase: &PaymentPhase| match phase {
            PaymentPhase::Captured { intent } => Some(intent.clone()),
            _ => None,
        };
        let payments = order.payments.iter();
        payments.filter_map(|payment| Some((payment.payment_id, intent_of(&payment.phase)?))).collect()
    });
    captured.await.unwrap_or_default()
}
