//! The service: all workers, and what they say of themselves.

use crate::config::Config;
use crate::projection::Projection;
use crate::provenance::{self, ProvenanceError};
use crate::read_models::{Carts, Orders, Products, Sales, Stock};
use crate::status::{State, Status};
use crate::worker::Worker;
use event_store::EventStore;
use futures::FutureExt;
use futures::future::BoxFuture;
use http_boundary::{Finding, Health, process};
use serde_json::json;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

const MIGRATION_RETRY: Duration = Duration::from_secs(1);
/// How long `/readyz` waits for the event store to say where the log ends.
const HEAD_DEADLINE: Duration = Duration::from_secs(2);
/// The name under which the tables' form shows in `/readyz`.
const TABLES: &str = "read models' tables";
/// Whether they were made from this event log, in `/readyz`.
const LOG_PART: &str = "read models' event log";

/// The projections as a service.
pub struct Application {
    listen: SocketAddr,
    database: PgConnectOptions,
    health: Health,
    board: Board,
    starters: Vec<Starter>,
}

/// Starts a worker.
type Starter = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send + Sync>;

/// Where all workers' statuses can be read.
#[derive(Clone)]
struct Board {
    store: EventStore,
    statuses: Arc<[watch::Receiver<Status>]>,
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
        let Config { listen, event_store: store, database_url } = config;
        let database: PgConnectOptions = database_url.parse().map_err(BuildError::Database)?;
        health.is_ill(TABLES, "not looked at yet");
        let workers = [
            starter(Worker::new(Products, store.clone(), database.clone())),
            starter(Worker::new(Carts, store.clone(), database.clone())),
            starter(Worker::new(Orders, store.clone(), database.clone())),
            starter(Worker::new(Stock, store.clone(), database.clone())),
            starter(Worker::new(Sales, store.clone(), database.clone())),
        ];
        let (starters, statuses): (Vec<_>, Vec<_>) = workers.into_iter().unzip();
        let board = Board { store, statuses: statuses.into() };
        let asked = board.clone();
        health.ask("projections", move || asked.clone().finding().boxed());
        Ok(Self { listen, database, health: health.clone(), board, starters })
    }

    /// What each projection says of itself, now and later.
    #[must_use]
    pub fn statuses(&self) -> Vec<watch::Receiver<Status>> {
        self.board.statuses.to_vec()
    }

    /// Migrates the tables, then projects until told to stop. Answers no requests. A worker that fails shows in
    /// `/readyz` and in the log, and the others go on.
    pub async fn run(self, stop: CancellationToken) {
        // Whoever drops this future drops the workers too.
        let mut workers = JoinSet::new();
        if migrate_until_done(&self.database, &self.health, &stop).await
            && follows_its_own_log(&self.database, &self.board.store, &self.health, &stop).await
        {
            for start in self.starters {
                workers.spawn(start(stop.clone()));
            }
            let (database, store, stop) = (self.database.clone(), self.board.store.clone(), stop.clone());
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
        let health = self.health.routes();
        let serving = async {
            let served = http_boundary::serve(listener, health, stop.clone()).await;
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

/// What starts the worker, and where to read its status.
fn starter<P: Projection>(worker: Worker<P>) -> (Starter, watch::Receiver<Status>) {
    let status = worker.status();
    (Box::new(move |stop| worker.run(stop).boxed()), status)
}

impl Board {
    async fn finding(self) -> Finding {
        let head = tokio::time::timeout(HEAD_DEADLINE, self.store.head()).await;
        let head = head.ok().and_then(Result::ok).flatten();
        let projections: Vec<Status> = self.statuses.iter().map(last_word).collect();
        let ready = projections.iter().all(Status::is_well);
        Finding { ready, detail: json!({ "head": head, "projections": projections }) }
    }
}

/// What a worker last said. One that is gone without a word has panicked.
fn last_word(status: &watch::Receiver<Status>) -> Status {
    let is_gone = status.has_changed().is_err();
    let mut status = status.borrow().clone();
    if is_gone && !status.has_ended() {
        status.state = State::Failed { error: "it panicked; the log has the message".to_owned() };
    }
    status
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
