//! What must be so when nothing is lost any more, every deadline has passed, and nobody has anything to do.

use super::orders::{Back, Money, OrderBook, Stage};
use super::stock::{Hold, StockBook};
use super::{Auditor, OrderId};
use crate::gateway::Gateway;
use domain::PaymentId;
use std::collections::BTreeMap;

impl Auditor {
    /// Compares the orders, the stock and the gateway's books.
    pub fn ends(&self, gateway: &Gateway) {
        let placed: Vec<&OrderId> = self.orders.keys().collect();
        let bought: Vec<&OrderId> = self.checked_out.keys().collect();
        assert_eq!(placed, bought, "a checked-out cart is no order");
        for (id, order) in &self.orders {
            assert!(order.stage >= Stage::Processing, "{id} is stuck: {order:?}");
            self.has_its_goods(*id, order);
            has_its_money(*id, order, gateway);
        }
        let known: BTreeMap<PaymentId, OrderId> = self
            .orders
            .iter()
            .flat_map(|(id, order)| order.payments.keys().map(|payment| (*payment, *id)))
            .collect();
        for payment in gateway.intents.keys() {
            assert!(known.contains_key(payment), "the gateway has {payment}, and no order knows it");
        }
    }

    /// Whether nobody waits any more.
    pub fn is_over(&self) -> bool {
        self.checked_out.len() == self.orders.len()
            && self.orders.values().all(|order| order.stage >= Stage::Processing)
    }

    /// Where one order stands, the money that it keeps, and the units of its SKUs that are free.
    pub fn end_of(&self, id: OrderId) -> (Stage, i64, Vec<i64>) {
        let order = &self.orders[&id];
        let free = order.needs.keys().map(|sku| self.stock.get(sku).map_or(0, StockBook::free)).collect();
        (order.stage, order.money_in() - order.money_gone_back(), free)
    }

    /// Where the orders stand.
    pub fn standings(&self) -> impl Iterator<Item = (Stage, bool)> {
        self.orders.values().map(|order| (order.stage, order.money_in() > 0))
    }

    fn has_its_goods(&self, id: OrderId, order: &OrderBook) {
        for sku in order.needs.keys() {
            let kept = order.kept_of(sku);
            let hold = self.stock.get(sku).and_then(|book| book.hold_of(id));
            let wanted = match order.stage {
                Stage::Cancelled => (0, Hold::Closed),
                _ if kept == 0 => (0, Hold::Closed),
                _ if order.has_sent(sku) => (kept, Hold::Shipped),
                _ => (kept, Hold::Committed),
            };
            assert_eq!(hold, Some(wanted), "{sku} of {id}, which is {:?}", order.stage);
            if wanted.1 == Hold::Committed {
                let parted = self.stock.get(sku).map(|book| book.parted_of(id)).unwrap_or_default();
                assert_eq!(parted, (order.sent_of(sku), order.given_up_of(sku)), "{sku} of {id} went unseen");
            }
        }
    }
}

fn has_its_money(id: OrderId, order: &OrderBook, gateway: &Gateway) {
    for (payment, (_, money)) in &order.payments {
        let intent = gateway.intents.get(payment);
        match money {
            Money::ByHand => assert!(intent.is_none()),
            Money::Asked | Money::Held => panic!("{id}: {payment} is left undecided: {money:?}"),
            Money::Taken | Money::Gone => {
                let intent = intent.expect("the gateway was asked");
                assert!(!intent.is_open(), "{id}: the gateway still holds {payment}");
                assert_eq!(intent.captured() > 0, *money == Money::Taken, "{id}: {payment} is taken unseen");
                let of_this = order.refunds.iter().filter(|((_, of), _)| *of == Some(*payment));
                let done = of_this.filter(|(_, (_, back))| *back == Back::Done);
                let back: i64 = done.map(|(_, (amount, _))| amount).sum();
                assert_eq!(intent.refunded(), back, "{id}: {payment} is refunded unseen");
            }
        }
    }
    let waiting = order.refunds.values().any(|(_, back)| *back == Back::Asked);
    assert!(!waiting, "{id}: a refund is left undecided");
    let kept = order.money_in() - order.money_gone_back();
    if order.stage == Stage::Processing {
        let may_be = order.is_free() || order.is_parted();
        assert!(kept > 0 || may_be, "{id} is packed, and all its money went back");
    }
    let is_even = order.given_by_hand() >= order.owed_by_hand || kept <= 0;
    assert!(is_even, "{id} owes the shopper money that only people can give back: {order:?}");
    if order.is_called_off() {
        assert!(
            kept == 0 || (kept < 0 && order.is_meddled_with),
            "{id} is called off and keeps money: {order:?}"
        );
        let says_so = order.says_refunded || order.money_in() == 0;
        assert!(says_so, "{id} gave all its money back and does not say so");
    }
}
