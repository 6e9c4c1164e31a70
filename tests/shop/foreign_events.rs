//! Events that somebody else wrote to the streams of orders and carts: they stop nobody's purchase but their own.

use crate::every_step::Process;
use crate::every_step::{Ids, Machine};
use crate::written::{check_out, mugs, new_event, pay, placed, told};
use domain::stored::StoredEvent;
use domain::{CartId, OrderId};
use event_store::{EventStore, ExpectedRevision, NewEvent, Position};
use futures::TryStreamExt;
use reqwest::StatusCode;
use serde_json::{Value, json};
use uuid::Uuid;

/// The process itself in `/readyz`, and its stuck orders.
const FULFILMENT: &str = "order-fulfilment";
const STUCK: &str = "order-fulfilment: stuck orders";

async fn append(store: &EventStore, stream: &str, event: NewEvent) -> Position {
    store.append(stream, ExpectedRevision::NoStream, vec![event]).await.unwrap().position
}

/// The position of the process's last checkpoint.
async fn checkpoint(store: &EventStore) -> u64 {
    let newest = store.read_stream_backwards("process-order_fulfilment", None, 1);
    let newest = newest.try_collect::<Vec<_>>().await.unwrap();
    newest.first().map_or(0, |event| {
        serde_json::from_slice::<Value>(&event.data).unwrap()["position"].as_u64().unwrap_or(0)
    })
}

async fn buys(machine: &Machine) {
    let mut steps = [&check_out()[..], &[pay()]].concat();
    steps.iter_mut().for_each(|step| step.waits = true);
    let replies = machine.tell(&steps, &mut Ids::default()).await;
    assert_eq!(replies.last().unwrap().body["status"], "processing", "{replies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_unknown_metadata_stops_only_its_own_order() {
    let mut machine = Machine::begin(&[], &[], 900, Process::Runs).await;
    let store = machine.store();
    told(&machine, &mugs(10)).await;
    let order_id = OrderId(Uuid::now_v7());
    let fact = placed(order_id);
    let foreign = new_event(fact.type_name(), fact.payload(), b"{\"who\":\"somebody\"}".to_vec());
    let foreign = append(&store, &format!("order-{order_id}"), foreign).await;
    let cart = new_event("cart.checked_out.v1", b"{}".to_vec(), b"no JSON".to_vec());
    append(&store, &format!("cart-{}", CartId(Uuid::now_v7())), cart).await;

    for _ in 0..2 {
        buys(&machine).await;
        machine.says(STUCK, Some("2 orders cannot be settled: the log says which")).await;
        machine.says(FULFILMENT, None).await;
        assert!(checkpoint(&store).await < foreign.value(), "whoever works next must come to know of it");
        machine.crash_and_restart().await;
    }

    // The order's next event mends it.
    let mut ids = Ids { order: Some(order_id.to_string()), ..Ids::default() };
    let cancel = crate::written::step("/orders/{order}/cancellation", json!({ "reason": "nobody's" }));
    assert_eq!(machine.tell(&[cancel], &mut ids).await[0].status, StatusCode::OK);
    machine.says(STUCK, Some("1 orders cannot be settled: the log says which")).await;
    buys(&machine).await;
    machine.end().await;
}
