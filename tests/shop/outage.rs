//! Order fulfilment after it was away for long: the log was written on, and deadlines have passed.

use crate::every_step::{Ids, Machine, Process};
use crate::written::{check_out, linked, mugs, new_event, of, one, ours, pay, placed, told};
use audit_seal::chain::{START, split};
use chrono::{DateTime, Utc};
use domain::order::{self, ReservationsAnswered};
use domain::stored::StoredEvent;
use domain::{Aggregate, OrderId, Sku, inventory};
use event_store::{EventStore, ExpectedRevision, Position, RecordedEvent, SubscriptionItem};
use futures::{StreamExt, TryStreamExt, pin_mut};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::{Duration, Instant};
use uuid::Uuid;

const DEADLINE: Duration = Duration::from_secs(60);
const CHECKPOINTS: &str = "process-order_fulfilment";

/// Writes orders of one mug each for which stock holds the goods, as the services would have.
async fn write_orders(store: &EventStore, orders: &[OrderId]) -> Position {
    let stock = store.read_stream_backwards("inventory-MUG", None, 1).try_collect::<Vec<_>>().await.unwrap();
    let mut revision = stock[0].revision;
    let mut link = split(&stock[0].metadata).1.unwrap();
    for orders in orders.chunks(1_500) {
        let reserved = |order_id: &OrderId| {
            of(&inventory::Event::Reserved(inventory::Reserved {
                order_id: *order_id,
                quantity: one(),
                unpaid: false,
            }))
        };
        let (events, last) = linked("inventory-MUG", (revision + 1, link), orders.iter().map(reserved));
        link = last;
        let appended = store.append("inventory-MUG", ExpectedRevision::Exact(revision), events).await;
        revision = appended.unwrap().revision;
    }
    let mug: Sku = "MUG".parse().unwrap();
    let answered = ReservationsAnswered { held: vec![mug], refused: vec![], at_payment: vec![] };
    let answered = order::Event::ReservationsAnswered(answered);
    let write = |order_id: &OrderId| {
        let stream = format!("order-{order_id}");
        let events = linked(&stream, (0, START), [of(&placed(*order_id)), of(&answered)]).0;
        async move { store.append(&stream, ExpectedRevision::NoStream, events).await.unwrap().position }
    };
    let written = futures::stream::iter(orders).map(write).buffer_unordered(512);
    written.fold(Position::new(0), |last, position| std::future::ready(last.max(position))).await
}

/// Writes that the process was done with everything up to here, and that these orders wait for their money.
async fn write_checkpoint(
    store: &EventStore,
    position: Position,
    orders: &[OrderId],
    deadline: DateTime<Utc>,
) {
    let parts = orders.chunks(5_000);
    let count = parts.len();
    let events = parts.enumerate().map(|(part, orders)| {
        let open = |order_id| json!({ "order_id": order_id, "deadline": deadline.timestamp() });
        let open: Vec<Value> = orders.iter().map(open).collect();
        let part = json!({ "position": position, "open_orders": open, "part": part, "parts": count });
        new_event("process.checkpoint_recorded.v1", part.to_string().into_bytes(), ours())
    });
    for (event, before) in events.zip(0_u64..) {
        let expected = before.checked_sub(1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        store.append(CHECKPOINTS, expected, vec![event]).await.unwrap();
    }
}

/// The events after a position, as they come, until one is the last.
async fn follow(
    store: &EventStore,
    after: Position,
    within: Duration,
    mut is_last: impl FnMut(&RecordedEvent) -> bool,
) {
    let items = store.subscribe_all(Some(after));
    pin_mut!(items);
    let following = async {
        while let Some(item) = items.next().await {
            if let SubscriptionItem::Event(event) = item
                && is_last(&event)
            {
                return;
            }
        }
    };
    tokio::time::timeout(within, following).await.expect("it comes to that in time");
}

fn is_of(event: &RecordedEvent, order_id: OrderId) -> bool {
    event.stream == format!("order-{order_id}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_under_way_outlives_the_deadline_though_its_event_is_far_down_the_log() {
    const OTHERS: u32 = 30_000;
    let mut machine = Machine::begin(&[], &[], 900, Process::Rests).await;
    let (store, mut ids) = (machine.store(), Ids::default());
    machine.tell(&[&mugs(10)[..], &check_out()[..]].concat(), &mut ids).await;
    let order_id: OrderId = ids.order.as_deref().unwrap().parse().unwrap();
    let noted = machine.history().await.last().unwrap().position;
    // What comes in between is nothing to the process, and takes its time to be read.
    let mut expected = ExpectedRevision::NoStream;
    for _ in 0..OTHERS / 1_000 {
        let others = (0..1_000).map(|_| new_event("noise.made.v1", b"{}".to_vec(), ours())).collect();
        expected = ExpectedRevision::Exact(store.append("noise-1", expected, others).await.unwrap().revision);
    }
    assert_eq!(machine.tell(&[pay()], &mut ids).await[0].status, StatusCode::ACCEPTED);
    write_checkpoint(&store, noted, &[order_id], Utc::now() - chrono::TimeDelta::seconds(1)).await;

    machine.crash_and_restart().await;
    let mut types = Vec::new();
    follow(&store, noted, DEADLINE, |event| {
        types.extend(is_of(event, order_id).then(|| event.event_type.clone()));
        ["order.processing_started.v1", "order.stock_released.v1"].contains(&event.event_type.as_str())
    })
    .await;
    assert!(!types.iter().any(|name| name == "order.cancelled.v1"), "{types:?}");
    machine.end().await;
}

/// Restarts with so many orders whose time was over during the outage, and with one that was placed meanwhile.
async fn an_outage_with_overdue_orders(count: u32) {
    let mut machine = Machine::begin(&[], &[], 900, Process::Rests).await;
    let store = machine.store();
    let orders: Vec<OrderId> = (0..count).map(|_| OrderId(Uuid::now_v7())).collect();
    told(&machine, &mugs(count + 1)).await;
    let begun = Instant::now();
    let noted = write_orders(&store, &orders).await;
    write_checkpoint(&store, noted, &orders, Utc::now() - chrono::TimeDelta::seconds(60)).await;
    let new = told(&machine, &check_out()).await;
    println!("{count} orders written in {:?}", begun.elapsed());

    machine.crash_and_restart().await;
    let begun = Instant::now();
    let (mut cancelled, mut before_new) = (HashSet::new(), None);
    let mut released = 0;
    follow(&store, noted, Duration::from_secs(1_800), |event| {
        match event.event_type.as_str() {
            "order.cancelled.v1" => drop(cancelled.insert(event.stream.clone())),
            "order.stock_released.v1" => released += 1,
            "order.reservations_answered.v1" if is_of(event, new) => {
                println!("the new order has its stock after {:?}", begun.elapsed());
                before_new = Some(cancelled.len());
            }
            _ => {}
        }
        released == count && before_new.is_some()
    })
    .await;
    println!("all are cancelled after {:?}", begun.elapsed());
    let before_new = before_new.unwrap();
    assert!(before_new < orders.len() / 2, "{before_new} of {count} orders went before the new one");
    assert_eq!(cancelled.len(), orders.len());
    assert!(!cancelled.contains(&format!("order-{new}")));
    let stock = store.read_stream("inventory-MUG", 0, usize::MAX);
    let stock = stock.map(|event| {
        let event = event.unwrap();
        inventory::Event::read(&event.event_type, &event.data).unwrap()
    });
    let stock = stock
        .collect::<Vec<_>>()
        .await
        .iter()
        .fold(inventory::Inventory::default(), |stock, event| stock.evolve(event));
    assert_eq!(stock.available(), u64::from(count));
    machine.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_buys_after_an_outage_does_not_wait_until_all_overdue_orders_are_cancelled() {
    an_outage_with_overdue_orders(2_000).await;
}

/// Not a test: `cargo test -p emporium-tests --test shop overdue -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: a hundred thousand overdue orders"]
async fn a_hundred_thousand_overdue_orders() {
    an_outage_with_overdue_orders(100_000).await;
}

/// Buys mugs one after the other until it is over, and says how long each had to wait for its stock.
async fn buys_until(machine: &Machine, what: &str, over: impl Future<Output = ()>) {
    let mut steps = check_out();
    steps[2].waits = true;
    let mut waits = Vec::new();
    let buying = async {
        loop {
            let begun = Instant::now();
            steps.iter_mut().for_each(|step| step.key = Uuid::now_v7().to_string());
            told(machine, &steps).await;
            waits.push(begun.elapsed());
        }
    };
    tokio::select! {
        () = buying => {}
        () = over => {}
    }
    waits.sort();
    let (count, last) = (waits.len(), waits.len() - 1);
    println!(
        "{what}: {count} orders placed and held, half of them within {:?}, all within {:?}",
        waits[last / 2],
        waits[last]
    );
}

/// Not a test: `cargo test -p emporium-tests --test shop running_service -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: a hundred thousand open orders"]
async fn a_hundred_thousand_open_orders_in_a_running_service() {
    const COUNT: u32 = 100_000;
    const SECONDS: i64 = 60;
    let mut machine = Machine::begin(&[], &[], 900, Process::Rests).await;
    let store = machine.store();
    let orders: Vec<OrderId> = (0..COUNT).map(|_| OrderId(Uuid::now_v7())).collect();
    told(&machine, &mugs(2 * COUNT)).await;
    let noted = write_orders(&store, &orders).await;
    let deadline = Utc::now() + chrono::TimeDelta::seconds(SECONDS);
    write_checkpoint(&store, noted, &orders, deadline).await;
    let restarted = Instant::now();
    machine.crash_and_restart().await;
    machine.says("order-fulfilment", None).await;
    println!("order fulfilment is ready {:?} after the restart", restarted.elapsed());
    let first_over =
        follow(&store, noted, Duration::from_secs(600), |event| event.event_type == "order.cancelled.v1");
    buys_until(&machine, "while all wait for their money", first_over).await;
    let late = Utc::now() - deadline;
    println!("the first is cancelled {} ms after its deadline", late.num_milliseconds());
    let (begun, mut released) = (Instant::now(), 0);
    let all_over = follow(&store, noted, Duration::from_secs(1_800), |event| {
        released += u32::from(event.event_type == "order.stock_released.v1");
        released == COUNT
    });
    buys_until(&machine, "while all are cancelled", all_over).await;
    println!("all are cancelled {:?} later", begun.elapsed());
    machine.end().await;
}
