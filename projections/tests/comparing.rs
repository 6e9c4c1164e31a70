//! Holding the rows against the log.

use crate::log::Log;
use crate::shop::Shop;
use crate::supervised::{PATIENCE, Running};
use projections::compare::{Wanted, compare};
use projections::read_models::{Orders, Stock};
use projections::{ApplyError, Fact, Projection};
use sqlx::PgPool;
use tokio::sync::Semaphore;

/// What comparisons have made and is still there.
async fn left(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relpersistence = 't'
         UNION ALL SELECT nspname::text FROM pg_namespace WHERE nspname LIKE '%compare%'",
    )
    .fetch_all(pool)
    .await
    .unwrap()
}

async fn are_gone(pool: &PgPool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let left = left(pool).await;
        if left.is_empty() {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{left:?}");
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_comparison_names_each_row_that_is_not_what_the_events_say(pool: PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(36, 900).log).await;
    let running = Running::start(Orders, &log, &pool);
    running.reach(1, &log).await;
    let database = (*pool.connect_options()).clone();
    let compared =
        |percent| compare(Orders, database.clone(), log.store.clone(), Wanted { version: None, percent });
    let same = compared(None).await.unwrap();
    assert!(same.differences == 0 && same.rows > 100 && same.events > 100, "{same:?}");
    let sample = compared(Some(30)).await.unwrap();
    assert!(sample.differences == 0 && sample.rows > 0 && sample.rows < same.rows, "{sample:?}");

    // Somebody who has no business there changes a row, takes one away and adds one.
    let changed: uuid::Uuid =
        sqlx::query_scalar("UPDATE orders SET paid = paid + 1 WHERE order_id = (SELECT min(order_id::text)::uuid FROM orders) RETURNING order_id")
            .fetch_one(&pool).await.unwrap();
    let gone: uuid::Uuid =
        sqlx::query_scalar("DELETE FROM order_lines WHERE (order_id, number) = (SELECT max(order_id::text)::uuid, 1 FROM order_lines) RETURNING order_id")
            .fetch_one(&pool).await.unwrap();
    sqlx::query("INSERT INTO order_history SELECT order_id, 999, position, event_type, summary, actor, occurred_at FROM order_history LIMIT 1")
        .execute(&pool).await.unwrap();
    let found = compared(None).await.unwrap();
    assert_eq!(found.differences, 3, "{found:?}");
    let named: Vec<_> = found.named.iter().map(|difference| difference.table.as_str()).collect();
    assert_eq!(named, ["orders", "order_lines", "order_history"]);
    assert_eq!(found.named[0].key[0], changed.to_string());
    let paid = |row: &Option<serde_json::Value>| row.as_ref().unwrap()["paid"].as_i64().unwrap();
    assert_eq!(paid(&found.named[0].stored), paid(&found.named[0].refolded) + 1);
    assert_eq!((&found.named[1].key[0], &found.named[1].stored), (&gone.to_string().into(), &None));
    assert_eq!(found.named[2].refolded, None);
    are_gone(&pool).await;
    running.stop().await;
    log.server.stop().await;
}

/// The stock, in no hurry.
#[derive(Debug, Clone, Copy, Default)]
struct Slow;

static BEGUN: Semaphore = Semaphore::const_new(0);

impl Projection for Slow {
    const NAME: &'static str = Stock::NAME;
    const VERSION: i32 = Stock::VERSION;
    const WANTS: &'static [&'static str] = Stock::WANTS;
    const TABLES: &'static [&'static str] = Stock::TABLES;
    const STREAM_COLUMN: Option<&'static str> = Stock::STREAM_COLUMN;

    async fn apply(&self, _: &mut sqlx::PgConnection, _: &[Fact]) -> Result<(), ApplyError> {
        BEGUN.add_permits(1);
        std::future::pending().await
    }
}

/// Whoever asked has hung up, or the service has ended.
#[sqlx::test(migrations = "../migrations")]
async fn a_comparison_that_is_broken_off_leaves_nothing(pool: PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(42, 100).log).await;
    let running = Running::start(Stock, &log, &pool);
    running.reach(1, &log).await;
    let database = (*pool.connect_options()).clone();
    let comparing = tokio::spawn(compare(Slow, database, log.store.clone(), Wanted::default()));
    BEGUN.acquire().await.unwrap().forget();
    assert!(!left(&pool).await.is_empty());
    comparing.abort();
    are_gone(&pool).await;
    running.stop().await;
    log.server.stop().await;
}

#[sqlx::test(migrations = false)]
async fn what_older_programs_have_left_is_taken_away(pool: PgPool) {
    let made = "CREATE SCHEMA projection_order_money_compare_0123456789abcdef0123456789abcdef
                CREATE TABLE orders (order_id uuid PRIMARY KEY)";
    sqlx::query(made).execute(&pool).await.unwrap();
    assert_eq!(left(&pool).await.len(), 1);
    projections::migrate(&pool.connect_options()).await.unwrap();
    are_gone(&pool).await;
}
