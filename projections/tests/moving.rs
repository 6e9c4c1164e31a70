//! The tables were filled from one log, and the process follows another one: they are filled again alongside.

use crate::log::Log;
use crate::shop::Shop;
use crate::supervised::{Running, serves};
use api::projections::ProjectionVersion;
use event_store::{EventStore, ExpectedRevision, Origin, RawEvent};
use projections::compare::{Wanted, compare};
use projections::read_models::Stock;
use projections::{Board, Databases, ReadModelArgs, State, Status, overview, versions};
use sqlx::PgPool;
use uuid::Uuid;

/// Positions of the shop's events are others than in a log that has nothing else.
async fn write_something_else(store: &EventStore) {
    let events = (0..7).map(|_| RawEvent {
        id: Uuid::new_v4(),
        event_type: "weather.reported.v1".to_owned(),
        is_json: true,
        data: "{}".into(),
        metadata: "{}".into(),
    });
    store.append_raw("weather-1", ExpectedRevision::NoStream, events.collect()).await.unwrap();
}

/// What an import says at its end.
async fn is_a_copy(copy: &EventStore, original: &EventStore) {
    let origin = Origin { of: Some(original.log_identity().await.unwrap().id()), ..Origin::default() };
    copy.another().end_import(&origin, 0).await.unwrap();
}

/// Says whether the log does not seem to go as far as the tables.
async fn seems_short(pool: &PgPool) -> bool {
    let query = "SELECT bool_or(log_seems_short) FROM projection_checkpoints";
    sqlx::query_scalar(query).fetch_one(pool).await.unwrap()
}

async fn serving(pool: &PgPool, store: &EventStore) -> ProjectionVersion {
    let databases = Databases::new((*pool.connect_options()).clone(), None);
    let views = overview(&databases, store, &Board::default()).await.unwrap();
    let stock = views.into_iter().find(|view| view.name == "stock").unwrap();
    stock.versions.into_iter().find(|version| version.state == versions::VersionState::Serving).unwrap()
}

async fn versions(pool: &PgPool) -> Vec<i32> {
    let all = versions::list(&mut pool.acquire().await.unwrap(), "stock").await.unwrap();
    all.iter().map(|version| version.version).collect()
}

async fn differences(pool: &PgPool, log: &Log) -> u64 {
    let database = (*pool.connect_options()).clone();
    compare(Stock, database, log.store.clone(), Wanted::default()).await.unwrap().differences
}

#[sqlx::test(migrations = "../migrations")]
async fn tables_of_another_log_are_filled_again_alongside(pool: PgPool) {
    let (first, second) = (Log::open().await, Log::open().await);
    first.append(&Shop::after(51, 600).log).await;
    let running = Running::start(Stock, &first, &pool);
    running.reach(1, &first).await;
    running.stop().await;
    assert!(!serving(&pool, &first.store).await.is_of_another_log);

    write_something_else(&second.store).await;
    second.append(&Shop::after(52, 900).log).await;
    is_a_copy(&second.store, &first.store).await;
    let seen = serving(&pool, &second.store).await;
    assert!(seen.is_of_another_log && seen.lag.events > 0, "{seen:?}");
    let refused = compare(Stock, (*pool.connect_options()).clone(), second.store.clone(), Wanted::default());
    assert!(refused.await.unwrap_err().to_string().contains("another log"));
    let running = Running::start(Stock, &second, &pool);
    serves::<Stock>(&pool, 2).await;
    running.reach(2, &second).await;
    running.wait_for(|all| all.iter().all(|status| status.version == 2)).await;
    assert_eq!(differences(&pool, &second).await, 0);
    running.stop().await;

    // Back at the first log, what was filled from it serves again.
    let running = Running::start(Stock, &first, &pool);
    serves::<Stock>(&pool, 1).await;
    assert_eq!(differences(&pool, &first).await, 0);
    running.stop().await;
    first.server.stop().await;
    second.server.stop().await;
}

/// Somebody has forgotten to import the history, or has given a wrong address.
#[sqlx::test(migrations = "../migrations")]
async fn tables_are_not_replaced_by_those_of_a_log_that_is_no_copy(pool: PgPool) {
    let (shop, empty) = (Log::open().await, Log::open().await);
    shop.append(&Shop::after(55, 400).log).await;
    let running = Running::start(Stock, &shop, &pool);
    running.reach(1, &shop).await;
    running.stop().await;

    let (ours, theirs) =
        (shop.store.log_identity().await.unwrap(), empty.store.log_identity().await.unwrap());
    let running = Running::start(Stock, &empty, &pool);
    let statuses = running.wait_for(|all| all.iter().any(|one| one.is_of_another_history().is_some())).await;
    let why = statuses.iter().find_map(Status::is_of_another_history).unwrap();
    for part in [ours.id().to_string(), theirs.id().to_string(), "--replace-read-models".to_owned()] {
        assert!(why.contains(&part), "{why}");
    }
    assert!(statuses.iter().all(|status| !status.is_well()));
    let seen = serving(&pool, &empty.store).await;
    assert!(seen.version == 1 && seen.is_of_another_log, "{seen:?}");
    // The import comes late, and they are filled again.
    let watched = empty.store.clone();
    let watching = tokio::spawn(async move { watched.watch_log(|_| ()).await });
    empty.append(&Shop::after(55, 400).log).await;
    is_a_copy(&empty.store, &shop.store).await;
    serves::<Stock>(&pool, 2).await;
    running.reach(2, &empty).await;
    running.wait_for(|all| all.iter().all(Status::is_well)).await;
    running.stop().await;
    watching.abort();
    shop.server.stop().await;
    empty.server.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn a_new_shop_takes_the_database_of_another_if_somebody_says_so(pool: PgPool) {
    let (shop, new) = (Log::open().await, Log::open().await);
    shop.append(&Shop::after(56, 400).log).await;
    let running = Running::start(Stock, &shop, &pool);
    running.reach(1, &shop).await;
    running.stop().await;

    new.append(&Shop::after(57, 200).log).await;
    let replacing = ReadModelArgs { replace_read_models: true };
    let running = Running::start_with(Stock, &new, &pool, replacing);
    serves::<Stock>(&pool, 2).await;
    running.stop().await;
    // Once is enough.
    let running = Running::start(Stock, &new, &pool);
    running.reach(2, &new).await;
    assert_eq!(differences(&pool, &new).await, 0);
    running.stop().await;
    shop.server.stop().await;
    new.server.stop().await;
}

/// Two shops have been given one database, and one is a copy of the other: each would go on replacing the other's tables.
#[sqlx::test(migrations = "../migrations")]
async fn tables_that_another_service_keeps_up_to_date_are_left_to_it(pool: PgPool) {
    let (first, second) = (Log::open().await, Log::open().await);
    let events = Shop::after(59, 300).log;
    first.append(&events).await;
    let theirs = Running::start(Stock, &first, &pool);
    theirs.reach(1, &first).await;

    second.append(&events).await;
    is_a_copy(&second.store, &first.store).await;
    let (first_id, second_id) =
        (first.store.log_identity().await.unwrap(), second.store.log_identity().await.unwrap());
    // Not even a new shop takes a database over in which somebody is at work.
    let replacing = ReadModelArgs { replace_read_models: true };
    for read_models in [ReadModelArgs::default(), replacing] {
        let ours = Running::start_with(Stock, &second, &pool, read_models);
        let statuses = ours.wait_for(|all| all.iter().any(|one| one.is_of_another_history().is_some())).await;
        let why = statuses.iter().find_map(Status::is_of_another_history).unwrap();
        for part in
            [&first_id.id().to_string(), &second_id.id().to_string(), "another service", "DATABASE_URL"]
        {
            assert!(why.contains(part), "{why}");
        }
        assert!(statuses.iter().all(|status| !status.is_well()));
        assert_eq!(versions(&pool).await, [1]);
        ours.stop().await;
    }
    assert!(theirs.board.statuses().iter().all(Status::is_well), "{:?}", theirs.board.statuses());

    // The other one ends: the shop has only moved.
    let ours = Running::start(Stock, &second, &pool);
    ours.wait_for(|all| all.iter().any(|one| one.is_of_another_history().is_some())).await;
    theirs.stop().await;
    serves::<Stock>(&pool, 2).await;
    ours.reach(2, &second).await;
    ours.wait_for(|all| all.iter().all(Status::is_well)).await;
    // Now it is the other one's turn to leave them alone.
    let theirs = Running::start(Stock, &first, &pool);
    theirs.wait_for(|all| all.iter().any(|one| one.is_of_another_history().is_some())).await;
    assert_eq!(serving(&pool, &second.store).await.version, 2);
    theirs.stop().await;
    ours.stop().await;
    first.server.stop().await;
    second.server.stop().await;
}

/// Tables from before logs had ids know the first event, and a copy of the log has that too.
#[sqlx::test(migrations = "../migrations")]
async fn old_tables_are_followed_in_their_own_log_and_not_in_a_copy(pool: PgPool) {
    let events = Shop::after(53, 400).log;
    let (log, copy) = (Log::open().await, Log::open().await);
    log.append(&events).await;
    let running = Running::start(Stock, &log, &pool);
    running.reach(1, &log).await;
    running.stop().await;
    let first = log.read().await[0].id;
    // As an earlier program left them, which gave the log no id: what it had applied was before that.
    sqlx::query("UPDATE projection_versions SET log_id = NULL").execute(&pool).await.unwrap();
    sqlx::query("UPDATE projection_checkpoints SET event_id = NULL, position = position - 1")
        .execute(&pool)
        .await
        .unwrap();
    sqlx::query("INSERT INTO event_log (first_event_id) VALUES ($1)")
        .bind(first)
        .execute(&pool)
        .await
        .unwrap();

    copy.store.log_identity().await.unwrap();
    copy.append(&events).await;
    assert!(serving(&pool, &copy.store).await.is_of_another_log);
    let running = Running::start(Stock, &copy, &pool);
    serves::<Stock>(&pool, 2).await;
    running.stop().await;
    let running = Running::start(Stock, &log, &pool);
    serves::<Stock>(&pool, 1).await;
    running.stop().await;
    log.server.stop().await;
    copy.server.stop().await;
}

#[sqlx::test(migrations = "../migrations")]
async fn tables_that_know_more_than_a_restored_log_are_filled_again(pool: PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(54, 400).log).await;
    let running = Running::start(Stock, &log, &pool);
    running.reach(1, &log).await;
    running.stop().await;
    // What was applied last is not what is at its place now.
    sqlx::query("UPDATE projection_checkpoints SET event_id = gen_random_uuid()")
        .execute(&pool)
        .await
        .unwrap();
    let running = Running::start(Stock, &log, &pool);
    serves::<Stock>(&pool, 2).await;
    running.reach(2, &log).await;
    assert_eq!(differences(&pool, &log).await, 0);
    running.stop().await;
    log.server.stop().await;
}

/// It takes seconds to tell a log that has lost its end from a node that is behind. Until then, nobody takes the rows for what
/// is in the log.
#[sqlx::test(migrations = "../migrations")]
async fn tables_that_are_ahead_of_the_log_are_not_shown_as_its_own(pool: PgPool) {
    let log = Log::open().await;
    log.append(&Shop::after(58, 400).log).await;
    let running = Running::start(Stock, &log, &pool);
    running.reach(1, &log).await;
    running.stop().await;
    let ahead = i64::try_from(log.head().await.value()).unwrap() + 7;
    let set = "UPDATE projection_checkpoints SET position = $1, event_id = NULL";
    sqlx::query(set).bind(ahead).execute(&pool).await.unwrap();

    let is_short = |status: &Status| match &status.state {
        State::LogSeemsShort { error } => error.contains(&format!("position {ahead} ")),
        _ => false,
    };
    let running = Running::start(Stock, &log, &pool);
    running.wait_for(|all| all.iter().any(is_short)).await;
    assert!(seems_short(&pool).await && serving(&pool, &log.store).await.is_of_another_log);
    // The node was only behind.
    write_something_else(&log.store).await;
    running.wait_for(|all| all.iter().all(|status| status.state == State::Running)).await;
    assert!(!seems_short(&pool).await && !serving(&pool, &log.store).await.is_of_another_log);
    running.stop().await;

    // The log has lost its end.
    sqlx::query(set).bind(i64::MAX).execute(&pool).await.unwrap();
    let running = Running::start(Stock, &log, &pool);
    serves::<Stock>(&pool, 2).await;
    running.reach(2, &log).await;
    assert!(!serving(&pool, &log.store).await.is_of_another_log);
    running.stop().await;
    log.server.stop().await;
}
