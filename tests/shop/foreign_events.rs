//! Events that somebody else wrote to the streams of orders, carts and stock: they stop nobody's purchase but their own,
//! and the operator has them passed over.

use crate::every_step::{Ids, Machine, Process};
use crate::harness::{Shop, Terms, gbp};
use crate::parked::{
    DEADLINE, FOREIGN, books, buys, buys_with, foreign, happens, is_ready, last_revision, orders_are_parked,
    parked_when, post, skip, types,
};
use crate::written::{check_out, mugs, new_event, pay, placed, step, told};
use audit_seal::verify::Finding;
use domain::stored::StoredEvent;
use domain::{CartId, OrderId};
use event_store::{EVENT_SKIPPED, EventStore, ExpectedRevision, NewEvent, Position};
use payment_gateway::RefundRequest;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sqlx::PgPool;
use uuid::Uuid;

/// The process itself in `/readyz`, and how far it is behind.
const FULFILMENT: &str = "order-fulfilment";
const LAG: &str = "order-fulfilment: lag";
const PARKED: &str = "parked-streams";

async fn append(store: &EventStore, stream: &str, event: NewEvent) -> Position {
    store.append(stream, ExpectedRevision::NoStream, vec![event]).await.unwrap().position
}

/// Waits until the process has noted that it is done with everything up to here.
async fn is_passed(store: &EventStore, position: Position) {
    happens(store, |event| {
        let recorded = || serde_json::from_slice::<Value>(&event.data).unwrap()["position"].as_u64();
        event.stream == "process-order_fulfilment" && recorded() >= Some(position.value())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_with_unknown_metadata_stop_only_their_own_orders() {
    let mut machine = Machine::begin(&[], &[], 900, Process::Runs).await;
    let store = machine.store();
    told(&machine, &mugs(10)).await;
    let order_id = OrderId(Uuid::now_v7());
    let order = format!("order-{order_id}");
    let fact = placed(order_id);
    append(&store, &order, new_event(fact.type_name(), fact.payload(), b"{\"who\":\"somebody\"}".to_vec()))
        .await;
    let cart_id = CartId(Uuid::now_v7());
    let cart = format!("cart-{cart_id}");
    let event = new_event("cart.checked_out.v1", b"{}".to_vec(), b"no JSON".to_vec());
    let position = append(&store, &cart, event).await;

    let (of_order, of_cart) = (order_id.to_string(), domain::fulfilment::order_id_of(cart_id).to_string());
    for _ in 0..2 {
        buys(&machine).await;
        let parked = orders_are_parked(&machine, &[(&of_order, &order), (&of_cart, &cart)]).await;
        assert_eq!(parked["streams"].as_array().unwrap().len(), 2, "{parked}");
        let detail = is_ready(&machine, PARKED).await["detail"].clone();
        assert_eq!((&detail["streams"], &detail["orders"]), (&json!(2), &json!(2)), "{detail}");
        machine.says(FULFILMENT, None).await;
        assert!(machine.metrics().await.contains("emporium_parked_streams 2\n"));
        // Whoever works next need not begin before them, and comes to know of them all the same.
        is_passed(&store, position).await;
        machine.crash_and_restart().await;
    }

    let cancel = format!("/orders/{order_id}/cancellation");
    let refused = post(&machine, &cancel, json!({ "reason": "nobody's" })).await;
    assert_eq!((refused.status, &refused.body["stream"]), (StatusCode::CONFLICT, &json!(order)));
    assert_eq!(refused.body["type"], "urn:emporium:problem:stream-unreadable");
    for (stream, left) in [(&order, vec![(&*of_cart, &*cart)]), (&cart, vec![])] {
        assert_eq!(skip(&machine, stream, 0).await.status, StatusCode::OK);
        orders_are_parked(&machine, &left).await;
    }
    parked_when(&machine, |parked| *parked == json!({ "streams": [], "orders": [] })).await;
    assert_eq!(post(&machine, &cancel, json!({ "reason": "nobody's" })).await.status, StatusCode::NOT_FOUND);
    buys(&machine).await;
    machine.end().await;
}

/// An order whose payment is under way at the gateway, and in whose stream somebody has written then.
async fn parked_while_paying(machine: &mut Machine) -> (String, u64) {
    told(machine, &mugs(10)).await;
    let mut ids = Ids::default();
    let mut steps = check_out();
    steps[2].waits = true;
    machine.tell(&steps, &mut ids).await;
    let order_id = ids.order.clone().unwrap();
    let amount = json!({ "amount": 1000, "currency": "GBP" });
    let slow = json!({ "amount": amount, "payment_method": "pm_sandbox_slow" });
    let asked = machine.tell(&[step("/orders/{order}/payments", slow)], &mut ids).await.remove(0);
    assert_eq!(asked.status, StatusCode::ACCEPTED, "{asked:?}");
    let store = machine.store();
    let stream = format!("order-{order_id}");
    let revision = foreign(&store, &stream).await;
    assert!(!types(&store, &stream).await.contains(&"order.payment_captured.v1".to_owned()));
    let parked = orders_are_parked(machine, &[(&order_id, &stream)]).await;
    assert_eq!(parked["orders"][0]["payments"][0]["amount"], amount, "{parked}");
    assert_eq!(parked["streams"][0]["event_type"], FOREIGN, "{parked}");
    let detail = is_ready(machine, PARKED).await["detail"].clone();
    assert_eq!(detail["money_of_parked_orders"], json!({ "GBP": 1000 }), "{detail}");
    // Others buy, and after a restart it is as before.
    buys(machine).await;
    machine.crash_and_restart().await;
    buys(machine).await;
    orders_are_parked(machine, &[(&order_id, &stream)]).await;
    let refused = machine.tell(&[pay()], &mut ids).await.remove(0);
    assert_eq!(refused.body["type"], "urn:emporium:problem:stream-unreadable", "{refused:?}");
    (order_id, revision)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_under_way_of_an_order_that_cannot_be_read_is_taken_once_when_it_can() {
    let mut machine = Machine::begin(&[], &[], 900, Process::Runs).await;
    let (order_id, revision) = parked_while_paying(&mut machine).await;
    let (store, stream) = (machine.store(), format!("order-{order_id}"));
    assert_eq!(skip(&machine, &stream, revision).await.status, StatusCode::OK);
    happens(&store, |event| event.stream == stream && event.event_type == "order.processing_started.v1")
        .await;
    orders_are_parked(&machine, &[]).await;
    assert_eq!(books(&machine), vec![("succeeded".to_owned(), 1000, 0); 3]);
    let captured = types(&store, &stream).await;
    assert_eq!(captured.iter().filter(|name| *name == "order.payment_captured.v1").count(), 1);
    machine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_money_of_an_order_that_could_not_be_read_goes_back_when_it_is_called_off() {
    let mut machine = Machine::begin(&[], &[], 900, Process::Runs).await;
    let (order_id, revision) = parked_while_paying(&mut machine).await;
    let (store, stream) = (machine.store(), format!("order-{order_id}"));
    let cancel = format!("/orders/{order_id}/cancellation");
    let refused = post(&machine, &cancel, json!({ "reason": "too slow" })).await;
    assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
    assert_eq!(skip(&machine, &stream, revision).await.status, StatusCode::OK);
    let cancelled = post(&machine, &cancel, json!({ "reason": "too slow" })).await;
    assert_eq!(cancelled.status, StatusCode::OK, "{cancelled:?}");
    let ends = ["order.payment_voided.v1", "order.refund_recorded.v1"];
    happens(&store, |event| event.stream == stream && ends.contains(&event.event_type.as_str())).await;
    let kept: Vec<i64> = books(&machine).into_iter().map(|(_, taken, back)| taken - back).collect();
    assert_eq!(kept.iter().sum::<i64>(), 2000, "the others' orders are paid, and nothing else: {kept:?}");
    machine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stock_that_cannot_be_read_keeps_only_the_orders_of_its_sku_waiting() {
    let mut machine = Machine::begin(&[], &[], 900, Process::Rests).await;
    let store = machine.store();
    told(&machine, &mugs(10)).await;
    let price = json!({ "amount": 1000, "currency": "GBP" });
    let bowl = json!({ "sku": "BOWL", "merchant_id": "acme", "name": "BOWL", "price": price });
    told(&machine, &[step("/products", bowl), step("/stock/BOWL/receipts", json!({ "quantity": 5 }))]).await;
    let order_id = told(&machine, &check_out()).await.to_string();
    let revision = foreign(&store, "inventory-MUG").await;

    machine.crash_and_restart().await;
    orders_are_parked(&machine, &[(&order_id, "inventory-MUG")]).await;
    let mut bowls = [&check_out()[..], &[pay()]].concat();
    bowls[1].body = json!({ "lines": [{ "sku": "BOWL", "quantity": 1 }] });
    bowls.iter_mut().for_each(|step| step.waits = true);
    buys_with(&machine, &bowls).await;
    let refused = post(&machine, "/stock/MUG/receipts", json!({ "quantity": 1 })).await;
    assert_eq!(refused.body["type"], "urn:emporium:problem:stream-unreadable", "{refused:?}");
    is_ready(&machine, PARKED).await;

    // Nobody has another event passed over than the one it stands at, and twice is once.
    let elsewhere = skip(&machine, "inventory-MUG", revision + 1).await;
    assert_eq!(elsewhere.body["type"], "urn:emporium:problem:parked-elsewhere", "{elsewhere:?}");
    assert_eq!(skip(&machine, "inventory-BOWL", 0).await.status, StatusCode::NOT_FOUND);
    let (first, again) =
        (skip(&machine, "inventory-MUG", revision).await, skip(&machine, "inventory-MUG", revision).await);
    assert_eq!((first.status, first.body), (StatusCode::OK, again.body));
    orders_are_parked(&machine, &[]).await;
    let mut ids = Ids { order: Some(order_id), ..Ids::default() };
    let mut paid = pay();
    paid.waits = true;
    let paid = machine.tell(&[paid], &mut ids).await.remove(0);
    assert_eq!(paid.body["status"], "processing", "{paid:?}");
    buys(&machine).await;
    machine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_product_that_cannot_be_read_is_not_sold_and_all_others_are() {
    let mut machine = Machine::begin(&[], &[], 900, Process::Runs).await;
    let store = machine.store();
    told(&machine, &mugs(10)).await;
    let price = json!({ "amount": 1000, "currency": "GBP" });
    let bowl = json!({ "sku": "BOWL", "merchant_id": "acme", "name": "BOWL", "price": price });
    told(&machine, &[step("/products", bowl), step("/stock/BOWL/receipts", json!({ "quantity": 5 }))]).await;
    // It is in a cart already.
    let mut ids = Ids::default();
    let [open, fill, check_out_mug] = check_out();
    machine.tell(&[open, fill], &mut ids).await;
    let revision = foreign(&store, "product-MUG").await;
    machine.crash_and_restart().await;

    let [_, again, _] = check_out();
    for refused in machine.tell(&[again, check_out_mug], &mut ids.clone()).await {
        assert_eq!(refused.status, StatusCode::CONFLICT, "{refused:?}");
        assert_eq!(refused.body["type"], "urn:emporium:problem:stream-unreadable", "{refused:?}");
        assert_eq!(refused.body["stream"], "product-MUG", "{refused:?}");
    }
    let parked = orders_are_parked(&machine, &[]).await;
    let streams = parked["streams"].as_array().unwrap();
    assert_eq!((streams.len(), &streams[0]["stream"]), (1, &json!("product-MUG")), "{parked}");
    let mut bowls = [&check_out()[..], &[pay()]].concat();
    bowls[1].body = json!({ "lines": [{ "sku": "BOWL", "quantity": 1 }] });
    bowls.iter_mut().for_each(|step| step.waits = true);
    buys_with(&machine, &bowls).await;
    let health = machine.get("/readyz").await.body["parts"][PARKED].clone();
    assert_eq!((&health["ready"], &health["detail"]["streams"]), (&json!(true), &json!(1)), "{health}");

    assert_eq!(skip(&machine, "product-MUG", revision).await.status, StatusCode::OK);
    buys(&machine).await;
    machine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_stream_is_deleted_stops_only_itself() {
    let mut machine = Machine::begin(&[], &[], 900, Process::Runs).await;
    let store = machine.store();
    told(&machine, &mugs(10)).await;
    let order_id = buys(&machine).await;
    let stream = format!("order-{order_id}");
    let last = last_revision(&store, &stream).await.unwrap();
    store.tombstone(&stream, ExpectedRevision::Exact(last)).await.unwrap();
    machine.crash_and_restart().await;
    let refused = post(&machine, &format!("/orders/{order_id}/shipment"), json!({})).await;
    assert_eq!(refused.body["type"], "urn:emporium:problem:stream-unreadable", "{refused:?}");
    buys(&machine).await;
    is_ready(&machine, PARKED).await;
    let deleted = skip(&machine, &stream, 0).await;
    assert_eq!(deleted.body["type"], "urn:emporium:problem:stream-deleted", "{deleted:?}");
    machine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fulfilment_says_how_far_it_is_behind_the_log() {
    let machine = Machine::begin(&[], &[], 900, Process::Runs).await;
    told(&machine, &mugs(10)).await;
    buys(&machine).await;
    machine.says(FULFILMENT, None).await;
    // It reads what it writes itself as well, and the answer of a moment before may be given again.
    let has_read_all = async {
        loop {
            let lag = is_ready(&machine, LAG).await["detail"].clone();
            let metrics = machine.metrics().await;
            let nothing = ["emporium_fulfilment_lag_events 0\n", "emporium_fulfilment_lag_seconds 0\n"];
            if lag["events"] == 0 && lag["seconds"] == 0 && nothing.iter().all(|line| metrics.contains(line))
            {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, has_read_all).await.expect("it says so in time");
    machine.end().await;
}

#[sqlx::test(migrations = false)]
async fn histories_and_proofs_say_that_an_event_was_passed_over(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay(&order_id, 1000).await.expect(StatusCode::OK);
    let (store, stream) = (shop.events(), format!("order-{order_id}"));
    let revision = foreign(&store, &stream).await;

    let path = format!("/orders/{order_id}");
    let at = async |revision: u64| shop.get(&format!("{path}?as_of=revision:{revision}")).await;
    assert_eq!(at(revision - 1).await.expect(StatusCode::OK)["status"], "processing");
    at(revision).await.expect_problem(StatusCode::CONFLICT, "stream-unreadable");
    let shipment = format!("{path}/shipment");
    let refused = shop.post_as_operator(&shipment, json!({})).await;
    refused.expect_problem(StatusCode::CONFLICT, "stream-unreadable");

    let parked = format!("/parked-streams/{stream}");
    let body = json!({ "revision": revision, "reason": "a script wrote it by mistake" });
    for (path, body) in [(format!("{parked}/skip"), &body), (format!("{parked}/retry"), &json!({}))] {
        let refused = shop.post(&path, body.clone()).await;
        refused.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    }
    shop.get("/parked-streams").await.expect_problem(StatusCode::FORBIDDEN, "operator-only");
    shop.post_as_operator(&format!("{parked}/retry"), json!({})).await.expect(StatusCode::OK);
    let skipped = shop.post_as_operator(&format!("{parked}/skip"), body).await.expect(StatusCode::OK);
    let marker = skipped["revision"].as_u64().unwrap();
    shop.post_as_operator(&shipment, json!({})).await.expect(StatusCode::OK);
    for (revision, status) in [(revision, "processing"), (marker, "processing"), (marker + 1, "shipped")] {
        assert_eq!(at(revision).await.expect(StatusCode::OK)["status"], status, "{revision}");
    }
    let history = shop.request(Method::GET, &format!("{path}/history")).operator().send().await;
    let history = history.expect(StatusCode::OK);
    let told =
        history["items"].as_array().unwrap().iter().find(|entry| entry["type"] == EVENT_SKIPPED).unwrap();
    assert!(told["summary"].as_str().unwrap().contains("a script wrote it by mistake"), "{told}");
    assert_eq!(told["actor"], "operator");
    assert_eq!(shop.get_now(&path).await.expect(StatusCode::OK)["status"], "shipped");

    // The chain goes on over the event, and the proof names it.
    let findings = crate::sealing::verified(&shop, vec![]).await.findings;
    let is_it =
        |finding: &Finding| matches!(finding, Finding::Unlinked { event } if event.revision == revision);
    assert!(findings.iter().all(is_it), "{findings:?}");
}

#[sqlx::test(migrations = false)]
async fn money_that_people_gave_back_while_the_order_could_not_be_read_is_found(pool: PgPool) {
    // The gateway never tells of it, as if it had given up telling.
    let shop = Shop::open_on(&pool, Terms { tells_of_refunds: false, ..Terms::default() }).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay_by("pm_card_visa", &order_id, 1000).await.expect(StatusCode::OK);
    let stream = format!("order-{order_id}");
    let revision = foreign(&shop.events(), &stream).await;
    let intent = shop.intents().await.remove(0);
    let refund =
        RefundRequest { intent_id: &intent.id, refund_id: Uuid::now_v7(), amount: 400, currency: "GBP" };
    shop.gateway_client().refund(&refund).await.unwrap();
    let body = json!({ "revision": revision, "reason": "a script wrote it by mistake" });
    let skipped = shop.post_as_operator(&format!("/parked-streams/{stream}/skip"), body).await;
    skipped.expect(StatusCode::OK);
    shop.get_when(&format!("/orders/{order_id}"), |order| order["refunded"] == gbp(400)).await;
}

#[sqlx::test(migrations = false)]
async fn what_is_passed_over_at_one_machine_is_passed_over_at_the_others(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let order_id = shop.order(&[("MUG", 1)], 1000).await;
    shop.pay(&order_id, 1000).await.expect(StatusCode::OK);
    let second = shop.second().await;
    let stream = format!("order-{order_id}");
    let revision = foreign(&shop.events(), &stream).await;
    let shipment = format!("/orders/{order_id}/shipment");
    for refused in [
        shop.post_as_operator(&shipment, json!({})).await,
        second.post_as_operator(&shipment, json!({})).await,
    ] {
        refused.expect_problem(StatusCode::CONFLICT, "stream-unreadable");
    }
    let body = json!({ "revision": revision, "reason": "a script wrote it by mistake" });
    let skip = format!("/parked-streams/{stream}/skip");
    second.post_as_operator(&skip, body).await.expect(StatusCode::OK);
    let shipped =
        async { while shop.post_as_operator(&shipment, json!({})).await.status != StatusCode::OK {} };
    tokio::time::timeout(DEADLINE, shipped).await.expect("it is known there in time");
}
