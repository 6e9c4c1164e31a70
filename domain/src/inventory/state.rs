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
    /// Of the orders whose units went separate ways: most have none.
    pub(super) parted: HashMap<OrderId, Parted>,
    /// Of the reservations, those of anonymous orders whose money nobody has secured.
    pub(super) unpaid: HashMap<OrderId, u32>,
    /// The sum of those.
    pub(super) unpaid_units: u64,
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

/// How many of an order's committed units went separate ways.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parted {
    /// Units that left the house.
    pub shipped: u32,
    /// Units that the order gave up.
    pub released: u32,
}

impl Parted {
    /// Units that went either way.
    pub(super) fn units(self) -> u32 {
        self.shipped.saturating_add(self.released)
    }
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

    /// Units held for anonymous orders whose money nobody has secured.
    #[must_use]
    pub fn held_unpaid(&self) -> u64 {
        self.unpaid_units
    }

    /// Units that are here and are nobody's yet: available, or held for orders that are not paid.
    #[must_use]
    pub fn unsold(&self) -> u64 {
        self.available.saturating_add(self.held_for_unpaid())
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

    /// How many units of this order went separate ways.
    #[must_use]
    pub fn parted(&self, order_id: OrderId) -> Parted {
        self.parted.get(&order_id).copied().unwrap_or_default()
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
                if reserved.unpaid {
                    let units = reserved.quantity.units();
                    self.unpaid.insert(reserved.order_id, units);
                    self.unpaid_units = self.unpaid_units.saturating_add(u64::from(units));
                }
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
            Event::UnitsShipped(shipped) => {
                let units = shipped.quantity.units();
                self.take_from_committed(u64::from(units));
                self.shipped = self.shipped.saturating_add(u64::from(units));
                self.go_apart(shipped.order_id, Parted { shipped: units, released: 0 });
            }
            Event::UnitsReleased(released) => {
                let units = released.quantity.units();
                self.take_from_committed(u64::from(units));
                self.available = self.available.saturating_add(u64::from(units));
                self.go_apart(released.order_id, Parted { shipped: 0, released: units });
            }
        }
        self
    }

    fn hold(&mut self, quantity: Quantity) {
        let units = u64::from(quantity.units());
        self.available = self.available.saturating_sub(units);
        self.reserved = self.reserved.saturating_add(units);
    }

    fn take_from_committed(&mut self, units: u64) {
        self.reserved = self.reserved.saturating_sub(units);
        self.committed = self.committed.saturating_sub(units);
    }

    /// Units go separate ways; with the last of them the reservation is settled.
    fn go_apart(&mut self, order_id: OrderId, more: Parted) {
        let parted = self.parted.entry(order_id).or_default();
        parted.shipped = parted.shipped.saturating_add(more.shipped);
        parted.released = parted.released.saturating_add(more.released);
        let parted = *parted;
        if let Some(reservation) = self.reservations.get_mut(&order_id)
            && reservation.units <= parted.units()
        {
            reservation.phase = if parted.shipped > 0 { Phase::Shipped } else { Phase::Released };
        }
    }

    /// Whatever happens to a reservation, it is no unpaid one any more.
    fn set(&mut self, order_id: OrderId, units: u32, phase: Phase) {
        if let Some(units) = self.unpaid.remove(&order_id) {
            self.unpaid_units = self.unpaid_units.saturating_sub(u64::from(units));
        }
        self.reservations.insert(order_id, Reservation { units, phase });
    }
}
