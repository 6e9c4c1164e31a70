//! The service: all workers, and what they say of themselves.

use crate::config::Config;
use crate::projection::Projection;
use crate::read_models::{Carts, Orders, Products, Sales, Stock};
use crate::status::{State, Status};
use crate::worker::Worker;
use axum::extract::State as AppState;
use axum::routing::get;
use axum::{Json, Router};
use event_store::{EventStore, InvalidConnectionString, Position};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use http_boundary::{Health, process};
use serde::Serialize;
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use std::io;
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

const MIGRATION_RETRY: Duration = Duration::from_secs(1);
/// How long `GET /projections` waits for the event store to say where the log ends.
const HEAD_DEADLINE: Duration = Duration::from_secs(2);
/// The name under which the tables' form shows in `/readyz`.
const TABLES: &str = "read models' tables";

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

/// What `GET /projections` answers.
#[derive(Serialize)]
struct Progress {
    /// The position of the last event of the log; none when the log is empty or the event store is away.
    head: Option<Position>,
    projections: Vec<Status>,
}

/// Why the service cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error(transparent)]
    EventStore(#[from] InvalidConnectionString),
    #[error("the database's address cannot be read: give one such as postgres://user@host/database")]
    Database(#[source] sqlx::Error),
}

/// Brings the tables to the form that this program knows.
///
/// # Errors
/// When the database is away, or was changed by a newer program.
pub async fn migrate(database: &PgConnectOptions) -> Result<(), MigrateError> {
    let mut connection = PgConnection::connect_with(database).await?;
    MIGRATIONS.run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}

impl Application {
    /// Puts the service together. Connects to nothing yet: neither database nor event store need be there.
    ///
    /// # Errors
    /// When an address cannot be read.
    pub fn build(config: Config, health: &Health) -> Result<Self, BuildError> {
        let store = EventStore::connect(&config.event_store)?;
        let database: PgConnectOptions = config.database_url.parse().map_err(BuildError::Database)?;
        health.is_ill(TABLES, "not looked at yet");
        let workers = [
            starter(Worker::new(Products, store.clone(), database.clone()), health),
            starter(Worker::new(Carts, store.clone(), database.clone()), health),
            starter(Worker::new(Orders, store.clone(), database.clone()), health),
            starter(Worker::new(Stock, store.clone(), database.clone()), health),
            starter(Worker::new(Sales, store.clone(), database.clone()), health),
        ];
        let (starters, statuses): (Vec<_>, Vec<_>) = workers.into_iter().unzip();
        let board = Board { store, statuses: statuses.into() };
        Ok(Self { listen: config.listen, database, health: health.clone(), board, starters })
    }

    /// `GET /projections`: how far each has come, and how it is.
    pub fn router(&self) -> Router {
        Router::new().route("/projections", get(progress)).with_state(self.board.clone())
    }

    /// What each projection says of itself, now and later.
    #[must_use]
    pub fn statuses(&self) -> Vec<watch::Receiver<Status>> {
        self.board.statuses.to_vec()
    }

    /// Migrates the tables, then projects until told to stop. Answers no requests. A worker that fails shows in
    /// `/readyz` and in the log, and the others go on.
    pub async fn run(self, stop: CancellationToken) {
        if migrate_until_done(&self.database, &self.health, &stop).await {
            join_all(self.starters.into_iter().map(|start| tokio::spawn(start(stop.clone())))).await;
        }
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

/// What starts the worker, and where to read its status. A panic in it is seen like any other failure.
fn starter<P: Projection>(worker: Worker<P>, health: &Health) -> (Starter, watch::Receiver<Status>) {
    let status = worker.status();
    let part = format!("projection {}", P::NAME);
    health.is_ill(&part, "not started yet");
    let (health, mut seen) = (health.clone(), status.clone());
    let start: Starter = Box::new(move |stop| {
        async move {
            let reporting = async {
                while seen.changed().await.is_ok() {
                    report(&health, &part, &seen.borrow_and_update().state);
                }
                // The worker is gone; its last word may have come together with its end.
                report(&health, &part, &seen.borrow().state);
            };
            let working = AssertUnwindSafe(worker.run(stop)).catch_unwind();
            let (worked, ()) = tokio::join!(working, reporting);
            if worked.is_err() {
                error!(projection = P::NAME, "the projection has panicked and stands still");
                health.is_ill(&part, "it panicked; the log has the message");
            }
        }
        .boxed()
    });
    (start, status)
}

fn report(health: &Health, part: &str, state: &State) {
    match state {
        State::Running => health.is_well(part),
        State::Starting => health.is_ill(part, "starting"),
        State::Stopped => health.is_ill(part, "stopped"),
        State::DatabaseAway { error } => health.is_ill(part, format!("the database is away: {error}")),
        State::EventStoreAway { error } => health.is_ill(part, format!("the event store is away: {error}")),
        State::Failed { error } => health.is_ill(part, error),
    }
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

async fn progress(AppState(board): AppState<Board>) -> Json<Progress> {
    let head = tokio::time::timeout(HEAD_DEADLINE, board.store.head()).await;
    let head = head.ok().and_then(Result::ok).flatten();
    let projections = board.statuses.iter().map(|status| status.borrow().clone()).collect();
    Json(Progress { head, projections })
}
