//! What was wrong with a parked stream is mended elsewhere, and the operator has it tried again.

use crate::every_step::{Ids, Machine, Process};
use crate::parked::{orders_are_parked, parked_when, post};
use crate::written::{check_out, mugs, pay, step, told};
use event_store::{EventStore, ExpectedRevision, RawEvent};
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

const STOCK: &str = "inventory-MUG";
/// After so many looks in vain the next one is minutes away.
const LOOKS: usize = 8;

/// Sets what of the stock's stream its readers see.
async fn set(store: &EventStore, expected: ExpectedRevision, settings: &[u8]) {
    let event = RawEvent {
        id: Uuid::now_v7(),
        event_type: "$metadata".to_owned(),
        is_json: true,
        data: settings.to_vec().into(),
        metadata: Vec::new().into(),
    };
    store.append_raw(&format!("$${STOCK}"), expected, vec![event]).await.unwrap();
}

fn is_listed(parked: &Value) -> bool {
    parked["streams"].as_array().unwrap().iter().any(|stream| stream["stream"] == STOCK)
}

async fn retry(machine: &Machine) {
    let retried = post(machine, &format!("/parked-streams/{STOCK}/retry"), json!({})).await;
    assert_eq!((retried.status, retried.body), (StatusCode::OK, json!({ "stream": STOCK })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_frees_the_stream_that_was_mended_and_the_order_that_waits_for_it() {
    let mut machine = Machine::begin(&[], &[], 900, Process::Rests).await;
    let store = machine.store();
    told(&machine, &mugs(10)).await;
    told(&machine, &[step("/stock/MUG/receipts", json!({ "quantity": 10 }))]).await;
    let order_id = told(&machine, &check_out()).await.to_string();
    // Somebody hides all events but the last from those who read the stream.
    set(&store, ExpectedRevision::NoStream, br#"{"$maxCount":1}"#).await;
    machine.crash_and_restart().await;
    let waiting = [(order_id.as_str(), STOCK)];
    assert!(is_listed(&orders_are_parked(&machine, &waiting).await));

    // As long as it is not mended, a retry finds the same again.
    retry(&machine).await;
    parked_when(&machine, is_listed).await;
    orders_are_parked(&machine, &waiting).await;

    // The order is looked at whenever something happens to it, and by itself ever more seldom.
    let mut ids = Ids { order: Some(order_id.clone()), ..Ids::default() };
    let penny =
        json!({ "amount": { "amount": 1, "currency": "GBP" }, "method": "card", "reference": "till" });
    for looks in 1..=LOOKS {
        let paid = machine.tell(&[step("/orders/{order}/payments", penny.clone())], &mut ids).await.remove(0);
        assert!(paid.status.is_success(), "{paid:?}");
        let has_looked =
            |parked: &Value| parked["orders"][0]["payments"].as_array().is_some_and(|all| all.len() == looks);
        parked_when(&machine, has_looked).await;
    }

    set(&store, ExpectedRevision::Exact(0), b"{}").await;
    assert!(is_listed(&orders_are_parked(&machine, &waiting).await), "nobody has looked at it again");
    retry(&machine).await;
    parked_when(&machine, |parked| *parked == json!({ "streams": [], "orders": [] })).await;
    let mut rest = pay();
    rest.body["amount"]["amount"] = json!(1000 - LOOKS);
    rest.waits = true;
    let paid = machine.tell(&[rest], &mut ids).await.remove(0);
    assert_eq!(paid.body["status"], "processing", "{paid:?}");

    let again = post(&machine, &format!("/parked-streams/{STOCK}/retry"), json!({})).await;
    assert_eq!(again.status, StatusCode::NOT_FOUND, "{again:?}");
    machine.end().await;
}
