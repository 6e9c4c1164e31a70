//! What tests send and write themselves, beside what the services do: a shop with mugs.

use crate::every_step::{Ids, Machine, Step};
use audit_seal::Digest;
use audit_seal::chain::{self, Linked};
use chrono::Utc;
use domain::order::{self, OrderLine, Placed};
use domain::stored::StoredEvent;
use domain::{CartId, LineId, Money, OrderId, Quantity};
use event_store::{Metadata, NewEvent};
use serde_json::{Value, json};
use uuid::Uuid;

/// A request that waits for nothing.
pub fn step(path: &str, body: Value) -> Step {
    Step { path: path.to_owned(), body, key: Uuid::now_v7().to_string(), waits: false }
}

pub fn mugs(units: u32) -> [Step; 2] {
    let price = json!({ "amount": 1000, "currency": "GBP" });
    let product = json!({ "sku": "MUG", "merchant_id": "acme", "name": "MUG", "price": price });
    [step("/products", product), step("/stock/MUG/receipts", json!({ "quantity": units }))]
}

/// The requests of a checkout of one mug.
pub fn check_out() -> [Step; 3] {
    let total = json!({ "amount": 1000, "currency": "GBP" });
    [
        step("/carts", json!({ "currency": "GBP" })),
        step("/carts/{cart}/lines", json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] })),
        step("/carts/{cart}/checkout", json!({ "total": total, "country": "GB" })),
    ]
}

pub fn pay() -> Step {
    let amount = json!({ "amount": 1000, "currency": "GBP" });
    step("/orders/{order}/payments", json!({ "amount": amount, "payment_method": "pm_card_visa" }))
}

pub async fn told(machine: &Machine, steps: &[Step]) -> OrderId {
    let mut ids = Ids::default();
    for (reply, step) in machine.tell(steps, &mut ids).await.into_iter().zip(steps) {
        assert!(reply.status.is_success(), "{}: {reply:?}", step.path);
    }
    ids.order.map_or(OrderId(Uuid::nil()), |order_id| order_id.parse().unwrap())
}

pub fn metadata() -> Metadata {
    let id = Uuid::now_v7();
    Metadata {
        correlation_id: id,
        causation_id: id,
        command_id: id,
        actor: "test".to_owned(),
        occurred_at: Utc::now(),
        fingerprint: String::new(),
        more: false,
    }
}

pub fn ours() -> Vec<u8> {
    metadata().to_json()
}

pub fn new_event(event_type: &'static str, data: Vec<u8>, metadata: Vec<u8>) -> NewEvent {
    NewEvent { id: Uuid::now_v7(), event_type, data, metadata }
}

/// Events that follow each other in a stream, with the links that a shop would give them; and the last of the links.
pub fn linked(
    stream: &str,
    (first_revision, mut link): (u64, Digest),
    events: impl IntoIterator<Item = NewEvent>,
) -> (Vec<NewEvent>, Digest) {
    let mut linked = Vec::new();
    for (revision, event) in (first_revision..).zip(events) {
        let open = chain::open(&event.metadata);
        let NewEvent { id, event_type, ref data, .. } = event;
        link = chain::link(&link, &Linked { stream, revision, id, event_type, data, metadata: open });
        linked.push(NewEvent { metadata: chain::with_link(event.metadata.clone(), &link), ..event });
    }
    (linked, link)
}

pub fn of<E: StoredEvent>(event: &E) -> NewEvent {
    new_event(event.type_name(), event.payload(), ours())
}

pub fn one() -> Quantity {
    Quantity::new(1).unwrap()
}

/// An order of one mug was placed.
pub fn placed(order_id: OrderId) -> order::Event {
    let price: Money = serde_json::from_value(json!({ "amount": 1000, "currency": "GBP" })).unwrap();
    order::Event::Placed(Placed {
        cart_id: CartId(order_id.0),
        customer_id: None,
        country: "GB".parse().unwrap(),
        lines: vec![OrderLine {
            line_id: LineId(order_id.0),
            sku: "MUG".parse().unwrap(),
            merchant_id: "acme".parse().unwrap(),
            name: "MUG".parse().unwrap(),
            quantity: one(),
            unit_price: price,
        }],
        shipping: None,
        total: price,
        hold_seconds: Some(900),
        anonymous: false,
    })
}
