//! A shopper, as a browser does it: what gets no answer is asked for again under the same idempotency key.

use crate::running::Service;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use uuid::Uuid;

/// How long a shopper asks for one purchase. Who has no answer then is stuck.
const PATIENCE: Duration = Duration::from_secs(60);
/// What a shopper lets pass before asking again, so that the crowd does not become the shop's trouble.
const PAUSE: Duration = Duration::from_millis(100);
pub const PRICE: i64 = 1_250;

/// A purchase that the shop has acknowledged as paid.
#[derive(Debug, Clone)]
pub struct Bought {
    pub order_id: String,
    pub begun: Instant,
    pub acknowledged: Instant,
}

/// A product of this price, with units in stock.
pub async fn define(service: &Service, sku: &str, units: u64) {
    let price = json!({ "amount": PRICE, "currency": "GBP" });
    let product = json!({ "sku": sku, "merchant_id": "acme", "name": format!("The {sku}"), "price": price });
    let defined = service.post("/products", &format!("define-{sku}"), &product).await.unwrap();
    assert_eq!(defined.0, StatusCode::CREATED, "{}", defined.1);
    let path = format!("/stock/{sku}/receipts");
    let received =
        service.post(&path, &format!("receive-{sku}"), &json!({ "quantity": units })).await.unwrap();
    assert_eq!(received.0, StatusCode::CREATED, "{}", received.1);
}

/// A cart, a unit of the SKU, checkout, payment. None if that has not come to an end in time.
pub async fn buy(service: &Service, sku: &str) -> Option<Bought> {
    tokio::time::timeout(PATIENCE, patiently(service, sku)).await.ok()
}

async fn patiently(service: &Service, sku: &str) -> Bought {
    let begun = Instant::now();
    let id = Uuid::new_v4();
    let total = json!({ "amount": PRICE, "currency": "GBP" });
    let cart = answer(service, "/carts", &format!("{id}-cart"), &json!({ "currency": "GBP" })).await;
    let cart = format!("/carts/{}", cart["cart_id"].as_str().unwrap());
    let lines = json!({ "lines": [{ "sku": sku, "quantity": 1 }] });
    answer(service, &format!("{cart}/lines"), &format!("{id}-line"), &lines).await;
    let checkout = json!({ "total": total, "country": "GB" });
    let order = answer(service, &format!("{cart}/checkout"), &format!("{id}-checkout"), &checkout).await;
    let order_id = order["order_id"].as_str().unwrap().to_owned();
    let payment = json!({ "amount": total, "payment_method": "pm_card_visa" });
    let path = format!("/orders/{order_id}/payments");
    loop {
        let paid = answer(service, &path, &format!("{id}-payment"), &payment).await;
        match paid["status"].as_str().unwrap() {
            "processing" => return Bought { order_id, begun, acknowledged: Instant::now() },
            // Not decided in the time that the service waits.
            "pending" | "paid" => {}
            other => panic!("an order that was paid is {other}: {paid}"),
        }
    }
}

/// Asks until the answer is none of the service's own trouble.
async fn answer(service: &Service, path: &str, key: &str, body: &Value) -> Value {
    loop {
        match service.post(path, key, body).await {
            Ok((status, body)) if status.is_success() => return body,
            Ok((status, body)) => assert!(status.is_server_error(), "{path}: {status} {body}"),
            Err(error) => assert!(error.is_connect() || error.is_request() || error.is_timeout(), "{error}"),
        }
        tokio::time::sleep(PAUSE).await;
    }
}
