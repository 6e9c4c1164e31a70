//! What was sold and taken on a day.

use chrono::NaiveDate;
use domain::order::{Paid, Placed};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// The orders that were paid on one day (UTC) in one currency.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Day {
    pub orders: i64,
    pub lines: i64,
    pub units: i64,
    /// Price of what was sold.
    pub goods: i64,
    /// For sending it.
    pub shipping: i64,
    /// What the orders say that they were paid with.
    pub money: i64,
}

/// All days.
#[derive(Debug, Default)]
pub struct DayBook {
    pub days: BTreeMap<(NaiveDate, String), Day>,
    /// Placed and not yet paid.
    pending: HashMap<Uuid, Day>,
}

impl DayBook {
    pub fn placed(&mut self, order_id: Uuid, placed: &Placed) {
        let mut order = Day {
            orders: 1,
            shipping: placed.shipping.map_or(0, |charge| charge.amount()),
            ..Day::default()
        };
        for line in &placed.lines {
            let units = i64::from(line.quantity.units());
            order.lines += 1;
            order.units += units;
            order.goods += units * line.unit_price.amount();
        }
        self.pending.insert(order_id, order);
    }

    pub fn paid(&mut self, order_id: Uuid, day: NaiveDate, paid: &Paid) {
        let order = self.pending.remove(&order_id).unwrap_or_default();
        let sum = self.days.entry((day, paid.amount.currency().to_string())).or_default();
        sum.orders += order.orders;
        sum.lines += order.lines;
        sum.units += order.units;
        sum.goods += order.goods;
        sum.shipping += order.shipping;
        sum.money += paid.amount.amount();
    }

    pub fn called_off(&mut self, order_id: Uuid) {
        self.pending.remove(&order_id);
    }
}
