//! The service: all workers, and the addresses that say how they are.

use crate::config::Config;
use crate::projection::Projection;
use crate::read_models::{Carts, Orders, Products, Sales, Stock};
use crate::status::{Readiness, State, Status};
use crate::worker::Worker;
use axum::extract::State as AppState;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use event_store::{EventStore, InvalidConnectionString};
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use std::net::SocketAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

static MIGRATIONS: Migrator = sqlx::migrate!("../migrations");

const MIGRATION_RETRY: Duration = Duration::from_secs(1);
/// How long `/readyz` waits for the event store's answer.
const HEAD_DEADLINE: Duration = Duration::from_secs(2);

/// The projections as a service.
pub struct Application {
    listen: SocketAddr,
    database: PgConnectOptions,
    health: Health,
    workers: Vec<Starter>,
}

/// Starts a worker.
type Starter = Box<dyn FnOnce(CancellationToken) -> BoxFuture<'static, ()> + Send + Sync>;

/// What `/readyz` looks at.
#[derive(Clone)]
struct Health {
    store: EventStore,
    board: Arc<Vec<(watch::Sender<Option<String>>, watch::Receiver<Status>)>>,
}

/// Why the service cannot be built.
#[derive(Debug, Error)]
pub enum BuildError {
    #[error(transparent)]
    EventStore(#[from] InvalidConnectionString),
    #[error("the database's address cannot be read: give one such as postgres://user@host/database")]
    Database(#[source] sqlx::Error),
}

/// Why the service ended by itself.
#[derive(Debug, Error)]
pub enum RunError {
    #[error("the service cannot listen on {address}: choose another address")]
    Listen {
        address: SocketAddr,
        #[source]
        source: std::io::Error,
    },
    #[error("the service could not go on answering")]
    Serve(#[source] std::io::Error),
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
    pub fn build(config: Config) -> Result<Self, BuildError> {
        let store = EventStore::connect(&config.event_store)?;
        let database: PgConnectOptions = config.database_url.parse().map_err(BuildError::Database)?;
        let mut board = Vec::new();
        let mut workers = Vec::new();
        add(&mut workers, &mut board, Worker::new(Products, store.clone(), database.clone()));
        add(&mut workers, &mut board, Worker::new(Carts, store.clone(), database.clone()));
        add(&mut workers, &mut board, Worker::new(Orders, store.clone(), database.clone()));
        add(&mut workers, &mut board, Worker::new(Stock, store.clone(), database.clone()));
        add(&mut workers, &mut board, Worker::new(Sales, store.clone(), database.clone()));
        let health = Health { store, board: Arc::new(board) };
        Ok(Self { listen: config.listen, database, health, workers })
    }

    /// `GET /livez` and `GET /readyz`.
    #[must_use]
    pub fn router(&self) -> Router {
        Router::new()
            .route("/livez", get(|| async { StatusCode::NO_CONTENT }))
            .route("/readyz", get(readyz))
            .with_state(self.health.clone())
    }

    /// A way to ask how the projections are, also while [`Self::run`] has the application.
    pub fn readiness(&self) -> impl Fn() -> BoxFuture<'static, Readiness> + Clone + Send + Sync + 'static {
        let health = self.health.clone();
        move || {
            let health = health.clone();
            async move { health.readiness().await }.boxed()
        }
    }

    /// Migrates the tables, then projects until told to stop. Answers no requests.
    pub async fn run(self, stop: CancellationToken) {
        if migrate_until_done(&self.database, &stop, &self.health).await {
            join_all(self.workers.into_iter().map(|start| tokio::spawn(start(stop.clone())))).await;
        }
        // With every worker stopped or failed, the service stays to say so.
        stop.cancelled().await;
    }

    /// Projects and answers requests until told to stop.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn run_until_stopped(self, stop: CancellationToken) -> Result<(), RunError> {
        let address = self.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|source| RunError::Listen { address, source })?;
        let serving = http_boundary::serve(listener, self.router(), stop.clone());
        let projecting = self.run(stop.clone());
        let (served, ()) = tokio::join!(serving.inspect(|_| stop.cancel()), projecting);
        served.map_err(RunError::Serve)
    }
}

/// Starts the worker so that a panic in it is seen like any other failure.
fn add<P: Projection>(
    workers: &mut Vec<Starter>,
    board: &mut Vec<(watch::Sender<Option<String>>, watch::Receiver<Status>)>,
    worker: Worker<P>,
) {
    let fault = watch::Sender::new(None);
    board.push((fault.clone(), worker.status()));
    workers.push(Box::new(move |stop| {
        async move {
            if AssertUnwindSafe(worker.run(stop)).catch_unwind().await.is_err() {
                error!(projection = P::NAME, "the projection has panicked and stands still");
                fault.send_replace(Some("it panicked; the log has the message".to_owned()));
            }
        }
        .boxed()
    }));
}

/// Whether the tables are there now; false when told to stop before.
async fn migrate_until_done(database: &PgConnectOptions, stop: &CancellationToken, health: &Health) -> bool {
    let mut is_logged = false;
    loop {
        let migrated = tokio::select! {
            () = stop.cancelled() => return false,
            migrated = migrate(database) => migrated,
        };
        let Err(error) = migrated else {
            health.set_fault(None);
            return true;
        };
        if !is_logged {
            warn!(%error, "the read models' tables could not be brought up to date; trying again");
            is_logged = true;
        }
        health.set_fault(Some(format!("the tables could not be brought up to date: {error}")));
        tokio::select! {
            () = stop.cancelled() => return false,
            () = tokio::time::sleep(MIGRATION_RETRY) => {}
        }
    }
}

impl Health {
    fn set_fault(&self, error: Option<String>) {
        for (fault, _) in self.board.iter() {
            fault.send_replace(error.clone());
        }
    }

    async fn readiness(&self) -> Readiness {
        let projections: Vec<Status> = self
            .board
            .iter()
            .map(|(fault, status)| {
                let mut status = status.borrow().clone();
                if let Some(error) = fault.borrow().clone() {
                    status.state = State::Failed { error };
                }
                status
            })
            .collect();
        let head = tokio::time::timeout(HEAD_DEADLINE, self.store.head()).await;
        let ready = matches!(head, Ok(Ok(_))) && projections.iter().all(Status::is_running);
        let head = head.ok().and_then(Result::ok).flatten();
        Readiness { ready, head, projections }
    }
}

async fn readyz(AppState(health): AppState<Health>) -> (StatusCode, Json<Readiness>) {
    let readiness = health.readiness().await;
    let status = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(readiness))
}
