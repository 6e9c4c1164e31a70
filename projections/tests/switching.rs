//! What keeps a version from serving.

use crate::log::Log;
use crate::shop::Shop;
use crate::supervised::{Running, by_hand, make, rows, serves, switch};
use projections::read_models::Stock;
use projections::versions::{self, Switch, VersionError};
use projections::{ApplyError, Fact, Projection};
use sqlx::PgPool;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// New rules that have a mistake: they cannot apply what happens to one SKU.
#[derive(Debug, Clone, Copy, Default)]
struct Mistaken;

const CANNOT: &str = "inventory-SKU-0";
static IS_MENDED: AtomicBool = AtomicBool::new(false);

impl Projection for Mistaken {
    const NAME: &'static str = Stock::NAME;
    const VERSION: i32 = Stock::VERSION + 1;
    const WANTS: &'static [&'static str] = Stock::WANTS;
    const TABLES: &'static [&'static str] = Stock::TABLES;
    const STREAM_COLUMN: Option<&'static str> = Stock::STREAM_COLUMN;

    async fn apply(&self, transaction: &mut sqlx::PgConnection, facts: &[Fact]) -> Result<(), ApplyError> {
        let cannot = facts.iter().find(|fact| fact.stream() == CANNOT);
        if let Some(fact) = cannot.filter(|_| !IS_MENDED.load(Ordering::Relaxed)) {
            let order_id = "00000000-0000-0000-0000-000000000000".parse().map(domain::OrderId).unwrap();
            return Err(ApplyError::UnknownOrder { order_id, position: fact.position });
        }
        Stock.apply(transaction, facts).await
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_version_with_streams_parked_that_serve_now_waits_until_they_are_mended(pool: PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(41, 300).log).await;
    let old = Running::start(Stock, &log, &pool);
    old.reach(1, &log).await;
    old.stop().await;
    let served = rows::<Stock>(&pool, "public").await;
    let new = Running::start(Mistaken, &log, &pool);
    new.reach(2, &log).await;
    new.wait_for(|all| all.iter().any(|status| status.version == 2 && status.parked == 1)).await;
    let refused = switch::<Mistaken>(&pool, Some(2)).await;
    let Err(VersionError::Parked { version: 2, streams, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(streams, [CANNOT]);
    assert_eq!(rows::<Stock>(&pool, "public").await, served, "nothing is missing meanwhile");

    IS_MENDED.store(true, Ordering::Relaxed);
    sqlx::query("UPDATE parked_streams SET asked = 'retry'").execute(&pool).await.unwrap();
    sqlx::query("SELECT pg_notify('projection_versions', 'stock')").execute(&pool).await.unwrap();
    serves::<Mistaken>(&pool, 2).await;
    assert_eq!(rows::<Stock>(&pool, "public").await, served);
    new.stop().await;
    log.server.stop().await;
}

async fn park(pool: &PgPool, version: i32, stream: &str, revision: i64) {
    sqlx::query(
        "INSERT INTO parked_streams (name, version, stream, revision, position, event_type, error)
         VALUES ('stock', $1, $2, $3, $3, 'inventory.received.v9', 'of the future')
         ON CONFLICT (name, version, stream) DO UPDATE SET revision = $3",
    )
    .bind(version)
    .bind(stream)
    .bind(revision)
    .execute(pool)
    .await
    .unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn only_what_is_parked_anew_speaks_against_a_switch_and_only_until_somebody_insists(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    versions::ensure::<Stock>(&mut connection).await.unwrap();
    make::<Stock>(&pool, by_hand::<Stock>()).await;
    park(&pool, 1, "inventory-A", 3).await;
    park(&pool, 2, "inventory-A", 2).await;
    park(&pool, 2, "inventory-B", 7).await;
    let refused = switch::<Stock>(&pool, None).await;
    let error = refused.unwrap_err();
    assert!(error.to_string().contains("inventory-A, inventory-B"), "{error}");
    // Where the one that serves stands still as well, nothing is lost.
    park(&pool, 2, "inventory-A", 3).await;
    let refused = switch::<Stock>(&pool, None).await;
    let Err(VersionError::Parked { streams, .. }) = refused else { panic!("{refused:?}") };
    assert_eq!(streams, ["inventory-B"]);
    let insists = Switch { to: None, rules: Stock::VERSION, even_with_parked: true, log_id: None };
    assert_eq!(versions::switch(&mut connection, "stock", Stock::TABLES, insists).await.unwrap(), 2);
    // The way back loses nothing.
    assert_eq!(switch::<Stock>(&pool, None).await.unwrap(), 1);
}

/// All queries that come meanwhile wait behind the switch.
#[sqlx::test(migrations = "../migrations")]
async fn a_switch_does_not_wait_long_for_queries_that_are_under_way(pool: PgPool) {
    versions::ensure::<Stock>(&mut pool.acquire().await.unwrap()).await.unwrap();
    make::<Stock>(&pool, by_hand::<Stock>()).await;
    let mut reading = pool.begin().await.unwrap();
    sqlx::query("LOCK TABLE stock IN ACCESS SHARE MODE").execute(&mut *reading).await.unwrap();
    let begun = Instant::now();
    let busy = switch::<Stock>(&pool, None).await;
    assert!(matches!(busy, Err(VersionError::Busy)), "{busy:?}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    reading.rollback().await.unwrap();
    assert_eq!(switch::<Stock>(&pool, None).await.unwrap(), 2);
}
