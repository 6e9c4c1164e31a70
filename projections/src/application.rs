//! The service: all workers, and what they say of themselves.

use crate::board::Board;
use crate::config::{Config, ReadModelArgs};
use crate::databases::{Database, Databases};
use crate::metrics;
use crate::readiness;
use crate::reconciliation::{self, Reconciler};
use crate::rights;
use crate::routes::{self, Shared};
use chrono::TimeDelta;
use futures::FutureExt;
use futures::future::join_all;
use http_boundary::{
    ClientLimitArgs, ClientLimits, Health, HttpArgs, ListenError, Listeners, OperatorToken, process,
};
use http_routes::Routes;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::net::SocketAddr;
use std::time::Duration;
use thiserror::Error;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

const MIGRATION_RETRY: Duration = Duration::from_secs(1);
/// How the tables' form is named in `/readyz`.
const TABLES: &str = "tables";
/// How it is named there whether the event store still holds the log that it held at the start.
const LOG_PART: &str = "event log";

/// The projections as a service.
pub struct Application {
    listen: SocketAddr,
    http: HttpArgs,
    client_limits: ClientLimitArgs,
    health: Health,
    shared: Shared,
    reconciler: Reconciler,
    read_models: ReadModelArgs,
}

/// Why the service cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error("the database's address cannot be read: give one such as postgres://user@host/database")]
    Database(#[source] sqlx::Error),
    #[error(
        "the address of the database for analytics cannot be read: give one such as postgres://user@host/database"
    )]
    AnalyticsDatabase(#[source] sqlx::Error),
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
        let Config {
            listen,
            http,
            event_store: store,
            database_url,
            analytics_database_url,
            operator_token,
            client_limits,
            reconcile_every_hours,
            read_models,
        } = config;
        store.use_whole_logs_only();
        let shop = database_url.parse().map_err(BuildError::Database)?;
        let analytics = analytics_database_url.map(|url| url.parse()).transpose();
        let databases = Databases::new(shop, analytics.map_err(BuildError::AnalyticsDatabase)?);
        for database in databases.all() {
            health.is_ill(&database.part(TABLES), "not looked at yet");
        }
        let board = Board::default();
        let shared = Shared { databases, store, board, operator_token: OperatorToken::new(&operator_token) };
        let asked = shared.clone();
        health.ask("projections", move || readiness::finding(asked.clone()).boxed());
        metrics::register(health.metrics(), shared.clone());
        let every = (reconcile_every_hours > 0).then(|| TimeDelta::hours(reconcile_every_hours.into()));
        let reconciler = Reconciler::new(shared.databases.clone(), shared.store.clone(), every);
        reconciliation::register_metrics(health.metrics(), &reconciler);
        Ok(Self { listen, http, client_limits, health: health.clone(), shared, reconciler, read_models })
    }

    /// What each projection says of itself, now and later.
    #[must_use]
    pub fn board(&self) -> Board {
        self.shared.board.clone()
    }

    /// Looking after the projections over HTTP.
    pub fn routes(&self) -> Routes {
        let (reconciler, operator_token) = (self.reconciler.clone(), self.shared.operator_token.clone());
        let reconciliations = reconciliation::Shared { reconciler, operator_token };
        let reconciliations = reconciliation::routes().with_state(reconciliations);
        routes::routes().with_state(self.shared.clone()).merge(reconciliations)
    }

    /// Migrates the tables, then projects until told to stop. Answers no requests. A worker that fails shows in
    /// `/readyz` and in the log, and the others go on.
    pub async fn run(self, stop: CancellationToken) {
        // Whoever drops this future drops the workers too. Should one database be away, those of the other work.
        let databases = self.shared.databases.all();
        let read_models = self.read_models;
        let projecting =
            databases.map(|database| project(database, &self.shared, read_models, &self.health, &stop));
        let rights = rights::watch(self.shared.store.clone(), self.health.clone());
        let log = self.shared.store.watch_log(self.health.teller(LOG_PART));
        tokio::join!(
            join_all(projecting),
            self.reconciler.clone().run(stop.clone()),
            stop.run_until_cancelled(rights),
            stop.run_until_cancelled(log),
        );
        stop.cancelled().await;
    }

    /// Projects and answers requests until told to stop.
    ///
    /// # Errors
    /// When an address cannot be listened on.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> Result<(), ListenError> {
        let listeners = Listeners::bind(self.listen, &self.http).await?;
        info!(address = %listeners.main, "projections answers");
        let (router, health, http) = (self.routes().into_router(), self.health.clone(), self.http.clone());
        let (token, refusals) = (self.shared.operator_token.clone(), health.refusals().clone());
        let clients = ClientLimits::new(&self.client_limits, token, refusals);
        let serving = async {
            listeners.serve(router, &health, clients, &http, stop.clone()).await;
            stop.cancel();
        };
        tokio::join!(serving, self.run(stop.clone()));
        Ok(())
    }
}

/// Migrates the tables of a database, then fills them until told to stop.
async fn project(
    database: &Database,
    shared: &Shared,
    read_models: ReadModelArgs,
    health: &Health,
    stop: &CancellationToken,
) {
    let (options, store) = (&database.options, &shared.store);
    if !migrate_until_done(database, health, stop).await {
        return;
    }
    let mut workers = JoinSet::new();
    for entry in database.entries() {
        let (store, board) = (store.clone(), shared.board.clone());
        workers.spawn((entry.run)(store, options.clone(), board, read_models, stop.clone()));
    }
    while workers.join_next().await.is_some() {}
}

/// Whether the tables are there now; false when told to stop before.
async fn migrate_until_done(database: &Database, health: &Health, stop: &CancellationToken) -> bool {
    let part = database.part(TABLES);
    let mut is_logged = false;
    loop {
        let migrated = tokio::select! {
            () = stop.cancelled() => return false,
            migrated = migrate(&database.options) => migrated,
        };
        let Err(error) = migrated else {
            health.is_well(&part);
            return true;
        };
        let error = process::with_causes(&error);
        if !is_logged {
            warn!(error, "the read models' tables cannot be brought up to date; trying again");
            is_logged = true;
        }
        health.is_ill(&part, error);
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(MIGRATION_RETRY) => {}
        }
    }
}
