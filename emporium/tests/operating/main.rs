//! What those who run a shop see of it and do with it, on a service that runs as a process.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod another_log;
#[cfg(target_os = "linux")]
mod descriptors;
#[allow(dead_code, reason = "other tests use the rest")]
#[path = "../running/mod.rs"]
mod running;
mod streams;
mod verification;

use event_store::{EventStore, ExpectedRevision, RawEvent};
use reqwest::StatusCode;
use running::Service;
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(60);

/// Offers a product, and receives the first unit of it.
async fn offer(service: &Service, sku: &str) {
    let price = json!({ "amount": 1000, "currency": "GBP" });
    let product = json!({ "sku": sku, "merchant_id": "acme", "name": sku, "price": price });
    let (status, answer) = service.post("/products", Uuid::now_v7(), &product).await.unwrap();
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    is_received(service, sku).await;
}

/// One more unit is received.
async fn is_received(service: &Service, sku: &str) {
    let (status, answer) = receive(service, sku, Uuid::now_v7()).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
}

async fn receive(service: &Service, sku: &str, key: Uuid) -> (StatusCode, Value) {
    service.post(&format!("/stock/{sku}/receipts"), key, &json!({ "quantity": 1 })).await.unwrap()
}

/// Writes an event into a stream past the service.
async fn write(store: &EventStore, stream: &str, last: Option<u64>, event_type: &str, data: Vec<u8>) {
    let expected = last.map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
    let event = RawEvent {
        id: Uuid::now_v7(),
        event_type: event_type.to_owned(),
        is_json: true,
        data: data.into(),
        metadata: b"{}".to_vec().into(),
    };
    store.append_raw(stream, expected, vec![event]).await.unwrap();
}

/// Reads what those who run the shop can read, until it is as wanted.
async fn page_when(service: &Service, path: &str, is_wanted: impl Fn(&str) -> bool) -> String {
    let last = std::cell::RefCell::new(String::new());
    let reading = async {
        loop {
            let (_, page) = service.page(path).await;
            if is_wanted(&page) {
                return page;
            }
            last.replace(page);
        }
    };
    let page = tokio::time::timeout(DEADLINE, reading).await;
    page.unwrap_or_else(|_| panic!("{path} comes to that in time: {}", last.borrow()))
}
