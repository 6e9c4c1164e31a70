//! Of which log the read models are. A version that was filled from another log is followed no further: another one is
//! filled alongside, and serves when it has caught up.

use crate::checkpoint::{event_at, is_any_owned};
use crate::share::Share;
use crate::versions::{Version, VersionState, announce};
use event_store::{EventStore, EventStoreError, LogId, LogIdentity, Position};
use futures::{TryStreamExt, pin_mut};
use sqlx::PgConnection;
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;
use uuid::Uuid;

/// Why it cannot be told.
#[derive(Debug, Error)]
pub enum ProvenanceError {
    #[error("the database does not answer")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    EventStore(#[from] EventStoreError),
}

/// Notes which versions of a projection are of this log, where that can be told: those that nothing was applied to yet,
/// those from before logs had ids, and those from before the log was restored from a backup that has all of theirs.
///
/// # Errors
/// When the database does not answer.
pub async fn adopt(
    connection: &mut PgConnection,
    name: &str,
    identity: &LogIdentity,
    first_event: Option<Uuid>,
) -> Result<(), sqlx::Error> {
    let versions = sqlx::query!(
        r#"SELECT v.version, v.log_id, max(c.position) AS position
           FROM projection_versions AS v LEFT JOIN projection_checkpoints AS c USING (name, version)
           WHERE v.name = $1 AND v.log_id IS DISTINCT FROM $2 AND NOT v.is_lost
           GROUP BY v.name, v.version"#,
        name,
        identity.id().uuid()
    )
    .fetch_all(&mut *connection)
    .await?;
    for version in versions {
        let position = version.position.and_then(|position| u64::try_from(position).ok()).map(Position::new);
        let is_ours = match position {
            None => version.log_id.is_none(),
            Some(position) => {
                identity.has(version.log_id.map(LogId::new), position)
                    && (version.log_id.is_some() || began_with(connection, first_event).await?)
            }
        };
        if is_ours {
            sqlx::query!(
                "UPDATE projection_versions SET log_id = $3
                 WHERE name = $1 AND version = $2 AND log_id IS NOT DISTINCT FROM $4",
                name,
                version.version,
                identity.id().uuid(),
                version.log_id
            )
            .execute(&mut *connection)
            .await?;
            // Queries show positions together with the log.
            announce(connection, name).await?;
        }
    }
    Ok(())
}

/// Whether what was noted of the log before it had an id does not speak against it: that was its first event.
async fn began_with(connection: &mut PgConnection, first_event: Option<Uuid>) -> Result<bool, sqlx::Error> {
    let known =
        sqlx::query_scalar!("SELECT first_event_id FROM event_log").fetch_optional(connection).await?;
    Ok(known.is_none() || known == first_event)
}

/// The log's first event, if it has one.
///
/// # Errors
/// When the event store does not answer.
pub async fn first_event(store: &EventStore) -> Result<Option<Uuid>, EventStoreError> {
    let events = store.read_all(None, 1);
    pin_mut!(events);
    Ok(events.try_next().await?.map(|event| event.id))
}

/// Whether the log still has what a share has applied. One that was restored from a backup may have lost it, and have
/// something else in its place: then that is noted of the version.
///
/// # Errors
/// When the database or the event store does not answer.
pub async fn has_what_was_applied(
    connection: &mut PgConnection,
    store: &EventStore,
    share: &Share,
    reached: Position,
) -> Result<bool, ProvenanceError> {
    let event_id = event_at(connection, share).await?;
    if store.has_event_at(reached, event_id).await? {
        return Ok(true);
    }
    sqlx::query!(
        "UPDATE projection_versions SET is_lost = true WHERE name = $1 AND version = $2",
        share.name,
        share.version
    )
    .execute(&mut *connection)
    .await?;
    announce(connection, share.name).await?;
    Ok(false)
}

/// Notes whether the log does not seem to go as far as what a share has applied, so that nobody takes the share's rows for
/// what is in the log before that is decided.
///
/// # Errors
/// When the database does not answer.
pub async fn note_whether_the_log_seems_short(
    connection: &mut PgConnection,
    share: &Share,
    seems_short: bool,
) -> Result<(), sqlx::Error> {
    let noted = sqlx::query!(
        "UPDATE projection_checkpoints SET log_seems_short = $4
         WHERE name = $1 AND version = $2 AND shard = $3 AND log_seems_short <> $4",
        share.name,
        share.version,
        share.shard,
        seems_short
    )
    .execute(&mut *connection)
    .await?;
    if noted.rows_affected() > 0 { announce(connection, share.name).await } else { Ok(()) }
}

/// The log that the filled versions are of, if the present one is another log and no copy of it: somebody has forgotten to
/// import the history, or has given a wrong address. None if any version is of the present log, or may be.
#[must_use]
pub fn other_history(versions: &[Version], log: &LogIdentity) -> Option<LogId> {
    if versions.iter().any(|version| version.log_id.is_some_and(|log_id| log.is_or_was(log_id))) {
        return None;
    }
    let filled = versions.iter().filter(|version| version.position.is_some());
    // Those from before logs had ids may be of any log.
    let logs: Option<Vec<LogId>> = filled.map(|version| version.log_id).collect();
    let logs = logs?;
    if logs.iter().any(|log_id| log.imports().are_of(*log_id)) { None } else { logs.last().copied() }
}

/// For so long another service must not have been seen before its tables make way. Its workers lose their locks when the
/// database restarts, and come back within this time.
const GONE_AFTER: Duration = Duration::from_secs(6);

/// Another service that keeps the tables up to date from another log: two shops have been given one database.
///
/// It is there as long as a worker holds the lock of a share that serves. A shop that has moved has no such worker any more,
/// so its tables make way.
#[derive(Debug, Default)]
pub struct OtherShop {
    /// When it was last seen, and its log.
    seen: Option<(LogId, Instant)>,
}

impl OtherShop {
    /// The log that the other service follows, if there is one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn look(
        &mut self,
        connection: &mut PgConnection,
        name: &'static str,
        versions: &[Version],
        ours: LogId,
    ) -> Result<Option<LogId>, sqlx::Error> {
        let serving = versions.iter().find(|version| version.state == VersionState::Serving);
        // What has lost its end is of our log, and so is who fills it.
        let other =
            serving.and_then(|serving| Some((serving, serving.log_id.filter(|log_id| *log_id != ours)?)));
        let Some((serving, log_id)) = other else {
            self.seen = None;
            return Ok(None);
        };
        if is_any_owned(connection, Share::all_of(name, serving.version, serving.shards)).await? {
            self.seen = Some((log_id, Instant::now()));
        }
        let seen = self.seen.filter(|(of, at)| *of == log_id && at.elapsed() < GONE_AFTER);
        Ok(seen.map(|(log_id, _)| log_id))
    }
}
