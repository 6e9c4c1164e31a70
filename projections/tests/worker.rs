//! The workers on a real event store: they follow it, go on after a crash, take over from each other, and stop
//! visibly at what they cannot read.

use crate::log::{Log, new_event};
use crate::shop::Shop;
use crate::tables::{dump, empty, project_all, share};
use event_store::{ExpectedRevision, Position, RecordedEvent};
use projections::read_models::{
    AnalyticsCarts, AnalyticsOrders, AnalyticsSales, AnalyticsStock, Carts, Orders, Products, Sales, Stock,
    Trail,
};
use projections::{Projection, State, Status, Worker, versions};
use serde_json::Value;
use sqlx::PgPool;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

const PATIENCE: Duration = Duration::from_secs(60);
/// Those that want to know when an order is paid.
const WANT_PAID: [&str; 4] = ["analytics_orders", "analytics_sales", "orders", "sales"];

/// A process with all workers.
struct Process {
    statuses: Vec<watch::Receiver<Status>>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
}

impl Process {
    async fn start(log: &Log, pool: &PgPool) -> Self {
        let mut process = Self { statuses: vec![], tasks: JoinSet::new(), stop: CancellationToken::new() };
        process.add(Products, log, pool).await;
        process.add(Carts, log, pool).await;
        process.add(Orders, log, pool).await;
        process.add(Stock, log, pool).await;
        process.add(Sales, log, pool).await;
        process.add(AnalyticsSales, log, pool).await;
        process.add(AnalyticsOrders, log, pool).await;
        process.add(AnalyticsCarts, log, pool).await;
        process.add(AnalyticsStock, log, pool).await;
        process.add(Trail, log, pool).await;
        process
    }

    async fn add<P: Projection>(&mut self, projection: P, log: &Log, pool: &PgPool) {
        versions::ensure::<P>(&mut pool.acquire().await.unwrap()).await.unwrap();
        let database = (*pool.connect_options()).clone();
        let asked = watch::Sender::new(0).subscribe();
        let worker = Worker::new(projection, share::<P>(), log.store.clone(), database, asked);
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
        let mut process = Process::start(&log, &pool).await;
        log.append(part).await;
        process.reach(Position::new(1)).await;
        process.kill().await;
    }
    let mut process = Process::start(&log, &pool).await;
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
    let mut one = Process::start(&log, &pool).await;
    one.reach(log.head().await).await;
    let mut other = Process::start(&log, &pool).await;
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
async fn an_unreadable_event_parks_its_stream_for_those_who_want_it_and_nothing_else(pool: PgPool) {
    let log = Log::open().await;
    let events = Shop::after(23, 300).log;
    let (first, second) = events.split_at(events.len() / 2);
    log.append(first).await;
    let placed = first.iter().rev().find(|event| event.event_type == "order.placed.v1").unwrap();
    let is_of_it = |event: &&RecordedEvent| event.stream == placed.stream;
    let last = first.iter().filter(is_of_it).count() as u64 - 1;
    let of_the_future = new_event("order.paid.v99", b"{}".to_vec(), &events[0]);
    log.store.append(&placed.stream, ExpectedRevision::Exact(last), vec![of_the_future]).await.unwrap();
    let others: Vec<_> = second.iter().filter(|event| event.stream != placed.stream).cloned().collect();
    log.append(&others).await;
    let head = log.head().await;

    let mut process = Process::start(&log, &pool).await;
    process.reach(head).await;
    for status in &process.statuses {
        let status = status.borrow();
        let wants_it = WANT_PAID.contains(&status.name);
        assert_eq!((status.parked, &status.state), (usize::from(wants_it), &State::Running), "{status:?}");
    }
    let parked: Vec<(String, String, i64, String)> =
        sqlx::query_as("SELECT name, stream, revision, error FROM parked_streams ORDER BY name")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(parked.len(), WANT_PAID.len());
    for ((name, stream, revision, error), expected) in parked.iter().zip(WANT_PAID) {
        assert_eq!((name.as_str(), stream, *revision), (expected, &placed.stream, last as i64 + 1));
        assert!(error.contains("order.paid.v99"), "{error}");
    }
    process.stop().await;
    // An auditor is told of it, whatever it says.
    let in_the_trail: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM trail JOIN trail_kinds USING (kind) WHERE event_type = 'order.paid.v99'",
    )
    .fetch_one(&pool)
    .await
    .unwrap();
    assert_eq!(in_the_trail, 1);
    let mut followed = rows(&pool).await;
    let mut connection = pool.acquire().await.unwrap();
    empty(&mut connection).await;
    let readable: Vec<_> =
        log.read().await.into_iter().filter(|event| event.event_type != "order.paid.v99").collect();
    project_all(&mut connection, &readable).await.unwrap();
    drop(connection);
    let mut expected = rows(&pool).await;
    for rows in [&mut followed, &mut expected] {
        for differs in ["trail", "trail_kinds"] {
            rows.remove(differs);
        }
    }
    assert_eq!(followed, expected);
    log.server.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_that_hangs_up_is_called_again(pool: PgPool) {
    let log = Log::open().await;
    let events = Shop::after(24, 400).log;
    let (first, second) = events.split_at(events.len() / 2);
    log.append(first).await;
    let mut process = Process::start(&log, &pool).await;
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
