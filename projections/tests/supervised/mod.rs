//! A projection as the service runs it: a supervisor with the workers of all versions.

use crate::log::Log;
use projections::versions::{self, NewVersion, Switch, Version, VersionError, VersionState};
use projections::{Board, Projection, ReadModelArgs, Status, Supervisor};
use sqlx::{AssertSqlSafe, PgPool};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Running {
    pub board: Board,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    pub fn start<P: Projection>(projection: P, log: &Log, pool: &PgPool) -> Self {
        Self::start_with(projection, log, pool, ReadModelArgs::default())
    }

    pub fn start_with<P: Projection>(
        projection: P,
        log: &Log,
        pool: &PgPool,
        read_models: ReadModelArgs,
    ) -> Self {
        let (board, stop) = (Board::default(), CancellationToken::new());
        let database = (*pool.connect_options()).clone();
        let supervisor = Supervisor::new(projection, log.store.clone(), database, board.clone(), read_models);
        let task = tokio::spawn(supervisor.run(stop.clone()));
        Self { board, stop, task }
    }

    pub async fn wait_for(&self, is_so: impl Fn(&[Status]) -> bool) -> Vec<Status> {
        let waited = tokio::time::timeout(PATIENCE, self.board.wait_for(is_so)).await;
        waited.unwrap_or_else(|_| panic!("waited in vain: {:?}", self.board.statuses()))
    }

    /// All shards of the version have come to the log's end.
    pub async fn reach(&self, version: i32, log: &Log) {
        let head = log.head().await;
        self.wait_for(|all| {
            let mut mine = all.iter().filter(|status| status.version == version).peekable();
            mine.peek().is_some() && mine.all(|status| status.position >= Some(head))
        })
        .await;
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

/// Every row of the projection's tables in a schema.
pub async fn rows<P: Projection>(pool: &PgPool, schema: &str) -> Vec<String> {
    let mut rows = Vec::new();
    for table in P::TABLES {
        let all = format!("SELECT to_jsonb(t)::text FROM {schema}.{table} AS t ORDER BY 1");
        let all: Vec<String> = sqlx::query_scalar(AssertSqlSafe(all)).fetch_all(pool).await.unwrap();
        rows.extend(all.into_iter().map(|row| format!("{table} {row}")));
    }
    assert!(!rows.is_empty());
    rows
}

pub async fn make<P: Projection>(pool: &PgPool, new: NewVersion) -> i32 {
    versions::make(&mut pool.acquire().await.unwrap(), P::NAME, P::TABLES, new).await.unwrap()
}

pub async fn switch<P: Projection>(pool: &PgPool, to: Option<i32>) -> Result<i32, VersionError> {
    let to = Switch { to, rules: P::VERSION, even_with_parked: false, log_id: None };
    versions::switch(&mut pool.acquire().await.unwrap(), P::NAME, P::TABLES, to).await
}

/// A version by the rules of this program, as an operator makes it.
pub fn by_hand<P: Projection>() -> NewVersion {
    NewVersion { rules: P::VERSION, shards: 1, switches: false }
}

/// Until this version serves.
pub async fn serves<P: Projection>(pool: &PgPool, version: i32) {
    is::<P>(pool, version, |known| known.state == VersionState::Serving).await;
}

/// Until all of this version is filled up to the log's end by what the database says. A worker may still tell of an earlier
/// version of the same number.
pub async fn is_filled<P: Projection>(pool: &PgPool, version: i32, log: &Log) {
    let head = i64::try_from(log.head().await.value()).unwrap();
    is::<P>(pool, version, |known| known.position >= Some(head)).await;
}

async fn is<P: Projection>(pool: &PgPool, version: i32, so: impl Fn(&Version) -> bool) {
    let mut connection = pool.acquire().await.unwrap();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let all = versions::list(&mut connection, P::NAME).await.unwrap();
        if all.iter().any(|known| known.version == version && so(known)) {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{all:?}");
    }
}
