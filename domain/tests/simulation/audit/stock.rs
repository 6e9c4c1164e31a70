//! What a SKU's events say of its units.

use super::orders::OrderBook;
use domain::inventory::Event;
use domain::{OrderId, ReceiptId, Sku};
use std::collections::{BTreeMap, BTreeSet};

/// What of the unsold units may be held by orders whose money nobody has secured, in hundredths.
const UNPAID_PERCENT: i64 = 30;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    Held,
    Committed,
    Shipped,
    /// Let go of, for ever.
    Closed,
}

#[derive(Debug, Default)]
pub struct StockBook {
    /// Units that came in, and those found and lost.
    came_in: i64,
    receipts: BTreeSet<ReceiptId>,
    adjustments: BTreeSet<domain::AdjustmentId>,
    /// Units that an order has, or had when they left: those that it gave up are not among them.
    pub holds: BTreeMap<OrderId, (i64, Hold)>,
    /// Orders that held theirs before anybody had secured their money.
    unpaid: BTreeSet<OrderId>,
    /// Of the orders whose units go separate ways: those that left, and those that were given up.
    parted: BTreeMap<OrderId, (i64, i64)>,
}

impl StockBook {
    /// Units that nobody has.
    pub fn free(&self) -> i64 {
        let with_orders = self.holds.values().filter(|(_, hold)| *hold != Hold::Closed);
        self.came_in - with_orders.map(|(units, _)| units).sum::<i64>()
    }

    /// Units that no paid order has.
    fn unsold(&self) -> i64 {
        let is_sold = |hold: &Hold| matches!(hold, Hold::Committed | Hold::Shipped);
        let sold = self.holds.values().filter(|(_, hold)| is_sold(hold));
        self.came_in - sold.map(|(units, _)| units).sum::<i64>()
    }

    fn held_unpaid(&self) -> i64 {
        let unpaid = self.unpaid.iter().filter_map(|order_id| self.holds.get(order_id));
        unpaid.filter(|(_, hold)| *hold == Hold::Held).map(|(units, _)| units).sum()
    }

    pub fn hold_of(&self, order_id: OrderId) -> Option<(i64, Hold)> {
        self.holds.get(&order_id).copied()
    }

    /// Units of an order that left while others stayed, and units that it gave up.
    pub fn parted_of(&self, order_id: OrderId) -> (i64, i64) {
        self.parted.get(&order_id).copied().unwrap_or_default()
    }

    /// Some units of an order go their own way.
    fn parts(&mut self, sku: &Sku, (order_id, order): (OrderId, &OrderBook), shipped: i64, released: i64) {
        let parted = self.parted.entry(order_id).or_default();
        *parted = (parted.0 + shipped, parted.1 + released);
        assert!(parted.0 <= order.sent_of(sku), "{sku}: left without being sent");
        assert!(parted.1 <= order.given_up_of(sku), "{sku}: taken from an order that wants it");
        let (hold, gone) = (self.holds.get_mut(&order_id).expect("only what is held is parted"), parted.0);
        assert_eq!(hold.1, Hold::Committed, "{sku}: what {order_id} has is parted");
        hold.0 -= released;
        assert!(gone <= hold.0, "{sku}: more left than {order_id} has");
        if hold.0 == 0 {
            hold.1 = Hold::Closed;
        } else if hold.0 == gone {
            hold.1 = Hold::Shipped;
        }
    }

    pub fn sees(&mut self, sku: &Sku, event: &Event, orders: &BTreeMap<OrderId, OrderBook>) {
        match event {
            Event::Received(received) => {
                assert!(self.receipts.insert(received.receipt_id), "{sku}: a delivery counts twice");
                self.came_in += i64::from(received.quantity.units());
            }
            Event::Adjusted(adjusted) => {
                assert!(self.adjustments.insert(adjusted.adjustment_id), "{sku}: a correction counts twice");
                self.came_in += adjusted.delta;
            }
            Event::Reserved(reserved) => {
                let units = i64::from(reserved.quantity.units());
                if reserved.unpaid {
                    self.unpaid.insert(reserved.order_id);
                    let limit = (self.unsold() * UNPAID_PERCENT / 100).max(1);
                    assert!(self.held_unpaid() + units <= limit, "{sku}: more is held unpaid than may be");
                }
                self.moves(sku, reserved.order_id, None, (units, Hold::Held));
            }
            Event::ReservationClosed(closed) => {
                assert!(orders[&closed.order_id].is_called_off(), "{sku}: closed to an order that lives");
                self.moves(sku, closed.order_id, None, (0, Hold::Closed));
            }
            Event::Released(released) => {
                assert!(orders[&released.order_id].is_called_off(), "{sku}: taken from an order that lives");
                let units = i64::from(released.quantity.units());
                let from = if released.was_committed { Hold::Committed } else { Hold::Held };
                self.moves(sku, released.order_id, Some((units, from)), (0, Hold::Closed));
            }
            Event::Committed(committed) => {
                assert!(orders[&committed.order_id].was_paid(), "{sku}: committed to an order without money");
                let units = i64::from(committed.quantity.units());
                self.moves(sku, committed.order_id, Some((units, Hold::Held)), (units, Hold::Committed));
            }
            Event::UnitsShipped(some) => {
                let order = (some.order_id, &orders[&some.order_id]);
                self.parts(sku, order, i64::from(some.quantity.units()), 0);
            }
            Event::UnitsReleased(some) => {
                let order = (some.order_id, &orders[&some.order_id]);
                self.parts(sku, order, 0, i64::from(some.quantity.units()));
            }
            Event::Shipped(shipped) => {
                assert!(orders[&shipped.order_id].has_sent(sku), "{sku}: left without being sent");
                let units = i64::from(shipped.quantity.units());
                self.moves(sku, shipped.order_id, Some((units, Hold::Committed)), (units, Hold::Shipped));
            }
        }
        assert!(self.free() >= 0, "oversold: {sku} has {self:?}");
    }

    fn moves(&mut self, sku: &Sku, order_id: OrderId, from: Option<(i64, Hold)>, to: (i64, Hold)) {
        let before = self.holds.insert(order_id, to);
        assert_eq!(before, from, "{sku}: what {order_id} has becomes {to:?}");
    }
}
