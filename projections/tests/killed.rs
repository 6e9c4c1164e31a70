//! The service itself, killed with -9 wherever it is, over and over: in the end every figure is that of a fold that
//! knows nothing of it.

use crate::log::Log;
use crate::same_as_the_domain;
use crate::shop::Shop;
use crate::tables::dump;
use projections::compare::Wanted;
use projections::{ADVANCED_CHANNEL, ALL, stored_position};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use sqlx::PgPool;
use sqlx::postgres::PgListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

const SEED: u64 = 20_111_209;
/// Rounds of an ordinary test run; EMPORIUM_KILLS sets another number.
const ROUNDS: usize = 5;
/// What the shop lives through in each round.
const DEEDS: usize = 250;
/// Without a word for so long it has nothing more to do, and is killed then.
const SILENCE: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(60);

/// The binary, which ends with the test.
struct Service(Child);

impl Service {
    fn start(log: &Log, database_url: &str) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_projections"))
            .env("EMPORIUM_LISTEN", "127.0.0.1:0")
            .env("EMPORIUM_EVENT_STORE", log.server.connection_string())
            .env("EMPORIUM_OPERATOR_TOKEN", "nobody asks")
            .env("DATABASE_URL", database_url)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Self(child.unwrap())
    }

    /// kill -9: it hears nothing of it.
    fn kill(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
    }
}

/// The next announcement of a checkpoint; false when there is none for a while.
async fn heard(listener: &mut PgListener) -> bool {
    tokio::time::timeout(SILENCE, listener.recv()).await.is_ok_and(|announced| announced.is_ok())
}

/// Some moment: while it starts, or after so many transactions, and then anywhere in the next ones.
async fn some_moment(listener: &mut PgListener, random: &mut StdRng) {
    if random.random_ratio(2, 3) {
        for _ in 0..random.random_range(1..40) {
            if !heard(listener).await {
                return;
            }
        }
        tokio::time::sleep(Duration::from_micros(random.random_range(0..15_000))).await;
    } else {
        tokio::time::sleep(Duration::from_millis(random.random_range(0..600))).await;
    }
}

/// How far the projection that is furthest behind has come.
async fn slowest(pool: &PgPool) -> Option<i64> {
    let positions: Vec<Option<i64>> =
        sqlx::query_scalar("SELECT position FROM projection_checkpoints").fetch_all(pool).await.unwrap();
    // Each has a checkpoint once it was at work.
    if positions.len() < ALL.len() { None } else { positions.into_iter().min().flatten() }
}

/// The test's own database on the server that DATABASE_URL names.
fn database_url(pool: &PgPool) -> String {
    let server = std::env::var("DATABASE_URL").unwrap();
    let (address, options) = server.split_once('?').unwrap_or((&server, ""));
    let (server, _) = address.rsplit_once('/').unwrap();
    let connect = pool.connect_options();
    format!("{server}/{}?{options}", connect.get_database().unwrap())
}

#[sqlx::test(migrations = "../migrations")]
async fn killed_anywhere_every_figure_is_that_of_an_independent_fold(pool: PgPool) {
    let rounds = std::env::var("EMPORIUM_KILLS").map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let shop = Shop::after(SEED, rounds * DEEDS);
    let log = Log::open().await;
    let database_url = database_url(&pool);
    let mut random = StdRng::seed_from_u64(SEED);
    let mut listener = PgListener::connect_with(&pool).await.unwrap();
    listener.listen(ADVANCED_CHANNEL).await.unwrap();
    let (mut rest, mut at_work) = (shop.log.as_slice(), 0);
    for round in 0..rounds {
        let (part, after) = rest.split_at(rest.len() / (rounds - round));
        rest = after;
        // What was there before is applied in large batches, what comes meanwhile in small ones.
        let (before, meanwhile) = part.split_at(random.random_range(0..=part.len()));
        log.append(before).await;
        let mut service = Service::start(&log, &database_url);
        tokio::join!(log.append(meanwhile), some_moment(&mut listener, &mut random));
        service.kill();
        at_work += usize::from(slowest(&pool).await < stored_position(log.head().await));
    }
    assert!(at_work * 4 > rounds, "of {rounds} kills only {at_work} came while there was something to do");

    let mut service = Service::start(&log, &database_url);
    let head = stored_position(log.head().await);
    let caught_up = async {
        while slowest(&pool).await < head {
            heard(&mut listener).await;
        }
    };
    tokio::time::timeout(DEADLINE, caught_up).await.expect("it catches up in time");
    service.kill();
    println!("{rounds} kills, {at_work} of them while there was something to do; {} events", shop.log.len());

    let parked: i64 =
        sqlx::query_scalar("SELECT count(*) FROM parked_streams").fetch_one(&pool).await.unwrap();
    assert_eq!(parked, 0);
    let tables = dump(&mut pool.acquire().await.unwrap()).await;
    same_as_the_domain::assert_all(&shop, &tables);
    // And every column of every row, by the projections' own rules.
    for entry in ALL {
        let database = (*pool.connect_options()).clone();
        let same = (entry.compare)(database, log.store.clone(), Wanted::default()).await.unwrap();
        assert_eq!(same.differences, 0, "{same:?}");
    }
}
