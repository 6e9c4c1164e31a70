//! Adds up the log.

use super::day_book::DayBook;
use super::order_book::OrderBook;
use super::stock_book::{Hold, StockBook};
use crate::fact::{Fact, Subject, UnreadableFact};
use crate::moment::Moment;
use crate::projection::Projection;
use crate::read_models::{Orders, Sales, Stock};
use chrono::{DateTime, Utc};
use domain::{Sku, order};
use event_store::RecordedEvent;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// The tables as they stand at one moment: up to where each is filled.
pub struct Moments {
    pub orders: Moment,
    pub stock: Moment,
    pub sales: Moment,
}

/// All orders, SKUs and days, as their events say.
///
/// They stand in memory: about one kilobyte for each order, and a hundred bytes for each SKU of it.
#[derive(Debug, Default)]
pub struct Books {
    pub events: u64,
    pub orders: BTreeMap<Uuid, OrderBook>,
    pub stock: BTreeMap<Sku, StockBook>,
    pub days: DayBook,
    /// Orders whose first event is not that they were placed.
    pub without_beginning: Vec<Uuid>,
    /// When the store took the last event that is in the books of the orders, and of the stock.
    last_recorded: (Option<DateTime<Utc>>, Option<DateTime<Utc>>),
}

impl Moments {
    /// The position after which no table has anything.
    pub fn furthest(&self) -> Option<i64> {
        self.orders.position().max(self.stock.position()).max(self.sales.position())
    }

    pub fn parked(&self) -> usize {
        self.orders.parked() + self.stock.parked() + self.sales.parked()
    }
}

impl Books {
    /// The next event of the log. What a table has not seen yet is not in its book.
    pub fn sees(&mut self, recorded: &RecordedEvent, moments: &Moments) -> Result<(), UnreadableFact> {
        let of_order = Orders::wants(recorded) && moments.orders.has(recorded);
        let of_sale = Sales::wants(recorded) && moments.sales.has(recorded);
        let of_stock = Stock::wants(recorded) && moments.stock.has(recorded);
        if !(of_order || of_sale || of_stock) {
            return Ok(());
        }
        self.events += 1;
        let fact = Fact::read(recorded)?;
        if let Subject::Inventory(sku, event) = &fact.subject {
            self.stock.entry(sku.clone()).or_default().sees(event, fact.revision);
            self.last_recorded.1 = Some(recorded.recorded_at);
        }
        if let Subject::Order(id, event) = &fact.subject {
            if of_order {
                self.sees_order(id.0, event, &fact, recorded);
                self.last_recorded.0 = Some(recorded.recorded_at);
            }
            if of_sale {
                self.sees_sale(id.0, event, fact.occurred_at);
            }
        }
        Ok(())
    }

    fn sees_order(&mut self, id: Uuid, event: &order::Event, fact: &Fact, recorded: &RecordedEvent) {
        match (self.orders.get_mut(&id), event) {
            (Some(book), event) => book.sees(event, fact.revision, recorded.recorded_at),
            (None, order::Event::Placed(placed)) => {
                self.orders.insert(id, OrderBook::open(placed, recorded.recorded_at));
            }
            (None, _) => self.without_beginning.push(id),
        }
    }

    fn sees_sale(&mut self, id: Uuid, event: &order::Event, occurred_at: DateTime<Utc>) {
        match event {
            order::Event::Placed(placed) => self.days.placed(id, placed),
            order::Event::Paid(paid) => self.days.paid(id, occurred_at.date_naive(), paid),
            order::Event::Cancelled(_) => self.days.called_off(id),
            order::Event::ReservationsAnswered(_)
            | order::Event::PaymentRecorded(_)
            | order::Event::PaymentRequested(_)
            | order::Event::PaymentStarted(_)
            | order::Event::PaymentAuthorized(_)
            | order::Event::PaymentDeclined(_)
            | order::Event::PaymentCaptured(_)
            | order::Event::PaymentVoided(_)
            | order::Event::StockCommitted(_)
            | order::Event::ProcessingStarted(_)
            | order::Event::ShipmentSent(_)
            | order::Event::ShipmentDelivered(_)
            | order::Event::Shipped(_)
            | order::Event::StockShipped(_)
            | order::Event::StockParted(_)
            | order::Event::RestCancelled(_)
            | order::Event::Delivered(_)
            | order::Event::StockReleased(_)
            | order::Event::RefundRequested(_)
            | order::Event::RefundRefused(_)
            | order::Event::RefundRecorded(_)
            | order::Event::RefundFound(_)
            | order::Event::RefundFailed(_)
            | order::Event::Refunded(_) => {}
        }
    }

    /// Up to when both the orders and the stock are known, if the log goes on after that.
    pub fn known_until(&self) -> Option<DateTime<Utc>> {
        self.last_recorded.0.min(self.last_recorded.1)
    }

    /// For each order, what stock keeps for it.
    pub fn holds(&self) -> HashMap<Uuid, HashMap<&Sku, Hold>> {
        let mut holds: HashMap<_, HashMap<_, _>> = HashMap::new();
        for (sku, stock) in &self.stock {
            for (order_id, hold) in &stock.holds {
                holds.entry(*order_id).or_default().insert(sku, *hold);
            }
        }
        holds
    }
}
