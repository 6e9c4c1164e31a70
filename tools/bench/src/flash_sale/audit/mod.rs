//! The auditor: what happened, folded from the raw events, and what the gateway's own books say. It shares no rule and
//! no type with the service.

mod history;
#[cfg(test)]
mod tests;

pub use history::History;

use history::Order;
use std::collections::HashMap;
use uuid::Uuid;

/// A payment in the gateway's books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    pub order_id: Option<Uuid>,
    /// Pence that were taken.
    pub received: i64,
    /// Pence that were given back.
    pub refunded: i64,
    /// Whether money is held, or the outcome open.
    pub is_open: bool,
}

/// What the shoppers know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// Orders of those who heard that they bought.
    pub bought: Vec<Uuid>,
    /// Who could pay, wanted the hot SKU alone and heard that it is sold out.
    pub sent_home: u64,
    /// The same with the second SKU.
    pub sent_home_with_second: u64,
    /// Who got no answer that they could make sense of.
    pub lost: u64,
}

/// What the auditor found. All but `sold` and `free` must be zero.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// Units of the hot SKU that belong to paid orders.
    pub sold: i64,
    /// Units of the hot SKU that nobody has.
    pub free: i64,
    /// Units that were promised and not there, at the worst moment, of all SKUs.
    pub oversold: i64,
    /// Free units of the hot SKU that somebody would have bought who was sent home.
    pub undersold: i64,
    /// Orders whose money was taken and that are not served, or of which too much was taken.
    pub charged_but_unfulfilled: u64,
    /// Orders that are served and whose money was not taken.
    pub fulfilled_but_uncharged: u64,
    /// Orders, and held money, that have come to no end; shoppers without an answer.
    pub stuck: u64,
    /// Shoppers who heard that they bought, and the history knows nothing of it.
    pub broken_promises: u64,
}

impl Findings {
    /// Whether time alone may mend it.
    pub fn is_settled(&self) -> bool {
        self.stuck == 0 && self.charged_but_unfulfilled == 0 && self.fulfilled_but_uncharged == 0
    }

    /// What must not be, in words.
    pub fn broken(&self) -> Vec<String> {
        let figures = [
            ("oversold", self.oversold),
            ("undersold", self.undersold),
            ("charged but unfulfilled", self.charged_but_unfulfilled.cast_signed()),
            ("fulfilled but uncharged", self.fulfilled_but_uncharged.cast_signed()),
            ("stuck", self.stuck.cast_signed()),
            ("promised and unknown to the history", self.broken_promises.cast_signed()),
        ];
        figures
            .into_iter()
            .filter(|(_, count)| *count != 0)
            .map(|(name, count)| format!("{count} {name}"))
            .collect()
    }
}

/// Judges the history of a sale of the hot SKU.
pub fn judge(history: &History, (hot, second): (&str, &str), books: &[Charge], told: &Told) -> Findings {
    let free = history.free(hot).max(0);
    let would_have_bought = told.sent_home + told.sent_home_with_second.min(positive(history.free(second)));
    let mut findings = Findings {
        sold: history.units_of_served_orders(hot),
        free,
        oversold: history.oversold(),
        undersold: free.min(would_have_bought.cast_signed()),
        stuck: told.lost + history.carts_without_orders(),
        ..Findings::default()
    };
    let mut kept: HashMap<Option<Uuid>, i64> = HashMap::new();
    for charge in books {
        *kept.entry(charge.order_id).or_default() += charge.received - charge.refunded;
        findings.stuck += u64::from(charge.is_open);
    }
    for (order_id, order) in history.orders() {
        let money = kept.remove(&Some(*order_id)).unwrap_or(0);
        let is_served = history.is_served(*order_id, order);
        findings.stuck += u64::from(is_stuck(history, *order_id, order));
        let owed = if is_served { order.total } else { 0 };
        findings.charged_but_unfulfilled += u64::from(money > owed);
        findings.fulfilled_but_uncharged += u64::from(money < owed);
    }
    // Money for what is no order of ours.
    findings.charged_but_unfulfilled += kept.values().filter(|money| **money > 0).count() as u64;
    let is_known = |order_id: &&Uuid| {
        history.orders().get(*order_id).is_some_and(|order| history.is_served(**order_id, order))
    };
    findings.broken_promises = (told.bought.len() - told.bought.iter().filter(is_known).count()) as u64;
    findings
}

/// Neither served nor called off with everything let go.
fn is_stuck(history: &History, order_id: Uuid, order: &Order) -> bool {
    if order.is_called_off { history.holds_anything(order_id) } else { !history.is_served(order_id, order) }
}

fn positive(units: i64) -> u64 {
    u64::try_from(units).unwrap_or(0)
}
