//! The database of the shop's pages: its connections are given out in turn.

mod turns;

use crate::answer::failed_query;
use axum::http::StatusCode;
use clap::Args;
use futures::FutureExt;
use http_boundary::{Client, Health, Problem};
use prometheus_client::metrics::gauge::Gauge;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres};
use std::ops::{Deref, DerefMut};
use std::time::Duration;
use turns::{Full, Turn, Turns, Waiting};

/// How many may wait of one connection: a browser asks for a few things at once.
const WAITING_OF_A_CONNECTION: usize = 64;
/// How long a question waits for its turn. It comes sooner unless the database is away or very slow.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// How many queries are held while the database answers others.
#[derive(Debug, Clone, Args)]
pub struct DatabaseArgs {
    /// Queries that may wait until the database has answered others, half of them from one address: beyond it they are
    /// refused with 503
    #[arg(long, env = "EMPORIUM_QUERIES_WAITING", default_value_t = Self::QUERIES_WAITING, value_name = "N")]
    pub queries_waiting: usize,
}

impl DatabaseArgs {
    /// Some milliseconds' worth of small queries, and some megabytes of memory.
    pub const QUERIES_WAITING: usize = 2_000;
}

impl Default for DatabaseArgs {
    fn default() -> Self {
        Self { queries_waiting: Self::QUERIES_WAITING }
    }
}

/// The read models. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Database {
    pool: PgPool,
    turns: Turns,
}

/// A connection to the read models, with the turn of the one who asked. Given back when dropped.
pub struct Connection {
    connection: PoolConnection<Postgres>,
    _turn: Turn,
}

impl Database {
    /// Places for as many as the pool has connections for.
    pub fn new(pool: PgPool, places: u32, args: &DatabaseArgs, health: &Health) -> Self {
        let at_most = Waiting {
            of_a_connection: WAITING_OF_A_CONNECTION,
            of_an_address: args.queries_waiting.div_ceil(2),
            of_all: args.queries_waiting,
        };
        let turns = Turns::new(usize::try_from(places).unwrap_or(1), at_most);
        let gauge = Gauge::<i64>::default();
        let help = "Queries that wait until the database has answered others";
        health.metrics().register(|registry| registry.register("queries_waiting", help, gauge.clone()));
        let looked_at = turns.clone();
        health.metrics().refresh(move || {
            gauge.set(i64::try_from(looked_at.waiting()).unwrap_or(i64::MAX));
            async {}.boxed()
        });
        Self { pool, turns }
    }

    /// A connection, when it is this client's turn.
    ///
    /// # Errors
    /// 503 `overloaded` when too many wait, 503 `unavailable` when the database is away.
    pub async fn connection(&self, client: Client) -> Result<Connection, Problem> {
        let turn = tokio::time::timeout(TURN_WITHIN, self.turns.take(client)).await;
        let turn = turn.map_err(|_| overloaded())?.map_err(|Full| overloaded())?;
        let connection = self.pool.acquire().await.map_err(failed_query)?;
        Ok(Connection { connection, _turn: turn })
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl Deref for Connection {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl DerefMut for Connection {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

fn overloaded() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "overloaded",
        "Too many queries wait",
        "More is asked than the database can answer: ask again in a moment.",
    )
    .retry_after(1)
}
