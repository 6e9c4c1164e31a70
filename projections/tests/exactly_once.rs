//! Each event counts exactly once: repeated, cut in any way, after a crash, with two runners.

use crate::shop::Shop;
use crate::tables::{checkpoint, dump, empty, position, project, project_all, project_from, share, wanted};
use projections::read_models::{
    AnalyticsCarts, AnalyticsOrders, AnalyticsSales, AnalyticsStock, Carts, Orders, Products, Sales, Stock,
    Trail,
};
use projections::{ADVANCED_CHANNEL, Batch, Projection, StepError, advance, step};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::postgres::PgListener;
use sqlx::{Connection, PgPool};
use std::time::Duration;

#[sqlx::test(migrations = "../migrations")]
async fn any_cut_into_batches_gives_the_same_rows(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    for seed in 0..4 {
        let log = Shop::after(seed, 1_500).log;
        empty(&mut connection).await;
        project_all(&mut connection, &log).await.unwrap();
        let in_one = dump(&mut connection).await;
        for (cuts, longest) in [(1, 3), (2, 40), (3, 400)] {
            let mut random = StdRng::seed_from_u64(seed * 10 + cuts);
            empty(&mut connection).await;
            let mut rest = log.as_slice();
            while !rest.is_empty() {
                let (part, after) = rest.split_at(random.random_range(1..=longest).min(rest.len()));
                project_all(&mut connection, part).await.unwrap();
                rest = after;
            }
            assert_eq!(dump(&mut connection).await, in_one, "seed {seed}, batches of at most {longest}");
        }
    }
}

#[sqlx::test(migrations = "../migrations")]
async fn the_same_events_twice_change_nothing(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let log = Shop::after(7, 1_000).log;
    let (first, second) = log.split_at(log.len() / 2);
    project_all(&mut connection, first).await.unwrap();
    project_all(&mut connection, second).await.unwrap();
    let once = dump(&mut connection).await;
    project_all(&mut connection, second).await.unwrap();
    project_all(&mut connection, first).await.unwrap();
    project_all(&mut connection, &log).await.unwrap();
    assert_eq!(dump(&mut connection).await, once);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_batch_that_overlaps_what_is_applied_adds_only_the_rest(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let log = Shop::after(8, 1_000).log;
    project_all(&mut connection, &log).await.unwrap();
    let in_one = dump(&mut connection).await;
    empty(&mut connection).await;
    project_all(&mut connection, &log[..log.len() / 3]).await.unwrap();
    project_all(&mut connection, &log).await.unwrap();
    assert_eq!(dump(&mut connection).await, in_one);
}

async fn crash_between_effect_and_checkpoint<P: Projection>(pool: &PgPool, projection: P) {
    let log = Shop::after(11, 800).log;
    let (before, after) = log.split_at(log.len() / 2);
    let mut connection = pool.acquire().await.unwrap();
    empty(&mut connection).await;
    project(&projection, &mut connection, before).await.unwrap();
    let stored = dump(&mut connection).await;
    let from = checkpoint::<P>(&mut connection).await.unwrap();

    // All of a step but its end: the effect and the checkpoint are written, and then the power goes.
    let mut transaction = connection.begin().await.unwrap();
    advance(&mut transaction, &share::<P>(), from, position(after.last().unwrap()), 1).await.unwrap();
    projection.apply(&mut transaction, &wanted::<P>(after)).await.unwrap();
    assert_ne!(dump(&mut transaction).await, stored);
    drop(transaction);

    assert_eq!(dump(&mut connection).await, stored);
    project_from(&projection, &mut connection, from, after).await.unwrap();
    let recovered = dump(&mut connection).await;
    empty(&mut connection).await;
    project(&projection, &mut connection, before).await.unwrap();
    project(&projection, &mut connection, after).await.unwrap();
    assert_eq!(recovered, dump(&mut connection).await);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_crash_before_the_commit_leaves_nothing(pool: PgPool) {
    crash_between_effect_and_checkpoint(&pool, Products).await;
    crash_between_effect_and_checkpoint(&pool, Carts).await;
    crash_between_effect_and_checkpoint(&pool, Orders).await;
    crash_between_effect_and_checkpoint(&pool, Stock).await;
    crash_between_effect_and_checkpoint(&pool, Sales).await;
    crash_between_effect_and_checkpoint(&pool, AnalyticsSales).await;
    crash_between_effect_and_checkpoint(&pool, AnalyticsOrders).await;
    crash_between_effect_and_checkpoint(&pool, AnalyticsCarts).await;
    crash_between_effect_and_checkpoint(&pool, AnalyticsStock).await;
    crash_between_effect_and_checkpoint(&pool, Trail).await;
}

#[sqlx::test(migrations = "../migrations")]
async fn of_two_runners_one_loses_and_nothing_counts_twice(pool: PgPool) {
    let log = Shop::after(13, 800).log;
    let mut one = pool.acquire().await.unwrap();
    let mut other = pool.acquire().await.unwrap();
    project_all(&mut one, &log).await.unwrap();
    let alone = dump(&mut one).await;
    empty(&mut one).await;

    let half = log.len() / 2;
    project_all(&mut one, &log[..half]).await.unwrap();
    let from = checkpoint::<Stock>(&mut one).await.unwrap();
    let (first, second) = tokio::join!(
        project_from(&Stock, &mut one, from, &log[half..]),
        project_from(&Stock, &mut other, from, &log[half..]),
    );
    let outcomes = [first, second];
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{outcomes:?}");
    assert!(
        outcomes.iter().any(|outcome| matches!(outcome, Err(StepError::OwnershipLost { name: "stock", .. }))),
        "{outcomes:?}"
    );
    project_all(&mut one, &log).await.unwrap();
    assert_eq!(dump(&mut one).await, alone);
}

#[sqlx::test(migrations = "../migrations")]
async fn a_database_that_lost_its_newest_commits_is_told_from_a_second_runner(pool: PgPool) {
    let mut connection = pool.acquire().await.unwrap();
    let log = Shop::after(17, 100).log;
    project(&Stock, &mut connection, &log[..20]).await.unwrap();
    let ahead = Some(position(&log[40]));
    let outcome = project_from(&Stock, &mut connection, ahead, &log[41..]).await;
    assert!(matches!(outcome, Err(StepError::WentBack { .. })), "{outcome:?}");
}

#[sqlx::test(migrations = "../migrations")]
async fn events_that_are_not_wanted_move_the_checkpoint_and_say_so(pool: PgPool) {
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen(ADVANCED_CHANNEL).await.unwrap();
    let mut connection = pool.acquire().await.unwrap();
    let from = checkpoint::<Sales>(&mut connection).await.unwrap();
    assert_eq!(from, None);
    let upto = |upto| Batch { upto, ..Batch::default() };
    step(&Sales, &mut connection, &share::<Sales>(), from, &upto(0)).await.unwrap();
    step(&Sales, &mut connection, &share::<Sales>(), Some(0), &upto(4_711)).await.unwrap();
    assert_eq!(checkpoint::<Sales>(&mut connection).await.unwrap(), Some(4_711));
    for announced in ["sales:1:0:0", "sales:1:0:4711"] {
        let notification = tokio::time::timeout(Duration::from_secs(10), listener.recv()).await;
        assert_eq!(notification.unwrap().unwrap().payload(), announced);
    }
}
