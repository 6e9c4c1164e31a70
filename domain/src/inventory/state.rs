use super::event::Event;
use crate::{AdjustmentId, OrderId, Quantity, ReceiptId};
use std::collections::HashMap;

/// The stock of a SKU.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    pub(super) available: u64,
    pub(super) reserved: u64,
    /// Of the reserved ones, those of paid orders.
    pub(super) committed: u64,
    pub(super) shipped: u64,
    pub(super) received: u64,
    pub(super) adjusted: i64,
    pub(super) reservations: HashMap<OrderId, Reservation>,
    pub(super) receipts: HashMap<ReceiptId, u32>,
    pub(super) adjustments: HashMap<AdjustmentId, i64>,
}

/// What an order has, or had, of a SKU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// Units; zero when the order was called off before it held any.
    pub units: u32,
    /// How far it is.
    pub phase: Phase,
}

/// How far a reservation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Held until the order is paid or called off.
    Reserved,
    /// Held for a paid order.
    Committed,
    /// Gone to the customer.
    Shipped,
    /// Let go of: this order can reserve here no more.
    Released,
}

impl Inventory {
    /// Units that can be reserved.
    #[must_use]
    pub fn available(&self) -> u64 {
        self.available
    }

    /// Units held for orders, committed ones among them.
    #[must_use]
    pub fn reserved(&self) -> u64 {
        self.reserved
    }

    /// Units held for orders that are not paid: some of them may come back.
    #[must_use]
    pub fn held_for_unpaid(&self) -> u64 {
        self.reserved.saturating_sub(self.committed)
    }

    /// Units that left the house.
    #[must_use]
    pub fn shipped(&self) -> u64 {
        self.shipped
    }

    /// Units that ever came in.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The sum of all corrections, in units.
    #[must_use]
    pub fn adjusted(&self) -> i64 {
        self.adjusted
    }

    /// What this order has, or had.
    #[must_use]
    pub fn reservation(&self, order_id: OrderId) -> Option<Reservation> {
        self.reservations.get(&order_id).copied()
    }

    pub(super) fn receipt(&self, receipt_id: ReceiptId) -> Option<u32> {
        self.receipts.get(&receipt_id).copied()
    }

    pub(super) fn adjustment(&self, adjustment_id: AdjustmentId) -> Option<i64> {
        self.adjustments.get(&adjustment_id).copied()
    }

    pub(super) fn apply(mut self, event: &Event) -> Self {
        match event {
            Event::Received(received) => {
                let units = u64::from(received.quantity.units());
                self.received = self.received.saturating_add(units);
                self.available = self.available.saturating_add(units);
                self.receipts.insert(received.receipt_id, received.quantity.units());
            }
            Event::Adjusted(adjusted) => {
                self.adjusted = self.adjusted.saturating_add(adjusted.delta);
                self.available = self.available.saturating_add_signed(adjusted.delta);
                self.adjustments.insert(adjusted.adjustment_id, adjusted.delta);
            }
            Event::Reserved(reserved) => {
                self.hold(reserved.quantity);
                self.set(reserved.order_id, reserved.quantity.units(), Phase::Reserved);
            }
            Event::Released(released) => {
                let units = u64::from(released.quantity.units());
                self.available = self.available.saturating_add(units);
                self.reserved = self.reserved.saturating_sub(units);
                if released.was_committed {
                    self.committed = self.committed.saturating_sub(units);
                }
                self.set(released.order_id, released.quantity.units(), Phase::Released);
            }
            Event::ReservationClosed(closed) => self.set(closed.order_id, 0, Phase::Released),
            Event::Committed(committed) => {
                self.committed = self.committed.saturating_add(u64::from(committed.quantity.units()));
                self.set(committed.order_id, committed.quantity.units(), Phase::Committed);
            }
            Event::Shipped(shipped) => {
                let units = u64::from(shipped.quantity.units());
                self.reserved = self.reserved.saturating_sub(units);
                self.committed = self.committed.saturating_sub(units);
                self.shipped = self.shipped.saturating_add(units);
                self.set(shipped.order_id, shipped.quantity.units(), Phase::Shipped);
            }
        }
        self
    }

    fn hold(&mut self, quantity: Quantity) {
        let units = u64::from(quantity.units());
        self.available = self.available.saturating_sub(units);
        self.reserved = self.reserved.saturating_add(units);
    }

    fn set(&mut self, order_id: OrderId, units: u32, phase: Phase) {
        self.reservations.insert(order_id, Reservation { units, phase });
    }
}
