//! The executor against a real event store: batches, conflicts, many at once.

use chrono::Utc;
use domain::inventory::{Command, Rejection};
use domain::{LineId, OrderId, Quantity, ReceiptId, cart};
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::EventStore;
use executor::{Envelope, ExecuteError, Executor, MAX_NOTED, Writers};
use futures::StreamExt;
use futures::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use uuid::Uuid;

pub struct Bench {
    server: EmbeddedEventStore,
    _folder: TempDir,
}

impl Bench {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
        Self { server, _folder: folder }
    }

    pub fn store(&self) -> EventStore {
        EventStore::connect(&self.server.connection_string()).unwrap()
    }

    /// An executor with a memory of its own, as another process would have.
    pub fn executor(&self) -> Arc<Executor> {
        Arc::new(Executor::new(&self.store(), Writers::Others { max_staleness: Duration::from_secs(1) }))
    }

    async fn events_of(&self, stream: &str) -> usize {
        self.store().read_stream(stream, 0, usize::MAX).map(|event| event.unwrap()).count().await
    }
}

pub fn envelope() -> Envelope {
    let id = Uuid::now_v7();
    Envelope {
        command_id: id,
        correlation_id: id,
        causation_id: id,
        actor: "test".to_owned(),
        occurred_at: Utc::now(),
        fingerprint: executor::Fingerprint::none(),
    }
}

pub fn receive(units: i64) -> Command {
    Command::Receive { receipt_id: ReceiptId(Uuid::now_v7()), quantity: Quantity::new(units).unwrap() }
}

pub fn reserve_one() -> Command {
    Command::Reserve { order_id: OrderId(Uuid::now_v7()), quantity: Quantity::new(1).unwrap() }
}

/// Each purchase with two processes waited until the next look at the stream.
#[tokio::test]
async fn what_another_process_writes_is_known_as_soon_as_the_log_shows_it() {
    let bench = Bench::start().await;
    let never = Writers::Others { max_staleness: Duration::from_secs(3600) };
    let (store, other) = (bench.store(), bench.executor());
    let executor = Executor::new(&store, never);
    other.stock.execute("MUG", receive(1), envelope()).await.unwrap();
    let available = async || executor.stock.view("MUG", |stock| stock.available()).await.unwrap();
    assert_eq!(available().await, 1);
    let seen = async {
        // A receipt may come before the log is followed; the next one does not.
        for units in 2.. {
            other.stock.execute("MUG", receive(1), envelope()).await.unwrap();
            let look = executor.stock.wait("MUG", Duration::from_millis(100), move |stock| {
                (stock.available() >= units).then_some(())
            });
            if look.await.unwrap().is_some() {
                return;
            }
        }
    };
    tokio::select! {
        _ = executor.follow(&store) => {}
        seen = tokio::time::timeout(Duration::from_secs(30), seen) => seen.expect("the log shows it in time"),
    }
}

/// Fulfilment works on the orders of all processes: to read each of them again cost more than the purchase.
#[tokio::test]
async fn where_all_streams_are_used_what_the_log_has_shown_is_not_read_again() {
    let bench = Bench::start().await;
    let (one, other) = (bench.executor(), bench.executor());
    let open = cart::Command::Open { currency: "GBP".parse().unwrap(), customer_id: None };
    let begun = async |id: &str| one.carts.has_begun_within(id, Duration::from_millis(1)).await;
    other.carts.execute("late", open.clone(), envelope()).await.unwrap();
    other.carts.execute("new", open, envelope()).await.unwrap();
    other.carts.execute("new", cart::Command::Abandon, envelope()).await.unwrap();
    assert!(!begun("new").await, "nothing was shown");
    one.carts.all_are_used(true);
    let events: Vec<_> =
        bench.store().read_stream("cart-new", 0, usize::MAX).map(Result::unwrap).collect().await;
    events.iter().for_each(|event| one.carts.was_written(event));
    assert!(begun("new").await && !begun("late").await);

    let Bench { server, _folder } = bench;
    server.stop().await;
    let is_abandoned = |cart: &cart::Cart| matches!(cart, cart::Cart::Abandoned);
    assert!(one.carts.view("new", is_abandoned).await.expect("nobody is asked"));
    one.carts.view("late", is_abandoned).await.expect_err("the store is away");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_commands_for_one_stream_at_once_each_get_their_own_answer() {
    let bench = Bench::start().await;
    let executor = bench.executor();
    executor.stock.execute("HOT", receive(300), envelope()).await.unwrap();
    let answers = join_all((0..1000).map(|_| {
        let executor = Arc::clone(&executor);
        tokio::spawn(async move { executor.stock.execute("HOT", reserve_one(), envelope()).await })
    }))
    .await;
    let mut revisions = Vec::new();
    let mut refused = 0;
    for answer in answers {
        match answer.unwrap() {
            Ok(accepted) => revisions.push(accepted.revision),
            Err(ExecuteError::Rejected(Rejection::OutOfStock { available: 0, .. })) => refused += 1,
            Err(other) => panic!("{other}"),
        }
    }
    revisions.sort_unstable();
    assert_eq!(revisions, (1..=300).collect::<Vec<u64>>());
    assert_eq!(refused, 700);
    assert_eq!(bench.events_of("inventory-HOT").await, 301);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_processes_on_one_stream_never_sell_a_unit_twice() {
    let bench = Bench::start().await;
    let (one, other) = (bench.executor(), bench.executor());
    one.stock.execute("HOT", receive(50), envelope()).await.unwrap();
    let answers = join_all((0..200).map(|index| {
        let executor = Arc::clone(if index % 2 == 0 { &one } else { &other });
        tokio::spawn(async move {
            let envelope = envelope();
            let command = reserve_one();
            // Contention may tell a caller to come back; the same command again is the same command.
            loop {
                match executor.stock.execute("HOT", command.clone(), envelope.clone()).await {
                    Err(ExecuteError::Contended { .. }) => {}
                    Err(ExecuteError::Rejected(_)) => return false,
                    answer => return answer.map(|_| true).unwrap(),
                }
            }
        })
    }));
    let answers = tokio::time::timeout(Duration::from_secs(60), answers).await.expect("in time");
    assert_eq!(answers.into_iter().filter(|held| *held.as_ref().unwrap()).count(), 50);
    assert_eq!(bench.events_of("inventory-HOT").await, 51);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_process_wrote_is_seen_before_anything_is_refused() {
    let bench = Bench::start().await;
    let (one, other) = (bench.executor(), bench.executor());
    one.stock.execute("MUG", receive(1), envelope()).await.unwrap();
    one.stock.execute("MUG", reserve_one(), envelope()).await.unwrap();
    other.stock.execute("MUG", receive(1), envelope()).await.unwrap();
    one.stock.execute("MUG", reserve_one(), envelope()).await.expect("the other's unit is there");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_sees_a_change_that_comes_later() {
    let bench = Bench::start().await;
    let executor = bench.executor();
    executor.stock.execute("MUG", receive(1), envelope()).await.unwrap();
    let look = |stock: &domain::inventory::Inventory| (stock.available() == 0).then_some(());
    assert_eq!(executor.stock.wait("MUG", Duration::from_millis(20), look).await.unwrap(), None);
    let waiting = executor.stock.wait("MUG", Duration::from_secs(20), look);
    let selling = executor.stock.execute("MUG", reserve_one(), envelope());
    let (seen, sold) = tokio::join!(waiting, selling);
    sold.unwrap();
    assert_eq!(seen.unwrap(), Some(()));
}

/// Anybody can ask for what changes nothing, each time with a key of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_takes_only_so_many_marks_of_commands_that_change_nothing() {
    let bench = Bench::start().await;
    let executor = bench.executor();
    let by = |actor: &str| {
        let fingerprint = "of a body".to_owned();
        Envelope {
            actor: actor.to_owned(),
            fingerprint: executor::Fingerprint::new(fingerprint, String::new()),
            ..envelope()
        }
    };
    let nothing = || cart::Command::RemoveLines { line_ids: vec![LineId(Uuid::now_v7())] };
    let open = cart::Command::Open { currency: "GBP".parse().unwrap(), customer_id: None };
    executor.carts.execute("one", open, by("shopper")).await.unwrap();
    let marks = u64::from(MAX_NOTED);
    join_all((0..marks).map(|_| executor.carts.execute("one", nothing(), by("shopper")))).await;
    assert_eq!(bench.events_of("cart-one").await, 1 + MAX_NOTED as usize);

    // Another process counts the same.
    for executor in [&executor, &bench.executor()] {
        let refused = executor.carts.execute("one", nothing(), by("shopper")).await;
        assert!(matches!(refused, Err(ExecuteError::NotedTooOften { max: MAX_NOTED })), "{refused:?}");
        let without_a_key = executor.carts.execute("one", nothing(), envelope()).await.unwrap();
        assert_eq!(without_a_key.revision, marks);
    }
    let of_operator = executor.carts.execute("one", nothing(), by("operator")).await.unwrap();
    assert_eq!(of_operator.revision, marks + 1);
    let given_up = executor.carts.execute("one", cart::Command::Abandon, by("shopper")).await.unwrap();
    assert_eq!(given_up.revision, marks + 2);
}
