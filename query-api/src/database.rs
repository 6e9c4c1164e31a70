//! The database of the shop's pages: its connections are given out in turn.

use crate::answer::failed_query;
use api::problem;
use clap::Args;
use futures::FutureExt;
use http_boundary::{Client, Health, Problem, Turn, TurnLimits, Turns};
use prometheus_client::metrics::gauge::Gauge;
use sqlx::pool::PoolConnection;
use sqlx::{PgConnection, PgPool, Postgres, Transaction};
use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::{Deref, DerefMut};
use std::time::Duration;

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

    /// Queries that the database answers at once; the others wait, in turn by address. The default is three for each
    /// processor, and 15 at most
    #[arg(long, env = "EMPORIUM_QUERIES_AT_ONCE", default_value_t = Self::queries_at_once(), value_name = "N")]
    pub queries_at_once: NonZeroU32,

    /// Queries that the database answers at once for busy connections of one address: those that send more than a person
    /// does. Their other queries wait, and leave the processor to others
    #[arg(long, env = "EMPORIUM_QUERIES_AT_ONCE_BY_BUSY_ADDRESS", default_value_t = Self::QUERIES_AT_ONCE, value_name = "N")]
    pub queries_at_once_by_busy_address: usize,

    /// The same for the busy connections of all addresses together. The default is one for two processors
    #[arg(long, env = "EMPORIUM_QUERIES_AT_ONCE_BY_THE_BUSY", default_value_t = Self::by_the_busy(), value_name = "N")]
    pub queries_at_once_by_the_busy: usize,
}

impl DatabaseArgs {
    /// Some milliseconds' worth of small queries, and some megabytes of memory.
    pub const QUERIES_WAITING: usize = 2_000;
    const QUERIES_AT_ONCE: usize = 2;
    const MOST_AT_ONCE: u32 = 15;
    /// More at once than processors serve none sooner, and leave less of them to each, and to commands.
    const AT_ONCE_BY_PROCESSOR: u32 = 3;

    /// As many as processors would leave none of them to others.
    fn by_the_busy() -> usize {
        (Self::processors() / 2).max(1)
    }

    fn processors() -> usize {
        std::thread::available_parallelism().map_or(1, NonZeroUsize::get)
    }

    fn queries_at_once() -> NonZeroU32 {
        let processors = Self::processors();
        let at_once =
            u32::try_from(processors).unwrap_or(u32::MAX).saturating_mul(Self::AT_ONCE_BY_PROCESSOR);
        NonZeroU32::new(at_once.min(Self::MOST_AT_ONCE)).unwrap_or(NonZeroU32::MIN)
    }
}

impl Default for DatabaseArgs {
    fn default() -> Self {
        Self {
            queries_waiting: Self::QUERIES_WAITING,
            queries_at_once: Self::queries_at_once(),
            queries_at_once_by_busy_address: Self::QUERIES_AT_ONCE,
            queries_at_once_by_the_busy: Self::by_the_busy(),
        }
    }
}

/// The read models. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Database {
    pool: PgPool,
    turns: Turns,
}

/// A connection to the read models.
pub type Connection = OnTurn<PoolConnection<Postgres>>;
/// The read models as they are at one moment.
pub type Snapshot = OnTurn<Transaction<'static, Postgres>>;

/// A way to the read models with the turn of the client that asked. Both are given back when it is dropped.
pub struct OnTurn<C> {
    connection: C,
    _turn: Turn,
}

impl Database {
    /// The pool has to have a connection for each query that is answered at once.
    pub fn new(pool: PgPool, args: &DatabaseArgs, health: &Health) -> Self {
        let turns = Turns::new(TurnLimits {
            places: usize::try_from(args.queries_at_once.get()).unwrap_or(1),
            places_of_a_busy_address: args.queries_at_once_by_busy_address,
            places_of_the_busy: args.queries_at_once_by_the_busy,
            waiting_of_a_connection: WAITING_OF_A_CONNECTION,
            waiting_of_an_address: args.queries_waiting.div_ceil(2),
            waiting: args.queries_waiting,
            patience: TURN_WITHIN,
        });
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
        let turn = self.turns.take(client).await.map_err(|_| overloaded())?;
        let connection = self.pool.acquire().await.map_err(failed_query)?;
        Ok(OnTurn { connection, _turn: turn })
    }

    /// A moment of the read models, when it is this client's turn: `begin` is a `BEGIN` that names the isolation.
    ///
    /// A task of its own begins it, because a request ends wherever its client goes away. A transaction that is left while
    /// it begins stays open on its connection, without sqlx knowing of it (0.9.0): the next
    /// request on that connection would see the past, and nothing that was written since.
    ///
    /// # Errors
    /// As for [`Database::connection`].
    pub async fn snapshot(&self, client: Client, begin: &'static str) -> Result<Snapshot, Problem> {
        let turn = self.turns.take(client).await.map_err(|_| overloaded())?;
        let pool = self.pool.clone();
        let beginning = tokio::spawn(async move {
            let connection = pool.begin_with(begin).await.map_err(failed_query)?;
            Ok(OnTurn { connection, _turn: turn })
        });
        beginning.await.unwrap_or_else(|_| Err(Problem::internal()))
    }

    /// Ends all connections.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

impl<C: Deref<Target = PgConnection>> Deref for OnTurn<C> {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        &self.connection
    }
}

impl<C: DerefMut<Target = PgConnection>> DerefMut for OnTurn<C> {
    fn deref_mut(&mut self) -> &mut PgConnection {
        &mut self.connection
    }
}

fn overloaded() -> Problem {
    Problem::new(problem::OVERLOADED, "More is asked than the database can answer: ask again in a moment.")
        .retry_after(1)
}

#[cfg(test)]
mod tests;
