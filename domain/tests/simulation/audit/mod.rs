//! The auditor. It reads the raw events with its own small books, looks into the gateway's, and trusts nobody's
//! state. It looks after every single event, and once more when all is over.

mod ending;
mod orders;
mod stock;

use crate::gateway::Gateway;
use crate::log::{Entry, Stream};
use domain::stored::StoredEvent;
use domain::{Event, OrderId, PaymentId, Sku, cart};
use orders::OrderBook;
pub use orders::Stage;
use std::collections::{BTreeMap, BTreeSet};
use stock::StockBook;

#[derive(Debug, Default)]
pub struct Auditor {
    stock: BTreeMap<Sku, StockBook>,
    orders: BTreeMap<OrderId, OrderBook>,
    /// The totals that carts were checked out with.
    checked_out: BTreeMap<OrderId, i64>,
    /// Who was truly refused what.
    refused: BTreeSet<(OrderId, Sku)>,
}

/// Its name on disk.
pub fn name_of(event: &Event) -> &'static str {
    match event {
        Event::Product(event) => event.type_name(),
        Event::Inventory(event) => event.type_name(),
        Event::Cart(event) => event.type_name(),
        Event::Order(event) => event.type_name(),
    }
}

impl Auditor {
    /// An event was recorded.
    pub fn sees(&mut self, entry: &Entry, gateway: &Gateway) {
        match (&entry.stream, &entry.event) {
            (Stream::Stock(sku), Event::Inventory(event)) => {
                self.stock.entry(sku.clone()).or_default().sees(sku, event, &self.orders);
            }
            (Stream::Order(id), Event::Order(event)) => {
                if !self.orders.contains_key(id) {
                    let total = self.checked_out.get(id).expect("an order comes from a cart");
                    self.orders.insert(*id, OrderBook::open(event, *total));
                    return;
                }
                let book = self.orders.get_mut(id).expect("it is there");
                book.sees(*id, event, (&self.stock, &self.refused), gateway);
            }
            (Stream::Cart(_), Event::Cart(event)) => {
                if let cart::Event::CheckedOut(checked_out) = event {
                    let before = self.checked_out.insert(checked_out.order_id, checked_out.total.amount());
                    assert_eq!(before, None, "a cart is checked out twice");
                }
            }
            (stream, event) => panic!("{event:?} in the stream of {stream:?}"),
        }
    }

    /// What is remarkable about the event that was seen last.
    pub fn happening(&self, entry: &Entry) -> Option<&'static str> {
        let (Stream::Order(id), Event::Order(event)) = (&entry.stream, &entry.event) else { return None };
        self.orders[id].happening(event)
    }

    /// Stock refuses an order: no shopper may be sent away while units are free.
    pub fn refuses(&mut self, sku: &Sku, order_id: OrderId, asked: u64) {
        let free = self.stock.get(sku).map_or(0, StockBook::free);
        let asked_for = i64::try_from(asked).expect("few units are asked for");
        assert!(free < asked_for, "undersold: {asked} units of {sku} were refused while {free} were free");
        self.refused.insert((order_id, sku.clone()));
    }

    /// The gateway is asked to take money.
    pub fn asks_for_money(&self, order_id: OrderId, payment_id: PaymentId) {
        let book = &self.orders[&order_id];
        assert!(book.were_all_held(), "money of {order_id} is asked for before all its stock is held");
        assert!(book.was_secured(), "money of {order_id} is asked for before its total is covered");
        assert!(book.was_authorized(payment_id), "money of {order_id} is asked for that is not ours to take");
    }
}
