//! Reconciles when somebody asks and at intervals: one run at a time, whatever machine does it.

use super::reconcile::{ReconcileError, reconcile};
use crate::databases::Databases;
use crate::projection::Home;
use api::reconciliation::ReconciliationReport;
use chrono::{DateTime, TimeDelta, Utc};
use event_store::EventStore;
use http_boundary::process;
use sqlx::types::Json;
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The advisory lock of who reconciles: "RECONCIL" in ASCII.
const LOCK: i64 = 0x5245_434f_4e43_494c;
/// How often it is looked whether a run is due or was left by a process that died.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How soon again while another machine has the lock, or the database is away.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A shop that was never reconciled is, this long after the service has started at the latest.
const FIRST: TimeDelta = TimeDelta::minutes(10);
/// Runs that are kept.
const KEPT: i64 = 1_000;

/// Does the runs. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Reconciler {
    databases: Databases,
    store: EventStore,
    /// How often it reconciles by itself; never without it.
    every: Option<TimeDelta>,
    asked: Arc<Notify>,
}

impl Reconciler {
    pub fn new(databases: Databases, store: EventStore, every: Option<TimeDelta>) -> Self {
        Self { databases, store, every, asked: Arc::default() }
    }

    /// Where the runs stand.
    pub fn pool(&self) -> &PgPool {
        &self.databases.of(Home::Shop).pool
    }

    /// Asks for a run. One that is asked for and has not begun is the same.
    pub async fn ask(&self, by: &str) -> Result<Uuid, sqlx::Error> {
        let waiting = sqlx::query_scalar!(
            "SELECT id FROM reconciliations WHERE started_at IS NULL AND finished_at IS NULL LIMIT 1"
        );
        let id = match waiting.fetch_optional(self.pool()).await? {
            Some(id) => id,
            None => {
                let id = Uuid::now_v7();
                sqlx::query!(
                    "INSERT INTO reconciliations (id, asked_at, asked_by) VALUES ($1, $2, $3)",
                    id,
                    Utc::now(),
                    by
                )
                .execute(self.pool())
                .await?;
                id
            }
        };
        self.asked.notify_one();
        Ok(id)
    }

    /// Does what is asked for, until told to stop.
    pub async fn run(self, stop: CancellationToken) {
        let begun = Utc::now();
        let mut pause = LOOK_AGAIN;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.asked.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
            let done = tokio::select! {
                () = stop.cancelled() => return,
                done = self.do_what_is_due(begun) => done,
            };
            pause = match done {
                Ok(true) => LOOK_EVERY,
                Ok(false) => LOOK_AGAIN,
                Err(error) => {
                    tracing::debug!(%error, "it cannot be seen whether to reconcile");
                    LOOK_AGAIN
                }
            };
        }
    }

    /// False when another process is at it.
    async fn do_what_is_due(&self, begun: DateTime<Utc>) -> Result<bool, sqlx::Error> {
        if self.is_due(begun).await? {
            self.ask("schedule").await?;
        }
        let mut owner = self.databases.of(Home::Shop).options.connect().await?;
        while let Some(id) = oldest(&mut owner).await? {
            let is_ours = sqlx::query_scalar!(r#"SELECT pg_try_advisory_lock($1) AS "is_ours!""#, LOCK);
            if !is_ours.fetch_one(&mut owner).await? {
                return Ok(false);
            }
            // Somebody may have done it before the lock was ours.
            if oldest(&mut owner).await? == Some(id) {
                self.do_one(id).await?;
            }
            sqlx::query_scalar!("SELECT pg_advisory_unlock($1)", LOCK).fetch_one(&mut owner).await?;
        }
        owner.close().await?;
        Ok(true)
    }

    async fn is_due(&self, begun: DateTime<Utc>) -> Result<bool, sqlx::Error> {
        let Some(every) = self.every else { return Ok(false) };
        let last = sqlx::query_scalar!("SELECT max(asked_at) FROM reconciliations");
        let now = Utc::now();
        Ok(match last.fetch_one(self.pool()).await? {
            Some(last) => now - last >= every,
            None => now - begun >= every.min(FIRST),
        })
    }

    async fn do_one(&self, id: Uuid) -> Result<(), sqlx::Error> {
        sqlx::query!("UPDATE reconciliations SET started_at = $2 WHERE id = $1", id, Utc::now())
            .execute(self.pool())
            .await?;
        let (report, failure) = match self.reconcile(id).await {
            Ok(report) => (Some(report), None),
            Err(error) => (None, Some(process::with_causes(&error))),
        };
        let number = |of: fn(&ReconciliationReport) -> u64| {
            report.as_ref().map(|report| i64::try_from(of(report)).unwrap_or(i64::MAX))
        };
        sqlx::query!(
            "UPDATE reconciliations SET finished_at = $2, doing = NULL, failure = $3, events = $4, rows = $5,
                    differences = $6, report = $7
             WHERE id = $1",
            id,
            Utc::now(),
            failure,
            number(|report| report.events),
            number(|report| report.rows),
            number(|report| report.differences),
            report.as_ref().map(Json) as _
        )
        .execute(self.pool())
        .await?;
        sqlx::query!(
            "DELETE FROM reconciliations WHERE asked_at <
                 (SELECT asked_at FROM reconciliations ORDER BY asked_at DESC OFFSET $1 LIMIT 1)",
            KEPT
        )
        .execute(self.pool())
        .await?;
        match (&report, failure) {
            (Some(report), _) if report.differences == 0 => {
                tracing::info!(events = report.events, rows = report.rows, "everything adds up");
            }
            (Some(report), _) => tracing::error!(
                differences = report.differences,
                first = report.findings.first().map(|finding| &finding.what),
                "not everything adds up"
            ),
            (None, failure) => tracing::error!(failure, "it could not be told whether everything adds up"),
        }
        Ok(())
    }

    async fn reconcile(&self, id: Uuid) -> Result<ReconciliationReport, ReconcileError> {
        let doing = watch::Sender::new(String::new());
        let mut watched = doing.subscribe();
        let note = async {
            while watched.changed().await.is_ok() {
                let doing = watched.borrow_and_update().clone();
                let noted = sqlx::query!("UPDATE reconciliations SET doing = $2 WHERE id = $1", id, doing);
                if let Err(error) = noted.execute(self.pool()).await {
                    tracing::debug!(%error, "it cannot be noted what the reconciliation is at");
                }
            }
        };
        let (report, ()) = tokio::join!(reconcile(&self.databases, &self.store, Utc::now(), doing), note);
        report
    }
}

async fn oldest(connection: &mut PgConnection) -> Result<Option<Uuid>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT id FROM reconciliations WHERE finished_at IS NULL ORDER BY asked_at, id LIMIT 1"
    )
    .fetch_optional(connection)
    .await
}
