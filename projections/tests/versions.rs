//! Versions of a projection's tables side by side: rebuilt while the old ones serve, switched, taken back; shared out
//! to shards; and parked streams taken up again.

use crate::log::{Log, new_event};
use crate::shop::Shop;
use crate::supervised::{PATIENCE, Running, by_hand, make, rows, switch};
use crate::tables::{checkpoint, project};
use event_store::{ExpectedRevision, RecordedEvent};
use projections::Projection;
use projections::read_models::{AnalyticsSales, Orders, Sales, Stock};
use projections::versions::{self, NewVersion, VersionError};
use sqlx::PgPool;

#[sqlx::test(migrations = "../migrations")]
async fn a_version_is_rebuilt_while_another_serves_and_is_switched_and_taken_back(pool: PgPool) {
    let log = Log::open().await;
    let events = Shop::after(31, 1_200).log;
    let parts: Vec<_> = events.chunks(events.len().div_ceil(4)).collect();
    log.append(parts[0]).await;
    let running = Running::start(Orders, &log, &pool);
    running.reach(1, &log).await;
    assert!(matches!(switch::<Orders>(&pool, None).await, Err(VersionError::NoOther(_))));
    assert_eq!(make::<Orders>(&pool, by_hand::<Orders>()).await, 2);
    let again =
        versions::make(&mut pool.acquire().await.unwrap(), "orders", Orders::TABLES, by_hand::<Orders>())
            .await;
    assert!(matches!(again, Err(VersionError::Rebuilding { version: 2, .. })), "{again:?}");
    // Both follow while the log grows.
    log.append(parts[1]).await;
    running.reach(1, &log).await;
    running.reach(2, &log).await;
    assert_eq!(rows::<Orders>(&pool, "public").await, rows::<Orders>(&pool, "projection_orders_v2").await);

    assert_eq!(switch::<Orders>(&pool, None).await.unwrap(), 2);
    log.append(parts[2]).await;
    running.reach(1, &log).await;
    running.reach(2, &log).await;
    assert_eq!(rows::<Orders>(&pool, "public").await, rows::<Orders>(&pool, "projection_orders_v1").await);
    assert!(matches!(switch::<Orders>(&pool, Some(2)).await, Err(VersionError::Serves { version: 2, .. })));
    assert!(matches!(
        switch::<Orders>(&pool, Some(7)).await,
        Err(VersionError::UnknownVersion { version: 7, .. })
    ));

    assert_eq!(switch::<Orders>(&pool, None).await.unwrap(), 1);
    log.append(parts[3]).await;
    running.reach(1, &log).await;
    running.reach(2, &log).await;
    let served = rows::<Orders>(&pool, "public").await;
    assert_eq!(served, rows::<Orders>(&pool, "projection_orders_v2").await);
    // The next rebuild drops what is on standby.
    assert_eq!(make::<Orders>(&pool, by_hand::<Orders>()).await, 3);
    running.reach(3, &log).await;
    running.wait_for(|all| all.iter().all(|status| status.version != 2)).await;
    assert_eq!(served, rows::<Orders>(&pool, "projection_orders_v3").await);
    running.stop().await;
    log.server.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_version_that_is_behind_does_not_serve(pool: PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(32, 200).log).await;
    let mut connection = pool.acquire().await.unwrap();
    project(&Stock, &mut connection, &log.read().await).await.unwrap();
    make::<Stock>(&pool, by_hand::<Stock>()).await;
    let behind = switch::<Stock>(&pool, Some(2)).await;
    assert!(matches!(behind, Err(VersionError::Behind { version: 2, reached: None, .. })), "{behind:?}");
    log.server.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn shards_fill_a_version_together(pool: PgPool) {
    fill_in_shards(Sales, &pool).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn shards_of_analytics_add_up_too(pool: PgPool) {
    fill_in_shards(AnalyticsSales, &pool).await;
}

async fn fill_in_shards<P: Projection>(projection: P, pool: &PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(34, 900).log).await;
    let one = Running::start(projection, &log, pool);
    one.reach(1, &log).await;
    make::<P>(pool, NewVersion { shards: 3, ..by_hand::<P>() }).await;
    let other = Running::start(projection, &log, pool);
    one.wait_for(|all| all.iter().filter(|status| status.version == 2).count() == 3).await;
    let mut connection = pool.acquire().await.unwrap();
    let head = i64::try_from(log.head().await.value()).unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let all = versions::list(&mut connection, P::NAME).await.unwrap();
        if all.iter().any(|version| version.version == 2 && version.position >= Some(head)) {
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{all:?}");
    }
    let built = format!("projection_{}_v2", P::NAME);
    assert_eq!(rows::<P>(pool, "public").await, rows::<P>(pool, &built).await);
    other.stop().await;
    one.stop().await;
    log.server.stop().await;
}

async fn ask(pool: &PgPool, what: &str) {
    sqlx::query("UPDATE parked_streams SET asked = $1, asked_by = 'operator', reason = 'of the future'")
        .bind(what)
        .execute(pool)
        .await
        .unwrap();
    sqlx::query("SELECT pg_notify('projection_versions', 'orders')").execute(pool).await.unwrap();
}

#[sqlx::test(migrations = "../migrations")]
async fn a_parked_stream_is_taken_up_again_when_it_is_mended_or_the_event_is_skipped(pool: PgPool) {
    let log = Log::open().await;
    let events = Shop::after(35, 600).log;
    let called_off = events.iter().find(|event| event.event_type == "order.cancelled.v1").unwrap();
    let is_placed = |event: &&RecordedEvent| event.event_type == "order.placed.v1";
    let placed = events.iter().filter(is_placed).find(|event| event.stream == called_off.stream).unwrap();
    let (of_it, others): (Vec<_>, Vec<_>) =
        events.iter().cloned().partition(|event: &RecordedEvent| event.stream == placed.stream);
    assert!(of_it.len() > 2);
    log.append(&of_it[..1]).await;
    let of_the_future = new_event("order.paid.v99", b"{}".to_vec(), &events[0]);
    log.store.append(&placed.stream, ExpectedRevision::Exact(0), vec![of_the_future]).await.unwrap();
    log.append(&others).await;
    // What the stream has after the event that cannot be read.
    for (event, revision) in of_it[1..].iter().zip(1_u64..) {
        let moved = RecordedEvent { revision: revision + 1, ..event.clone() };
        log.append(&[moved]).await;
    }
    let running = Running::start(Orders, &log, &pool);
    running.reach(1, &log).await;
    running.wait_for(|all| all.iter().all(|status| status.parked == 1)).await;
    let waiting: i64 =
        sqlx::query_scalar("SELECT waiting FROM parked_streams").fetch_one(&pool).await.unwrap();
    assert_eq!(waiting, i64::try_from(of_it.len()).unwrap());

    // Nothing is mended: it stands still where it stood.
    ask(&pool, "retry").await;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while sqlx::query_scalar::<_, bool>("SELECT asked IS NOT NULL FROM parked_streams")
        .fetch_one(&pool)
        .await
        .unwrap()
    {
        assert!(tokio::time::Instant::now() < deadline, "nobody has tried again");
    }
    running.wait_for(|all| all.iter().all(|status| status.parked == 1)).await;

    ask(&pool, "skip").await;
    running.wait_for(|all| all.iter().all(|status| status.parked == 0)).await;
    running.reach(1, &log).await;
    let skipped: Vec<(String, i64, String, String)> =
        sqlx::query_as("SELECT stream, revision, reason, skipped_by FROM skipped_events")
            .fetch_all(&pool)
            .await
            .unwrap();
    assert_eq!(skipped, [(placed.stream.clone(), 1, "of the future".to_owned(), "operator".to_owned())]);
    let status: String = sqlx::query_scalar("SELECT status FROM orders WHERE 'order-' || order_id = $1")
        .bind(&placed.stream)
        .fetch_one(&pool)
        .await
        .unwrap();
    assert_eq!(status, "cancelled", "what comes after the skipped event is applied");
    running.stop().await;
    let mut connection = pool.acquire().await.unwrap();
    assert_eq!(
        checkpoint::<Orders>(&mut connection).await.unwrap().map(|at| at.unsigned_abs()),
        Some(log.head().await.value())
    );
    log.server.stop().await;
}
