//! Purchases with all their requests, and how each must end.

use super::history::of_order;
use super::machine::Machine;
use domain::fulfilment::{owed, undecided};
use domain::inventory::{self, Inventory};
use domain::order::Order;
use domain::stored::{COMMAND_NOTED, StoredEvent};
use domain::{Aggregate, OrderId};
use event_store::RecordedEvent;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A request.
#[derive(Debug, Clone)]
pub struct Step {
    pub path: String,
    pub body: Value,
    pub key: String,
    pub waits: bool,
}

/// A purchase.
#[derive(Debug, Clone)]
pub struct Story {
    pub name: &'static str,
    /// How long the shop waits for money.
    pub hold_seconds: u32,
    /// Sent while the fulfilment process rests, so that all of it is in the log before stock is asked.
    pub before: Vec<Step>,
    pub steps: Vec<Step>,
    /// The first event of the log after which the process is stopped.
    pub from: &'static str,
    pub end: End,
}

/// How everything stands when nobody has anything left to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    pub status: &'static str,
    /// Each SKU with its units: available, reserved for orders that are paid, reserved for others.
    pub stock: Vec<(String, u64, u64, u64)>,
    /// The gateway's payments: status, amount, what it took, and what it gave back of it.
    pub books: Vec<(String, i64, i64, i64)>,
    /// What the order still owes to anybody, or waits for: nothing.
    pub open: usize,
}

impl Story {
    fn new(
        name: &'static str,
        status: &'static str,
        stock: [(u64, u64); 2],
        books: &[(&str, i64, i64, i64)],
    ) -> Self {
        let skus = ["BOWL", "MUG"].into_iter().zip(stock);
        let mut books: Vec<_> = books
            .iter()
            .map(|(status, amount, taken, back)| ((*status).to_owned(), *amount, *taken, *back))
            .collect();
        books.sort();
        let end = End {
            status,
            stock: skus
                .map(|(sku, (available, committed))| (sku.to_owned(), available, committed, 0))
                .collect(),
            books,
            open: 0,
        };
        let mut story =
            Self { name, hold_seconds: 900, before: vec![], steps: vec![], from: "cart.item_added.v1", end };
        for (sku, who, price, units) in [("MUG", "acme", 1000, 10), ("BOWL", "pottery", 500, 5)] {
            let product = json!({ "sku": sku, "merchant_id": who, "name": sku, "price": gbp(price) });
            story = story.step("/products", product);
            story = story.step(&format!("/stock/{sku}/receipts"), json!({ "quantity": units }));
        }
        story = story.step("/carts", json!({ "currency": "GBP" }));
        let lines = json!([{ "sku": "MUG", "quantity": 2 }, { "sku": "BOWL", "quantity": 1 }]);
        story.step("/carts/{cart}/lines", json!({ "lines": lines }))
    }

    fn step(mut self, path: &str, body: Value) -> Self {
        let key = format!("{} {} {path}", self.name, self.steps.len());
        self.steps.push(Step { path: path.to_owned(), body, key, waits: true });
        self
    }

    fn check_out(self, hold_seconds: Option<u32>) -> Self {
        let mut body = json!({ "total": gbp(2500), "country": "GB" });
        if let Some(seconds) = hold_seconds {
            body["hold_seconds"] = json!(seconds);
        }
        self.step("/carts/{cart}/checkout", body)
    }

    fn pay(self, payment_method: &str, amount: i64) -> Self {
        let body = json!({ "amount": gbp(amount), "payment_method": payment_method });
        self.step("/orders/{order}/payments", body)
    }

    fn cancel(self) -> Self {
        self.step("/orders/{order}/cancellation", json!({ "reason": "changed my mind" }))
    }

    fn from(self, from: &'static str) -> Self {
        Self { from, ..self }
    }

    /// What was said so far comes before the process has done anything, and nobody waits for what it does.
    fn while_the_process_rests(mut self) -> Self {
        self.before = std::mem::take(&mut self.steps);
        self.before.iter_mut().for_each(|step| step.waits = false);
        self
    }

    /// All its requests.
    pub fn all(&self) -> Vec<Step> {
        [self.before.clone(), self.steps.clone()].concat()
    }
}

fn gbp(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "GBP" })
}

/// Sold: two of ten mugs and one of five bowls. Bowls come first, as everything here is in alphabetical order.
const SOLD: [(u64, u64); 2] = [(4, 1), (8, 2)];
const UNSOLD: [(u64, u64); 2] = [(5, 0), (10, 0)];
const APPROVED: &str = "pm_sandbox_approve";

pub fn stories() -> Vec<Story> {
    vec![
        Story::new("paid", "processing", SOLD, &[("succeeded", 2500, 2500, 0)])
            .check_out(None)
            .pay(APPROVED, 2500),
        Story::new(
            "two payments",
            "processing",
            SOLD,
            &[("succeeded", 1000, 1000, 0), ("succeeded", 1500, 1500, 0)],
        )
        .check_out(None)
        .pay(APPROVED, 1000)
        .pay(APPROVED, 1500),
        Story::new(
            "declined, then paid",
            "processing",
            SOLD,
            &[("requires_payment_method", 2500, 0, 0), ("succeeded", 2500, 2500, 0)],
        )
        .check_out(None)
        .pay("pm_sandbox_decline", 2500)
        .pay(APPROVED, 2500),
        Story::new(
            "not captured, then paid",
            "processing",
            SOLD,
            &[("requires_payment_method", 2500, 0, 0), ("succeeded", 2500, 2500, 0)],
        )
        .check_out(None)
        .pay("pm_sandbox_capture_fails", 2500)
        .pay(APPROVED, 2500),
        Story::new("slowly paid", "processing", SOLD, &[("succeeded", 2500, 2500, 0)])
            .check_out(None)
            .pay("pm_sandbox_slow", 2500)
            .from("order.payment_requested.v1"),
        Story::new("answered late", "processing", SOLD, &[("succeeded", 2500, 2500, 0)])
            .check_out(None)
            .pay("pm_sandbox_answers_after_timeout", 2500)
            .from("order.payment_requested.v1"),
        Story::new("cancelled after the capture", "refunded", UNSOLD, &[("succeeded", 2500, 2500, 2500)])
            .check_out(None)
            .pay(APPROVED, 2500)
            .cancel()
            .from("order.processing_started.v1"),
        Story::new("cancelled with a part authorised", "cancelled", UNSOLD, &[("canceled", 1000, 0, 0)])
            .check_out(None)
            .pay(APPROVED, 1000)
            .cancel()
            .from("order.payment_requested.v1"),
        Story::new("a part given back", "processing", SOLD, &[("succeeded", 2500, 2500, 300)])
            .check_out(None)
            .pay(APPROVED, 2500)
            .step("/orders/{order}/refunds", json!({ "amount": gbp(300) }))
            .from("order.processing_started.v1"),
        Story::new("the rest given up", "shipped", [(5, 0), (8, 0)], &[("succeeded", 2500, 2500, 500)])
            .check_out(None)
            .pay(APPROVED, 2500)
            .step("/orders/{order}/shipments", json!({ "merchant_id": "acme" }))
            .step("/orders/{order}/unshipped/cancellation", json!({ "reason": "burnt" }))
            .from("order.processing_started.v1"),
        Story::new("sold out and paid", "cancelled", [(0, 0), (10, 0)], &[("canceled", 2500, 0, 0)])
            .check_out(None)
            .pay(APPROVED, 2500)
            .step("/stock/BOWL/adjustments", json!({ "delta": -5, "reason": "broken" }))
            .while_the_process_rests()
            .from("inventory.adjusted.v1"),
        Story::new("expired", "cancelled", UNSOLD, &[]).check_out(Some(1)).from("order.placed.v1"),
        Story {
            hold_seconds: 1,
            ..Story::new("expired half paid", "cancelled", UNSOLD, &[("canceled", 1000, 0, 0)])
                .check_out(Some(3))
                .pay(APPROVED, 1000)
                .from("order.payment_requested.v1")
        },
    ]
}

impl End {
    /// How things stand by the log and by the gateway's own books, whatever the service says.
    pub fn of(history: &[RecordedEvent], journal: &[String], order_id: OrderId) -> Self {
        let facts: Vec<_> = history
            .iter()
            .filter(|event| event.stream_id() == order_id.to_string())
            .filter_map(of_order)
            .collect();
        let order = Order::fold(&facts);
        let mut stock: BTreeMap<&str, Inventory> = BTreeMap::new();
        for event in history.iter().filter(|event| event.category() == "inventory") {
            let known = stock.entry(event.stream_id()).or_default();
            if event.event_type != COMMAND_NOTED {
                let fact = inventory::Event::read(&event.event_type, &event.data).unwrap();
                *known = std::mem::take(known).evolve(&fact);
            }
        }
        let units = |(sku, stock): (&str, Inventory)| {
            let unpaid = stock.held_for_unpaid();
            (sku.to_owned(), stock.available(), stock.reserved() - unpaid, unpaid)
        };
        let status = match &order {
            Order::Placed(order) => order.status.name(),
            Order::Unplaced => "unplaced",
        };
        let open = owed(&order).len() + undecided(&order).len();
        Self { status, stock: stock.into_iter().map(units).collect(), books: books(journal), open }
    }

    pub async fn now(machine: &Machine, order_id: OrderId) -> Self {
        Self::of(&machine.history().await, &machine.journal(), order_id)
    }
}

/// The gateway's payments as its journal leaves them.
fn books(journal: &[String]) -> Vec<(String, i64, i64, i64)> {
    let mut payments = BTreeMap::new();
    for line in journal {
        let line: Value = serde_json::from_str(line).unwrap();
        let intent = &line["intent"];
        let number = |name: &str| intent[name].as_i64().unwrap();
        let status = intent["status"].as_str().unwrap().to_owned();
        let payment = (status, number("amount"), number("amount_received"), number("amount_refunded"));
        payments.insert(intent["id"].as_str().unwrap().to_owned(), payment);
    }
    let mut payments: Vec<_> = payments.into_values().collect();
    payments.sort();
    payments
}
