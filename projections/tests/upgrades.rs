//! Programs with other rules than those by which the tables were filled.

use crate::log::Log;
use crate::shop::Shop;
use crate::supervised::{Running, by_hand, is_filled, make, rows, serves, switch};
use projections::read_models::Stock;
use projections::versions::{self, NewVersion, VersionError};
use projections::{Projection, State};
use sqlx::PgPool;

/// A projection whose rules have changed.
#[derive(Debug, Clone, Copy, Default)]
struct NewStock;

impl Projection for NewStock {
    const NAME: &'static str = Stock::NAME;
    const VERSION: i32 = Stock::VERSION + 1;
    const WANTS: &'static [&'static str] = Stock::WANTS;
    const TABLES: &'static [&'static str] = Stock::TABLES;
    const STREAM_COLUMN: Option<&'static str> = Stock::STREAM_COLUMN;

    async fn apply(
        &self,
        transaction: &mut sqlx::PgConnection,
        facts: &[projections::Fact],
    ) -> Result<(), projections::ApplyError> {
        Stock.apply(transaction, facts).await
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn a_program_with_newer_rules_rebuilds_beside_the_old_rows_and_then_serves(pool: PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(33, 600).log).await;
    let old = Running::start(Stock, &log, &pool);
    old.reach(1, &log).await;
    let served = rows::<Stock>(&pool, "public").await;
    let new = Running::start(NewStock, &log, &pool);
    new.reach(2, &log).await;
    serves::<Stock>(&pool, 2).await;
    assert_eq!(rows::<Stock>(&pool, "public").await, served);
    assert_eq!(rows::<Stock>(&pool, "projection_stock_v1").await, served);
    // The new program fills what it makes by itself, and nothing else.
    let back = switch::<NewStock>(&pool, Some(1)).await;
    assert!(matches!(back, Err(VersionError::OtherRules { version: 1, rules: 1, .. })), "{back:?}");
    new.stop().await;
    // The old program sees that newer rules serve, and says so.
    let told = old.wait_for(|all| all.iter().any(|status| status.version == 2 && !status.is_well())).await;
    assert!(format!("{told:?}").contains("newer rules"), "{told:?}");
    old.stop().await;
    log.server.stop().await;
}

/// A rebuild was under way when a newer program took the place of the one that filled it.
#[sqlx::test(migrations = "../migrations")]
async fn a_program_with_newer_rules_drops_what_older_ones_had_begun(pool: PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(37, 400).log).await;
    let old = Running::start(Stock, &log, &pool);
    old.reach(1, &log).await;
    make::<Stock>(&pool, by_hand::<Stock>()).await;
    old.reach(2, &log).await;
    let new = Running::start(NewStock, &log, &pool);
    new.reach(3, &log).await;
    serves::<Stock>(&pool, 3).await;
    let told = old.wait_for(|all| all.iter().any(|status| status.version == 3 && !status.is_well())).await;
    assert!(told.iter().all(|status| status.version != 2), "{told:?}");
    let left: bool = sqlx::query_scalar("SELECT to_regnamespace('projection_stock_v2') IS NOT NULL")
        .fetch_one(&pool)
        .await
        .unwrap();
    assert!(!left);
    old.stop().await;
    new.stop().await;
    log.server.stop().await;
}

/// The newer program was taken back before it had filled its version.
#[sqlx::test(migrations = "../migrations")]
async fn a_version_of_newer_rules_is_named_and_can_be_abandoned(pool: PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(38, 200).log).await;
    let mut connection = pool.acquire().await.unwrap();
    versions::ensure::<Stock>(&mut connection).await.unwrap();
    let newest = NewVersion { rules: NewStock::VERSION + 1, ..by_hand::<Stock>() };
    make::<Stock>(&pool, newest).await;
    let running = Running::start(NewStock, &log, &pool);
    let is_told = |status: &projections::Status| match &status.state {
        State::Failed { error } => status.version == 2 && error.contains("abandon"),
        _ => false,
    };
    running.wait_for(|all| all.iter().any(is_told)).await;
    let remade = versions::make(&mut connection, "stock", Stock::TABLES, by_hand::<Stock>()).await;
    assert!(matches!(remade, Err(VersionError::NewerRules { version: 2, rules: 3, .. })), "{remade:?}");

    assert_eq!(versions::abandon(&mut connection, "stock").await.unwrap(), 2);
    // What it makes in its place has the same number.
    running.reach(2, &log).await;
    serves::<Stock>(&pool, 2).await;
    running.wait_for(|all| all.iter().all(|status| status.is_well())).await;
    let nothing = versions::abandon(&mut connection, "stock").await;
    assert!(matches!(nothing, Err(VersionError::NotRebuilding(_))), "{nothing:?}");
    running.stop().await;
    log.server.stop().await;
}

/// Its workers are at work while it is taken away from them.
#[sqlx::test(migrations = "../migrations")]
async fn what_is_being_filled_can_be_abandoned_at_any_moment(pool: PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(39, 900).log).await;
    let running = Running::start(Stock, &log, &pool);
    running.reach(1, &log).await;
    let mut connection = pool.acquire().await.unwrap();
    for _ in 0..5 {
        assert_eq!(make::<Stock>(&pool, NewVersion { shards: 2, ..by_hand::<Stock>() }).await, 2);
        running.wait_for(|all| all.iter().any(|status| status.version == 2 && status.applied > 0)).await;
        assert_eq!(versions::abandon(&mut connection, "stock").await.unwrap(), 2);
    }
    assert_eq!(make::<Stock>(&pool, NewVersion { shards: 2, ..by_hand::<Stock>() }).await, 2);
    is_filled::<Stock>(&pool, 2, &log).await;
    assert_eq!(rows::<Stock>(&pool, "public").await, rows::<Stock>(&pool, "projection_stock_v2").await);
    let all = running.board.statuses();
    assert!(all.iter().all(|status| !matches!(status.state, State::Failed { .. })), "{all:?}");
    running.stop().await;
    log.server.stop().await;
}

/// It has the same number, and nobody has looked in between. Nothing more happens in the log.
#[sqlx::test(migrations = "../migrations")]
async fn what_takes_the_place_of_a_version_that_was_full_is_filled(pool: PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(40, 200).log).await;
    let running = Running::start(Stock, &log, &pool);
    running.reach(1, &log).await;
    assert_eq!(make::<Stock>(&pool, by_hand::<Stock>()).await, 2);
    running.reach(2, &log).await;
    let mut transaction = pool.begin().await.unwrap();
    assert_eq!(versions::abandon(&mut transaction, "stock").await.unwrap(), 2);
    let made = versions::make(&mut transaction, "stock", Stock::TABLES, by_hand::<Stock>()).await;
    assert_eq!(made.unwrap(), 2);
    transaction.commit().await.unwrap();
    is_filled::<Stock>(&pool, 2, &log).await;
    assert_eq!(rows::<Stock>(&pool, "public").await, rows::<Stock>(&pool, "projection_stock_v2").await);
    running.stop().await;
    log.server.stop().await;
}
