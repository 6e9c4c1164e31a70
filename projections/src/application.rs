//! The service: all workers, and what they say of themselves.

use crate::catalogue::{self, Entry};
use crate::config::Config;
use crate::metrics;
use crate::provenance::{self, ProvenanceError};
use crate::reconciliation::{self, Reconciler};
use crate::routes::{self, Shared};
use crate::status::Status;
use crate::supervisor::Board;
use axum::Router;
use chrono::TimeDelta;
use event_store::EventStore;
use futures::FutureExt;
use http_boundary::{Finding, Health, OperatorToken, process};
use serde_json::json;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

const MIGRATION_RETRY: Duration = Duration::from_secs(1);
/// How long `/readyz` waits for the event store to say where the log ends.
const HEAD_DEADLINE: Duration = Duration::from_secs(2);
/// Connections for those who look after the projections.
const POOL: u32 = 3;
/// The name under which the tables' form shows in `/readyz`.
const TABLES: &str = "read models' tables";
/// Whether they were made from this event log, in `/readyz`.
const LOG_PART: &str = "read models' event log";

/// The projections as a service.
pub struct Application {
    listen: SocketAddr,
    health: Health,
    shared: Shared,
    reconciler: Reconciler,
}

/// Why the service cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error("the database's address cannot be read: give one such as postgres://user@host/database")]
    Database(#[source] sqlx::Error),
}

/// Brings the tables to the form that this program knows.
///
/// # Errors
/// When the database is away, or was changed by a newer program.
pub async fn migrate(database: &PgConnectOptions) -> Result<(), MigrateError> {
    // A pool of one: the migrator's future over a plain connection cannot be sent between threads.
    let pool = PgPoolOptions::new().max_connections(1).connect_with(database.clone()).await?;
    let migrated = MIGRATIONS.run(&pool).await;
    pool.close().await;
    migrated
}

impl Application {
    /// Puts the service together. Connects to nothing yet: neither database nor event store need be there.
    ///
    /// # Errors
    /// When an address cannot be read.
    pub fn build(config: Config, health: &Health) -> Result<Self, BuildError> {
        let Config { listen, event_store: store, database_url, operator_token, reconcile_every_hours } =
            config;
        let database: PgConnectOptions = database_url.parse().map_err(BuildError::Database)?;
        health.is_ill(TABLES, "not looked at yet");
        let board = Board::default();
        let asked = (board.clone(), store.clone());
        health.ask("projections", move || finding(asked.clone()).boxed());
        let pool = PgPoolOptions::new().max_connections(POOL).connect_lazy_with(database.clone());
        let shared =
            Shared { pool, database, store, board, operator_token: OperatorToken::new(&operator_token) };
        metrics::register(health.metrics(), shared.clone());
        reconciliation::register_metrics(health.metrics(), shared.pool.clone());
        let every = (reconcile_every_hours > 0).then(|| TimeDelta::hours(reconcile_every_hours.into()));
        let Shared { pool, database, store, .. } = shared.clone();
        let reconciler = Reconciler::new(pool, database, store, every);
        Ok(Self { listen, health: health.clone(), shared, reconciler })
    }

    /// What each projection says of itself, now and later.
    #[must_use]
    pub fn board(&self) -> Board {
        self.shared.board.clone()
    }

    /// Looking after the projections over HTTP.
    pub fn router(&self) -> Router {
        let reconciliations =
            reconciliation::routes(self.reconciler.clone(), self.shared.operator_token.clone());
        routes::router(self.shared.clone()).merge(reconciliations)
    }

    /// Migrates the tables, then projects until told to stop. Answers no requests. A worker that fails shows in
    /// `/readyz` and in the log, and the others go on.
    pub async fn run(self, stop: CancellationToken) {
        // Whoever drops this future drops the workers too.
        let mut workers = JoinSet::new();
        let Shared { database, store, board, .. } = &self.shared;
        if migrate_until_done(database, &self.health, &stop).await
            && follows_its_own_log(database, store, &self.health, &stop).await
        {
            for entry in catalogue::ALL {
                workers.spawn((entry.run)(store.clone(), database.clone(), board.clone(), stop.clone()));
            }
            let (database, store, stop) = (database.clone(), store.clone(), stop.clone());
            workers.spawn(self.reconciler.clone().run(stop.clone()));
            workers.spawn(async move { note_log(&database, &store, &stop).await });
        }
        while workers.join_next().await.is_some() {}
        stop.cancelled().await;
    }

    /// Projects and answers requests until told to stop.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> io::Result<()> {
        let listener = TcpListener::bind(self.listen).await?;
        info!(address = %listener.local_addr()?, "projections answers");
        let router = self.router().merge(self.health.routes());
        let serving = async {
            let served = http_boundary::serve(listener, router, stop.clone()).await;
            stop.cancel();
            served
        };
        let (served, ()) = tokio::join!(serving, self.run(stop.clone()));
        served
    }
}

/// Whether the tables were made from this event log, or from none yet; false also when told to stop before that is
/// known.
async fn follows_its_own_log(
    database: &PgConnectOptions,
    store: &EventStore,
    health: &Health,
    stop: &CancellationToken,
) -> bool {
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(database.clone());
    loop {
        let checked = tokio::select! {
            () = stop.cancelled() => return false,
            checked = provenance::check(&pool, store) => checked,
        };
        match checked {
            Ok(()) => {
                health.is_well(LOG_PART);
                return true;
            }
            Err(error @ ProvenanceError::AnotherLog { .. }) => {
                error!(%error, "nothing is projected");
                health.is_ill(LOG_PART, error.to_string());
                return false;
            }
            Err(error) => health.is_ill(LOG_PART, error.to_string()),
        }
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(MIGRATION_RETRY) => {}
        }
    }
}

async fn note_log(database: &PgConnectOptions, store: &EventStore, stop: &CancellationToken) {
    let pool = PgPoolOptions::new().max_connections(1).connect_lazy_with(database.clone());
    while let Some(Err(error)) = stop.run_until_cancelled(provenance::note(&pool, store)).await {
        debug!(%error, "the event log's first event could not be noted yet");
        let _ = stop.run_until_cancelled(tokio::time::sleep(MIGRATION_RETRY)).await;
    }
}

async fn finding((board, store): (Board, EventStore)) -> Finding {
    let head = tokio::time::timeout(HEAD_DEADLINE, store.head()).await;
    let head = head.ok().and_then(Result::ok).flatten();
    let projections = board.statuses();
    let is_there = |entry: &Entry| projections.iter().any(|status| status.name == entry.name);
    let ready = catalogue::ALL.iter().all(is_there) && projections.iter().all(Status::is_well);
    Finding { ready, detail: json!({ "head": head, "projections": projections }) }
}

/// Whether the tables are there now; false when told to stop before.
async fn migrate_until_done(database: &PgConnectOptions, health: &Health, stop: &CancellationToken) -> bool {
    let mut is_logged = false;
    loop {
        let migrated = tokio::select! {
            () = stop.cancelled() => return false,
            migrated = migrate(database) => migrated,
        };
        let Err(error) = migrated else {
            health.is_well(TABLES);
            return true;
        };
        let error = process::with_causes(&error);
        if !is_logged {
            warn!(error, "the read models' tables cannot be brought up to date; trying again");
            is_logged = true;
        }
        health.is_ill(TABLES, error);
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(MIGRATION_RETRY) => {}
        }
    }
}
