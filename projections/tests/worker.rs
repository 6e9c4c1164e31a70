//! The workers on a real event store: they follow it, go on after a crash, take over from each other, and stop
//! visibly at what they cannot read.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod shop;
mod tables;

use domain::{cart, inventory, order, product};
use embedded_event_store::EmbeddedEventStore;
use event_store::{EventStore, ExpectedRevision, Metadata, NewEvent, Position, RecordedEvent};
use futures::TryStreamExt;
use projections::read_models::{Carts, Orders, Products, Sales, Stock};
use projections::{Projection, State, Status, Worker};
use serde_json::Value;
use shop::Shop;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::time::Duration;
use tables::{dump, empty, project_all};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(60);

struct Log {
    server: EmbeddedEventStore,
    store: EventStore,
    _folder: TempDir,
}

impl Log {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = embedded_event_store::Config::on_any_port(folder.path());
        let server = EmbeddedEventStore::start(config).await.unwrap();
        let store = EventStore::connect(&server.connection_string()).unwrap();
        Self { server, store, _folder: folder }
    }

    /// Writes what another shop has lived through.
    async fn append(&self, events: &[RecordedEvent]) {
        let mut rest = events;
        while let Some(first) = rest.first() {
            let together = rest.iter().take_while(|event| event.stream == first.stream).count();
            let (part, after) = rest.split_at(together);
            let expected = match first.revision.checked_sub(1) {
                None => ExpectedRevision::NoStream,
                Some(last) => ExpectedRevision::Exact(last),
            };
            self.store.append(&first.stream, expected, part.iter().map(new).collect()).await.unwrap();
            rest = after;
        }
    }

    async fn head(&self) -> Position {
        self.store.head().await.unwrap().unwrap()
    }

    async fn read(&self) -> Vec<RecordedEvent> {
        self.store.read_all(None, usize::MAX).try_collect().await.unwrap()
    }
}

fn new(event: &RecordedEvent) -> NewEvent {
    let names = [
        product::Event::TYPE_NAMES,
        inventory::Event::TYPE_NAMES,
        cart::Event::TYPE_NAMES,
        order::Event::TYPE_NAMES,
    ];
    let event_type = names.concat().into_iter().find(|name| *name == event.event_type).unwrap();
    new_event(event_type, event.data.to_vec(), event)
}

fn new_event(event_type: &'static str, data: Vec<u8>, like: &RecordedEvent) -> NewEvent {
    let metadata = Metadata {
        correlation_id: like.id,
        causation_id: like.id,
        command_id: like.id,
        actor: "operator".to_owned(),
        occurred_at: like.recorded_at,
        fingerprint: String::new(),
    };
    NewEvent { id: Uuid::from_u128(like.id.as_u128() ^ 1), event_type, data, metadata }
}

/// A process with all five workers.
struct Process {
    statuses: Vec<watch::Receiver<Status>>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Process {
    fn start(log: &Log, pool: &PgPool) -> Self {
        let mut process = Self { statuses: vec![], tasks: JoinSet::new(), stop: CancellationToken::new() };
        process.add(Products, log, pool);
        process.add(Carts, log, pool);
        process.add(Orders, log, pool);
        process.add(Stock, log, pool);
        process.add(Sales, log, pool);
        process
    }

    fn add<P: Projection>(&mut self, projection: P, log: &Log, pool: &PgPool) {
        let worker = Worker::new(projection, log.store.clone(), (*pool.connect_options()).clone());
        self.statuses.push(worker.status());
        self.tasks.spawn(worker.run(self.stop.clone()));
    }

    async fn wait_for(&mut self, what: impl Fn(&Status) -> bool) {
        for status in &mut self.statuses {
            let seen = tokio::time::timeout(PATIENCE, status.wait_for(&what)).await.is_ok();
            assert!(seen, "waited in vain: {:?}", status.borrow());
        }
    }

    async fn reach(&mut self, position: Position) {
        self.wait_for(|status| status.position >= Some(position)).await;
    }

    async fn stop(mut self) {
        self.stop.cancel();
        self.wait_for(|status| status.state == State::Stopped).await;
        while self.tasks.join_next().await.is_some() {}
    }

    /// As a kill would: no commit, no goodbye.
    async fn kill(mut self) {
        self.tasks.shutdown().await;
    }
}

/// The rows without the checkpoints, which depend on when a worker looked.
async fn rows(pool: &PgPool) -> BTreeMap<&'static str, Value> {
    let mut rows = dump(&mut pool.acquire().await.unwrap()).await;
    rows.remove("projection_checkpoints");
    rows
}

/// The rows that the whole log gives when it is applied at once.
async fn rows_of_the_log(log: &Log, pool: &PgPool) -> BTreeMap<&'static str, Value> {
    let mut connection = pool.acquire().await.unwrap();
    empty(&mut connection).await;
    project_all(&mut connection, &log.read().await).await.unwrap();
    drop(connection);
    rows(pool).await
}

#[sqlx::test(migrations = "../migrations")]
async fn workers_follow_the_log_through_kills_and_restarts(pool: PgPool) {
    let log = Log::open().await;
    let events = Shop::after(21, 1_200).log;
    for part in events.chunks(events.len() / 5) {
        // The log grows while the workers are at it; then they are killed.
        let mut process = Process::start(&log, &pool);
        log.append(part).await;
        process.reach(Position::new(1)).await;
        process.kill().await;
    }
    let mut process = Process::start(&log, &pool);
    process.reach(log.head().await).await;
    process.stop().await;
    let followed = rows(&pool).await;
    assert_eq!(followed, rows_of_the_log(&log, &pool).await);
    log.server.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_second_process_waits_and_takes_over(pool: PgPool) {
    let log = Log::open().await;
    let events = Shop::after(22, 500).log;
    let (first, second) = events.split_at(events.len() / 2);
    log.append(first).await;
    let mut one = Process::start(&log, &pool);
    one.reach(log.head().await).await;
    let mut other = Process::start(&log, &pool);
    other.wait_for(|status| status.state == State::Waiting).await;
    one.kill().await;
    log.append(second).await;
    other.wait_for(|status| status.state == State::Running).await;
    other.reach(log.head().await).await;
    other.stop().await;
    let followed = rows(&pool).await;
    assert_eq!(followed, rows_of_the_log(&log, &pool).await);
    log.server.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn an_unreadable_event_stops_those_who_want_it_and_nobody_else(pool: PgPool) {
    let log = Log::open().await;
    let events = Shop::after(23, 300).log;
    log.append(&events).await;
    let placed = events.iter().find(|event| event.event_type == "order.placed.v1").unwrap();
    let last = events.iter().filter(|event| event.stream == placed.stream).count() as u64 - 1;
    let before = log.head().await;
    let of_the_future = new_event("order.paid.v99", b"{}".to_vec(), &events[0]);
    log.store.append(&placed.stream, ExpectedRevision::Exact(last), vec![of_the_future]).await.unwrap();
    let head = log.head().await;

    let mut process = Process::start(&log, &pool);
    process
        .wait_for(|status| match status.name {
            "orders" | "sales" => matches!(&status.state, State::Failed { error }
                if error.contains("order.paid.v99") && error.contains(&placed.stream)),
            _ => status.state == State::Running && status.position >= Some(head),
        })
        .await;
    for status in &process.statuses {
        let status = status.borrow();
        let reached = if matches!(status.name, "orders" | "sales") { before } else { head };
        assert_eq!(status.position, Some(reached), "{}", status.name);
    }
    process.stop.cancel();
    while process.tasks.join_next().await.is_some() {}
    log.server.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_that_hangs_up_is_called_again(pool: PgPool) {
    let log = Log::open().await;
    let events = Shop::after(24, 400).log;
    let (first, second) = events.split_at(events.len() / 2);
    log.append(first).await;
    let mut process = Process::start(&log, &pool);
    process.reach(log.head().await).await;
    sqlx::query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name LIKE 'emporium-projection-%'",
    )
    .execute(&pool)
    .await
    .unwrap();
    log.append(second).await;
    process.reach(log.head().await).await;
    process.stop().await;
    let followed = rows(&pool).await;
    assert_eq!(followed, rows_of_the_log(&log, &pool).await);
    log.server.stop().await;
}
