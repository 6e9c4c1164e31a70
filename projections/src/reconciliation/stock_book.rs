//! What the events of a SKU say of its units.

use domain::inventory::Event;
use std::collections::HashMap;
use uuid::Uuid;

/// Where an order's units of a SKU are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hold {
    /// Units in the house for the order, committed or not.
    pub kept: i64,
    /// Of these, units that are the order's for good.
    pub committed: i64,
    /// Units that have left for it.
    pub shipped: i64,
}

/// The units of a SKU.
#[derive(Debug, Default)]
pub struct StockBook {
    pub received: i64,
    pub adjusted: i64,
    /// Only orders that have or had units.
    pub holds: HashMap<Uuid, Hold>,
    pub revision: i64,
}

/// The row that it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Units {
    pub received: i64,
    pub adjusted: i64,
    pub available: i64,
    pub reserved: i64,
    pub committed: i64,
    pub shipped: i64,
}

impl StockBook {
    pub fn sees(&mut self, event: &Event, revision: i64) {
        self.revision = revision;
        match event {
            Event::Received(received) => self.received += i64::from(received.quantity.units()),
            Event::Adjusted(adjusted) => self.adjusted += adjusted.delta,
            Event::Reserved(reserved) => {
                self.hold(reserved.order_id.0).kept += i64::from(reserved.quantity.units());
            }
            Event::Released(released) => {
                let units = i64::from(released.quantity.units());
                let hold = self.hold(released.order_id.0);
                hold.kept -= units;
                if released.was_committed {
                    hold.committed -= units;
                }
            }
            Event::ReservationClosed(_) => {}
            Event::Committed(committed) => {
                self.hold(committed.order_id.0).committed += i64::from(committed.quantity.units());
            }
            Event::Shipped(shipped) => {
                self.leave(shipped.order_id.0, i64::from(shipped.quantity.units()));
            }
            Event::UnitsShipped(some) => self.leave(some.order_id.0, i64::from(some.quantity.units())),
            Event::UnitsReleased(some) => {
                let units = i64::from(some.quantity.units());
                let hold = self.hold(some.order_id.0);
                hold.kept -= units;
                hold.committed -= units;
            }
        }
    }

    fn hold(&mut self, order_id: Uuid) -> &mut Hold {
        self.holds.entry(order_id).or_default()
    }

    fn leave(&mut self, order_id: Uuid, units: i64) {
        let hold = self.hold(order_id);
        hold.kept -= units;
        hold.committed -= units;
        hold.shipped += units;
    }

    /// All units, added up over the orders.
    pub fn units(&self) -> Units {
        let (mut reserved, mut committed, mut shipped) = (0, 0, 0);
        for hold in self.holds.values() {
            reserved += hold.kept;
            committed += hold.committed;
            shipped += hold.shipped;
        }
        Units {
            received: self.received,
            adjusted: self.adjusted,
            available: self.received + self.adjusted - reserved - shipped,
            reserved,
            committed,
            shipped,
        }
    }

    /// Whether units were given away that were not there, to an order or to all of them together.
    pub fn is_oversold(&self) -> bool {
        let is_wrong = |hold: &Hold| hold.kept < 0 || hold.committed < 0 || hold.committed > hold.kept;
        self.units().available < 0 || self.holds.values().any(is_wrong)
    }
}
