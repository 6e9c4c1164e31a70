//! A history of purchases as a shop writes it: linked, and sealed every 10,000 events.

use audit_seal::chain::{self, Linked, START};
use audit_seal::key::SealingKey;
use audit_seal::merkle::{Frontier, leaf};
use audit_seal::seal::Seal;
use audit_seal::{Digest, SEAL_TYPE, SEALS_STREAM};
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use event_store::{Metadata, Position, RawEvent, RawRecord};
use serde_json::json;
use std::collections::HashMap;
use uuid::Uuid;

const BETWEEN_SEALS: usize = 10_000;
const LINES_OF_A_CART: u64 = 25;
const SKUS: u64 = 4_000;

/// Any key does for a measurement.
pub fn key() -> SealingKey {
    SealingKey::from_bytes(&[1; 32])
}

/// Gives the history append by append; a seal is an append of its own.
pub struct Writer {
    left: u64,
    position: u64,
    purchase: u64,
    step: u8,
    stock: HashMap<u64, (u64, Digest)>,
    frontier: Frontier,
    since: Vec<Digest>,
    last: Option<Seal>,
    seals: u64,
}

impl Writer {
    /// So many events.
    pub fn new(events: u64) -> Self {
        Self {
            left: events,
            position: 0,
            purchase: 0,
            step: 0,
            stock: HashMap::new(),
            frontier: Frontier::default(),
            since: Vec::new(),
            last: None,
            seals: 0,
        }
    }

    fn is_seal_due(&self) -> bool {
        self.since.len() >= BETWEEN_SEALS || (self.left == 0 && !self.since.is_empty())
    }

    fn seal(&mut self) -> Vec<RawRecord> {
        let at = (self.position, time(self.purchase));
        let seal = Seal::sign(&key(), &self.frontier, self.last.as_ref(), &self.since, at);
        self.since.clear();
        let data = json!(seal).to_string().into_bytes();
        self.last = Some(seal);
        self.seals += 1;
        vec![self.record(SEALS_STREAM, self.seals - 1, id(self.seals, 9), (SEAL_TYPE, data), b"{}".to_vec())]
    }

    /// One stream's part in a purchase: the cart, the order, or what stock notes of it.
    fn part(&mut self) -> Vec<RawRecord> {
        let (purchase, step) = (self.purchase, self.step);
        (self.step, self.purchase) = if step == 2 { (0, purchase + 1) } else { (step + 1, purchase) };
        let sku = purchase % SKUS;
        let (stream, contents) = match step {
            0 => (format!("cart-{}", id(purchase, 0)), cart(purchase)),
            1 => (format!("order-{}", id(purchase, 1)), order(purchase)),
            _ => (format!("inventory-SKU-{sku:05}"), stock(purchase)),
        };
        let (mut next, mut link) = match step {
            2 => self.stock.get(&sku).copied().unwrap_or((0, START)),
            _ => (0, START),
        };
        let mut records = Vec::new();
        for (event_type, data) in contents {
            if self.left == 0 {
                break;
            }
            self.left -= 1;
            let metadata = metadata(purchase);
            let event_id = id(self.position, 3);
            let open = chain::open(&metadata);
            let linked = Linked {
                stream: &stream,
                revision: next,
                id: event_id,
                event_type,
                data: &data,
                metadata: open,
            };
            link = chain::link(&link, &linked);
            self.frontier.push(leaf(&link));
            self.since.push(leaf(&link));
            let metadata = chain::with_link(metadata, &link);
            records.push(self.record(&stream, next, event_id, (event_type, data), metadata));
            next += 1;
        }
        if step == 2 {
            self.stock.insert(sku, (next, link));
        }
        records
    }

    fn record(
        &mut self,
        stream: &str,
        revision: u64,
        id: Uuid,
        (event_type, data): (&str, Vec<u8>),
        metadata: Vec<u8>,
    ) -> RawRecord {
        self.position += 1;
        let (data, metadata) = (Bytes::from(data), Bytes::from(metadata));
        RawRecord {
            stream: stream.to_owned(),
            revision,
            position: Position::new(self.position),
            created_ticks: 17_000_000_000_000_000 + self.position,
            event: RawEvent { id, event_type: event_type.to_owned(), is_json: true, data, metadata },
        }
    }
}

impl Iterator for Writer {
    type Item = Vec<RawRecord>;

    fn next(&mut self) -> Option<Vec<RawRecord>> {
        if self.is_seal_due() {
            return Some(self.seal());
        }
        (self.left > 0).then(|| self.part())
    }
}

type Contents = Vec<(&'static str, Vec<u8>)>;

fn cart(purchase: u64) -> Contents {
    let mut events =
        vec![("cart.opened.v1", json!({ "currency": "GBP", "customer_id": format!("C{purchase}") }))];
    events.extend((0..LINES_OF_A_CART).map(|line| {
        let fact = json!({
            "line_id": id(purchase * 100 + line, 4),
            "sku": format!("SKU-{:05}", (purchase + line) % SKUS),
            "quantity": 1 + line % 6,
            "quoted_unit_price": { "amount": 295 + line, "currency": "GBP" },
        });
        ("cart.item_added.v1", fact)
    }));
    let locked = json!({ "order_id": id(purchase, 1), "country": "United Kingdom", "total": { "amount": 9_950, "currency": "GBP" } });
    events.push(("cart.checked_out.v1", locked));
    as_bytes(events)
}

fn order(purchase: u64) -> Contents {
    let total = json!({ "amount": 9_950, "currency": "GBP" });
    let lines: Vec<_> = (0..LINES_OF_A_CART)
        .map(|line| json!({ "line_id": id(purchase * 100 + line, 4), "sku": format!("SKU-{line:05}"), "quantity": 2 }))
        .collect();
    as_bytes(vec![
        ("order.placed.v1", json!({ "cart_id": id(purchase, 0), "lines": lines, "total": total })),
        ("order.reservations_answered.v1", json!({ "refused": [], "held": LINES_OF_A_CART })),
        (
            "order.payment_recorded.v1",
            json!({ "payment_id": id(purchase, 5), "amount": total, "reference": "till 1" }),
        ),
        ("order.paid.v1", json!({ "total": total })),
        ("order.stock_committed.v1", json!({})),
        ("order.processing_started.v1", json!({})),
        ("order.shipped.v1", json!({ "carrier": "post", "number": format!("RR{purchase:09}GB") })),
        ("order.delivered.v1", json!({})),
    ])
}

fn stock(purchase: u64) -> Contents {
    let of = |number: u64| json!({ "order_id": id(purchase * 10 + number, 6), "quantity": 2 });
    let facts = (0..5).flat_map(|number| {
        [
            ("inventory.reserved.v1", of(number)),
            ("inventory.committed.v1", of(number)),
            ("inventory.shipped.v1", of(number)),
        ]
    });
    as_bytes(facts.collect())
}

fn as_bytes(events: Vec<(&'static str, serde_json::Value)>) -> Contents {
    events.into_iter().map(|(event_type, data)| (event_type, data.to_string().into_bytes())).collect()
}

fn metadata(purchase: u64) -> Vec<u8> {
    let metadata = Metadata {
        correlation_id: id(purchase, 1),
        causation_id: id(purchase, 7),
        command_id: id(purchase, 7),
        actor: "shopper".to_owned(),
        occurred_at: time(purchase),
        fingerprint: String::new(),
        more: false,
    };
    metadata.to_json()
}

fn time(purchase: u64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH
        + TimeDelta::seconds(1_291_190_760)
        + TimeDelta::seconds(i64::try_from(purchase).unwrap_or(0))
}

/// The same ids in every run.
fn id(number: u64, of: u8) -> Uuid {
    Uuid::from_u128(u128::from(number) << 8 | u128::from(of) | 7 << 76 | 2 << 62)
}
