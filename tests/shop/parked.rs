//! What tests of parked streams share.

use crate::every_step::{Ids, Machine, Reply, Step};
use crate::written::{check_out, new_event, pay, step};
use event_store::{AppendError, EventStore, ExpectedRevision, RecordedEvent};
use futures::{StreamExt, TryStreamExt, pin_mut};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;

pub const DEADLINE: Duration = Duration::from_secs(30);

/// A type that no program of ours knows.
pub const FOREIGN: &str = "somebody.wrote.v1";

pub async fn last_revision(store: &EventStore, stream: &str) -> Option<u64> {
    let newest = store.read_stream_backwards(stream, None, 1).try_collect::<Vec<_>>().await.unwrap();
    newest.first().map(|event| event.revision)
}

/// Appends an event of somebody else's to the end of a stream, wherever that is; its revision.
pub async fn foreign(store: &EventStore, stream: &str) -> u64 {
    loop {
        let last = last_revision(store, stream).await;
        let expected = last.map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        let event = new_event(FOREIGN, b"{}".to_vec(), b"{\"who\":\"somebody\"}".to_vec());
        match store.append(stream, expected, vec![event]).await {
            Ok(appended) => return appended.revision,
            Err(AppendError::Conflict) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Waits until the log has such an event.
pub async fn happens(store: &EventStore, is_wanted: impl Fn(&RecordedEvent) -> bool) {
    let items = store.subscribe_all(None);
    pin_mut!(items);
    let following = async {
        while let Some(item) = items.next().await {
            if let event_store::SubscriptionItem::Event(event) = item
                && is_wanted(&event)
            {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, following).await.expect("it happens in time");
}

/// Waits until what is parked is as wanted.
pub async fn parked_when(machine: &Machine, is_wanted: impl Fn(&Value) -> bool) -> Value {
    let last = std::cell::RefCell::new(Value::Null);
    let asking = async {
        loop {
            let parked = machine.get("/parked-streams").await.body;
            if is_wanted(&parked) {
                return parked;
            }
            last.replace(parked);
        }
    };
    let parked = tokio::time::timeout(DEADLINE, asking).await;
    parked.unwrap_or_else(|_| panic!("it comes to that in time: {}", last.borrow()))
}

/// Waits until these are the orders that are parked, each by this stream.
pub async fn orders_are_parked(machine: &Machine, wanted: &[(&str, &str)]) -> Value {
    let mut wanted: Vec<_> = wanted.to_vec();
    wanted.sort_unstable();
    parked_when(machine, |parked| {
        let text = |value: &'_ Value| value.as_str().unwrap_or_default().to_owned();
        let orders = parked["orders"].as_array().into_iter().flatten();
        let mut orders: Vec<_> =
            orders.map(|order| (text(&order["order_id"]), text(&order["stream"]))).collect();
        orders.sort();
        orders.iter().map(|(order, stream)| (order.as_str(), stream.as_str())).eq(wanted.iter().copied())
    })
    .await
}

/// What `/readyz` says of a part. The whole is ready.
pub async fn is_ready(machine: &Machine, part: &str) -> Value {
    let health = machine.get("/readyz").await;
    assert_eq!(health.status, StatusCode::OK, "{:?}", health.body);
    health.body["parts"][part].clone()
}

/// Has an event passed over.
pub async fn skip(machine: &Machine, stream: &str, revision: u64) -> Reply {
    let body = json!({ "revision": revision, "reason": "a script wrote it by mistake" });
    post(machine, &format!("/parked-streams/{stream}/skip"), body).await
}

pub async fn post(machine: &Machine, path: &str, body: Value) -> Reply {
    machine.tell(&[step(path, body)], &mut Ids::default()).await.remove(0)
}

/// Somebody buys a mug, from the cart to the parcel.
pub async fn buys(machine: &Machine) -> String {
    let mut steps = [&check_out()[..], &[pay()]].concat();
    steps.iter_mut().for_each(|step| step.waits = true);
    buys_with(machine, &steps).await
}

pub async fn buys_with(machine: &Machine, steps: &[Step]) -> String {
    let mut ids = Ids::default();
    let replies = machine.tell(steps, &mut ids).await;
    assert_eq!(replies.last().unwrap().body["status"], "processing", "{replies:?}");
    ids.order.unwrap()
}

/// The gateway's payments as its journal leaves them: status, what it took, and what it gave back of it.
pub fn books(machine: &Machine) -> Vec<(String, i64, i64)> {
    let mut payments = std::collections::BTreeMap::new();
    for line in machine.journal() {
        let line: Value = serde_json::from_str(&line).unwrap();
        let intent = &line["intent"];
        let number = |name: &str| intent[name].as_i64().unwrap();
        let status = intent["status"].as_str().unwrap().to_owned();
        let payment = (status, number("amount_received"), number("amount_refunded"));
        payments.insert(intent["id"].as_str().unwrap().to_owned(), payment);
    }
    payments.into_values().collect()
}

/// The types of a stream's events.
pub async fn types(store: &EventStore, stream: &str) -> Vec<String> {
    let events = store.read_stream(stream, 0, usize::MAX);
    events.map_ok(|event| event.event_type).try_collect().await.unwrap()
}
