//! Snapshots of stock's streams, over a real event store: they are used when they are right, and only then.

use crate::executor::{Bench, envelope, receive, reserve_one};
use crate::written::{linked, metadata};
use audit_seal::chain::{START, split};
use domain::inventory::{Event, Inventory, Received, Reserved};
use domain::stored::StoredEvent;
use domain::{Aggregate, OrderId, Quantity, ReceiptId};
use event_store::{EventStore, ExpectedRevision, NewEvent, RawEvent, RawRecord, SubscriptionItem};
use executor::{Envelope, ExecuteError, Executor, Fingerprint};
use futures::{StreamExt, TryStreamExt};
use std::pin::pin;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// Enough for a snapshot of two parts.
const RESERVATIONS: u32 = 13_000;

/// A history of one SKU with so many reservations, each of one unit, and one unit left.
fn history(reservations: u32) -> impl Iterator<Item = Event> {
    let quantity = Quantity::new(i64::from(reservations) + 1).unwrap();
    let received = Event::Received(Received { receipt_id: ReceiptId(Uuid::now_v7()), quantity });
    let one = Quantity::new(1).unwrap();
    let reserved = move |_| {
        Event::Reserved(Reserved { order_id: OrderId(Uuid::now_v7()), quantity: one, unpaid: false })
    };
    std::iter::once(received).chain((0..reservations).map(reserved))
}

/// Writes a history as another process would have, and gives the state that it leads to.
async fn write(store: &EventStore, stream: &str, history: impl Iterator<Item = Event>) -> Inventory {
    write_after(store, stream, ExpectedRevision::NoStream, history).await
}

async fn write_after(
    store: &EventStore,
    stream: &str,
    mut expected: ExpectedRevision,
    history: impl Iterator<Item = Event>,
) -> Inventory {
    let metadata = metadata();
    let mut state = Inventory::default();
    let mut history = history.peekable();
    let last = store.read_stream_backwards(stream, None, 1).try_collect::<Vec<_>>().await.unwrap();
    let mut link = last.first().map_or(START, |last| split(&last.metadata).1.unwrap());
    while history.peek().is_some() {
        let events: Vec<_> = history.by_ref().take(1_500).collect();
        state = events.iter().fold(state, Inventory::evolve);
        let new = |event: &Event| NewEvent {
            id: Uuid::now_v7(),
            event_type: event.type_name(),
            data: event.payload(),
            metadata: metadata.to_json(),
        };
        let first_revision = match expected {
            ExpectedRevision::NoStream => 0,
            ExpectedRevision::Exact(last) => last + 1,
        };
        let (events, last) = linked(stream, (first_revision, link), events.iter().map(new));
        link = last;
        let appended = store.append(stream, expected, events).await.unwrap();
        expected = ExpectedRevision::Exact(appended.revision);
    }
    state
}

async fn loaded(executor: &Executor, sku: &str) -> Inventory {
    executor.stock.view(sku, Inventory::clone).await.unwrap()
}

async fn raw(store: &EventStore, stream: &str) -> Vec<RawRecord> {
    store.read_raw_stream(stream, 0, usize::MAX).try_collect().await.unwrap()
}

/// Waits until so many snapshots of this SKU are whole: with each, what was before it is let go of.
async fn are_stored(store: &EventStore, sku: &str, snapshots: u64) {
    let stored = async {
        let mut items = pin!(store.subscribe_all(None));
        let stream = format!("$$snapshot-inventory-{sku}");
        loop {
            if let Some(SubscriptionItem::StoresOwn(_)) = items.next().await
                && raw(store, &stream).await.last().is_some_and(|last| last.revision + 1 >= snapshots)
            {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), stored).await.expect("a snapshot is stored in time");
}

/// A long stream with a snapshot, in which the events that the snapshot covers can be read no more: only who uses the
/// snapshot knows the state.
async fn only_the_snapshot_knows(bench: &Bench, sku: &str) -> Inventory {
    let store = bench.store();
    let stream = format!("inventory-{sku}");
    let state = write(&store, &stream, history(RESERVATIONS)).await;
    assert_eq!(loaded(&bench.executor(), sku).await, state);
    are_stored(&store, sku, 1).await;
    store.truncate_before(&stream, u64::from(RESERVATIONS)).await.unwrap();
    state
}

async fn append_raw(store: &EventStore, stream: &str, event: RawEvent) {
    let last = store.read_raw_stream_end(stream).try_collect::<Vec<_>>().await.unwrap();
    let expected =
        last.first().map_or(ExpectedRevision::NoStream, |last| ExpectedRevision::Exact(last.revision));
    store.append_raw(stream, expected, vec![event]).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_stream_is_loaded_from_its_snapshot_and_what_came_after_it() {
    let bench = Bench::start().await;
    let mut state = only_the_snapshot_knows(&bench, "HOT").await;
    let store = bench.store();
    assert_eq!(raw(&store, "snapshot-inventory-HOT").await.len(), 2, "it has two parts");
    assert_eq!(loaded(&bench.executor(), "HOT").await, state);

    let executor = bench.executor();
    executor.stock.execute("HOT", reserve_one(), envelope()).await.unwrap();
    let refused = executor.stock.execute("HOT", reserve_one(), envelope()).await;
    assert!(matches!(refused, Err(ExecuteError::Rejected(_))), "the last unit was sold before");
    let last = store.read_stream("inventory-HOT", u64::from(RESERVATIONS) + 1, usize::MAX);
    for event in last.try_collect::<Vec<_>>().await.unwrap() {
        state = state.evolve(&Event::read(&event.event_type, &event.data).unwrap());
    }
    assert_eq!(state.available(), 0);
    assert_eq!(loaded(&bench.executor(), "HOT").await, state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyed_command_before_the_snapshot_is_still_known() {
    let bench = Bench::start().await;
    let store = bench.store();
    let executor = bench.executor();
    let keyed = Envelope {
        fingerprint: Fingerprint::new("of the first".to_owned(), "its bytes".to_owned()),
        ..envelope()
    };
    let first = executor.stock.execute("HOT", receive(5), keyed.clone()).await.unwrap();
    write_after(&store, "inventory-HOT", ExpectedRevision::Exact(first.revision), history(RESERVATIONS))
        .await;
    loaded(&bench.executor(), "HOT").await;
    are_stored(&store, "HOT", 1).await;
    store.truncate_before("inventory-HOT", u64::from(RESERVATIONS)).await.unwrap();

    let later = bench.executor();
    let again = later.stock.execute("HOT", receive(5), keyed.clone()).await.unwrap();
    assert_eq!((again.revision, again.position, again.replayed), (first.revision, first.position, true));
    let other = Envelope {
        fingerprint: Fingerprint::new("of another".to_owned(), "other bytes".to_owned()),
        ..keyed
    };
    let refused = later.stock.execute("HOT", receive(6), other).await;
    assert!(matches!(refused, Err(ExecuteError::KeyReused)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_snapshot_leaves_the_one_before_it() {
    let bench = Bench::start().await;
    let state = only_the_snapshot_knows(&bench, "HOT").await;
    let store = bench.store();
    let parts = raw(&store, "snapshot-inventory-HOT").await;
    // As if the process had been killed after the first part of the next snapshot; the bytes of its state are wrong.
    let mut data = parts[0].event.data.to_vec();
    data[0] ^= 1;
    data.truncate(1_000);
    let torn = RawEvent { id: Uuid::now_v7(), data: data.into(), ..parts[0].event.clone() };
    append_raw(&store, "snapshot-inventory-HOT", torn).await;
    assert_eq!(loaded(&bench.executor(), "HOT").await, state);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_damaged_or_of_another_version_is_not_used_and_is_replaced() {
    /// Set, index, count, revision, position and the event's id go before the version.
    const VERSION_AT: usize = 16 + 4 * 8 + 16;
    let bench = Bench::start().await;
    let store = bench.store();
    let state = write(&store, "inventory-HOT", history(RESERVATIONS)).await;
    loaded(&bench.executor(), "HOT").await;
    are_stored(&store, "HOT", 1).await;
    let parts = raw(&store, "snapshot-inventory-HOT").await;
    let spoils: [fn(usize, &mut Vec<u8>); 2] = [
        |index, data| {
            if index == 0 {
                data[VERSION_AT] = 200
            }
        },
        |index, data| {
            if index == 1 {
                data.truncate(data.len() - 1)
            }
        },
    ];
    for (spoil, snapshots) in spoils.into_iter().zip(2..) {
        for (index, part) in parts.iter().enumerate() {
            let mut data = part.event.data.to_vec();
            // Another set.
            data[0] ^= 1;
            spoil(index, &mut data);
            let spoilt = RawEvent { id: Uuid::now_v7(), data: data.into(), ..part.event.clone() };
            append_raw(&store, "snapshot-inventory-HOT", spoilt).await;
        }
        assert_eq!(loaded(&bench.executor(), "HOT").await, state);
        // Whoever had to read the whole stream stores a better one, though there is one as new.
        are_stored(&store, "HOT", snapshots).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_of_another_stream_is_not_taken_for_ours() {
    let bench = Bench::start().await;
    let store = bench.store();
    only_the_snapshot_knows(&bench, "HOT").await;
    // As long as the other, and shorter: neither has the event that the snapshot names.
    for (sku, reservations) in [("LONG", RESERVATIONS), ("SHORT", 10)] {
        let state = write(&store, &format!("inventory-{sku}"), history(reservations)).await;
        for part in raw(&store, "snapshot-inventory-HOT").await {
            append_raw(&store, &format!("snapshot-inventory-{sku}"), part.event).await;
        }
        assert_eq!(loaded(&bench.executor(), sku).await, state);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_becomes_long_gets_its_snapshot_from_whoever_writes_it() {
    let bench = Bench::start().await;
    let store = bench.store();
    write(&store, "inventory-HOT", history(9_990)).await;
    let executor = bench.executor();
    for _ in 0..20 {
        executor.stock.execute("HOT", receive(1), envelope()).await.unwrap();
    }
    are_stored(&store, "HOT", 1).await;
    let state = loaded(&executor, "HOT").await;
    store.truncate_before("inventory-HOT", 9_990).await.unwrap();
    assert_eq!(loaded(&bench.executor(), "HOT").await, state);
}

#[tokio::test(flavor = "multi_thread")]
async fn short_streams_have_no_snapshots() {
    let bench = Bench::start().await;
    let store = bench.store();
    let state = write(&store, "inventory-MUG", history(9_000)).await;
    assert_eq!(loaded(&bench.executor(), "MUG").await, state);
    let executor = bench.executor();
    executor.stock.execute("MUG", reserve_one(), envelope()).await.unwrap();
    assert!(raw(&store, "snapshot-inventory-MUG").await.is_empty());
}

/// Not a test: `cargo test --release -p emporium-tests --test shop million -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement: a million reservations"]
async fn a_million_reservations_with_and_without_a_snapshot() {
    let bench = Bench::start().await;
    let store = bench.store();
    let begun = Instant::now();
    let state = write(&store, "inventory-HOT", history(1_000_000)).await;
    println!("written in {:?}", begun.elapsed());
    let timed = async |what: &str| {
        let executor = bench.executor();
        let begun = Instant::now();
        let available = executor.stock.view("HOT", Inventory::available).await.unwrap();
        println!("{what}: first look after {:?}", begun.elapsed());
        assert_eq!(available, 1);
        (executor, Instant::now())
    };
    let (executor, looked) = timed("without a snapshot").await;
    // The next in the queue waits for the copy of the state, and not for the store.
    executor.stock.view("HOT", Inventory::available).await.unwrap();
    println!("the next look waits {:?} while the state is copied", looked.elapsed());
    are_stored(&store, "HOT", 1).await;
    println!("the snapshot is stored {:?} after the look", looked.elapsed());
    let parts = raw(&store, "snapshot-inventory-HOT").await;
    let bytes: usize = parts.iter().map(|part| part.event.size()).sum();
    println!("the snapshot: {} parts, {bytes} bytes", parts.len());
    for _ in 0..3 {
        timed("with a snapshot").await;
    }
    let executor = bench.executor();
    assert_eq!(loaded(&executor, "HOT").await, state);
    // As much as comes between two snapshots, at most.
    let more = history(210_000).skip(1);
    write_after(&store, "inventory-HOT", ExpectedRevision::Exact(1_000_000), more).await;
    let executor = bench.executor();
    let begun = Instant::now();
    executor.stock.view("HOT", Inventory::received).await.unwrap();
    println!("with a snapshot and 210,000 events after it: first look after {:?}", begun.elapsed());
}
