//! How far a worker has come, and the compare-and-set that lets each event count exactly once.

use crate::projection::ApplyError;
use crate::share::Share;
use sqlx::PgConnection;
use thiserror::Error;
use uuid::Uuid;

/// The channel on which a moved checkpoint is announced, as `name:version:shard:position`.
pub const ADVANCED_CHANNEL: &str = "projection_advanced";

/// Why a step was not taken. Nothing of it is in the database then, unless the error is the database's and came
/// at the very end; the stored checkpoint tells.
#[derive(Debug, Error)]
pub enum StepError {
    /// Somebody else has moved the checkpoint.
    #[error(
        "another runner has moved the projection `{name}` on from {expected:?} to {found:?}: \
         run each projection once"
    )]
    OwnershipLost { name: &'static str, expected: Option<i64>, found: Option<i64> },
    /// The database has forgotten the end of what was written, as it may after a crash: begin again from its
    /// checkpoint.
    #[error("the database has gone back from {expected:?} to {found:?}")]
    WentBack { expected: Option<i64>, found: Option<i64> },
    /// Somebody has dropped the version.
    #[error("version {version} of `{name}` is gone")]
    Gone { name: &'static str, version: i32 },
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl From<sqlx::Error> for StepError {
    fn from(error: sqlx::Error) -> Self {
        Self::Apply(ApplyError::Database(error))
    }
}

/// The stored position of a share; makes its checkpoint when it has none. Its version must be known
/// ([`crate::versions::ensure`]).
///
/// # Errors
/// [`StepError::Gone`] when its version is not known, or when the database does not answer.
pub async fn load(connection: &mut PgConnection, share: &Share) -> Result<Option<i64>, StepError> {
    let gone = || StepError::Gone { name: share.name, version: share.version };
    let made = sqlx::query!(
        "INSERT INTO projection_checkpoints (name, version, shard) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
        share.name,
        share.version,
        share.shard
    )
    .execute(&mut *connection)
    .await;
    made.map_err(|error| {
        let names_no_version =
            error.as_database_error().is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation);
        if names_no_version { gone() } else { error.into() }
    })?;
    stored(connection, share).await?.ok_or_else(gone)
}

/// The id of the event at a share's stored position, as far as it was noted.
///
/// # Errors
/// When the database does not answer.
pub async fn event_at(connection: &mut PgConnection, share: &Share) -> Result<Option<Uuid>, sqlx::Error> {
    let query = sqlx::query_scalar!(
        "SELECT event_id FROM projection_checkpoints WHERE name = $1 AND version = $2 AND shard = $3",
        share.name,
        share.version,
        share.shard
    );
    Ok(query.fetch_optional(connection).await?.flatten())
}

/// The checkpoint that is stored, if there is one, and its position, if it has come to any.
async fn stored(connection: &mut PgConnection, share: &Share) -> Result<Option<Option<i64>>, sqlx::Error> {
    let query = sqlx::query_scalar!(
        "SELECT position FROM projection_checkpoints WHERE name = $1 AND version = $2 AND shard = $3",
        share.name,
        share.version,
        share.shard
    );
    query.fetch_optional(connection).await
}

/// Makes this session the one runner of the share, until the session ends; false when another one is.
///
/// The compare-and-set alone keeps every event counted once. This lock keeps a second runner waiting instead of
/// failing, and lets a runner that starts after a crash wait for the end of what its predecessor has under way.
///
/// # Errors
/// When the database does not answer.
pub async fn try_own(connection: &mut PgConnection, share: &Share) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtextextended($1, 0)) AS "is_mine!""#,
        lock_of(share)
    )
    .fetch_one(connection)
    .await
}

/// The name of the lock that a share's one runner holds.
fn lock_of(share: &Share) -> String {
    format!("emporium projection {}:{}:{}", share.name, share.version, share.shard)
}

/// Whether any of these shares has a runner now, whoever that is.
///
/// # Errors
/// When the database does not answer.
pub(crate) async fn is_any_owned(
    connection: &mut PgConnection,
    shares: impl Iterator<Item = Share> + Send,
) -> Result<bool, sqlx::Error> {
    let locks: Vec<_> = shares.map(|share| lock_of(&share)).collect();
    // A lock of one number is shown as its two halves.
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM pg_locks
               WHERE locktype = 'advisory' AND granted AND objsubid = 1
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
                 AND (classid::bigint << 32 | objid::bigint)
                     IN (SELECT hashtextextended(lock, 0) FROM unnest($1::text[]) AS locks (lock))
           ) AS "is_owned!""#,
        &locks
    )
    .fetch_one(connection)
    .await
}

/// Moves the checkpoint inside the caller's transaction (or by itself), and announces it on commit.
///
/// # Errors
/// [`StepError::OwnershipLost`] and [`StepError::WentBack`] when it is not where the caller left it.
pub async fn advance(
    connection: &mut PgConnection,
    share: &Share,
    from: Option<i64>,
    to: i64,
    events: i64,
) -> Result<(), StepError> {
    advance_to(connection, share, from, (to, None), events).await
}

/// The same to the place of an event with this id.
///
/// # Errors
/// As [`advance`].
pub(crate) async fn advance_to(
    connection: &mut PgConnection,
    share: &Share,
    from: Option<i64>,
    (to, event_id): (i64, Option<Uuid>),
    events: i64,
) -> Result<(), StepError> {
    let moved = sqlx::query!(
        r#"WITH moved AS (
               UPDATE projection_checkpoints
               SET position = $5, events_applied = events_applied + $6, event_id = $7, updated_at = now()
               WHERE name = $1 AND version = $2 AND shard = $3 AND position IS NOT DISTINCT FROM $4
               RETURNING name, version, shard, position
           )
           SELECT pg_notify('projection_advanced',
                            name || ':' || version || ':' || shard || ':' || position)::text AS announced
           FROM moved"#,
        share.name,
        share.version,
        share.shard,
        from,
        to,
        events,
        event_id
    )
    .fetch_optional(&mut *connection)
    .await?;
    if moved.is_some() { Ok(()) } else { Err(elsewhere(connection, share, from).await?) }
}

/// Holds the checkpoint where it is until the end of the caller's transaction.
///
/// # Errors
/// [`StepError::OwnershipLost`] and [`StepError::WentBack`] when it is not where the caller left it.
pub async fn hold(connection: &mut PgConnection, share: &Share, at: Option<i64>) -> Result<(), StepError> {
    let held = sqlx::query_scalar!(
        "SELECT 1 FROM projection_checkpoints
         WHERE name = $1 AND version = $2 AND shard = $3 AND position IS NOT DISTINCT FROM $4 FOR UPDATE",
        share.name,
        share.version,
        share.shard,
        at
    )
    .fetch_optional(&mut *connection)
    .await?;
    if held.is_some() { Ok(()) } else { Err(elsewhere(connection, share, at).await?) }
}

async fn elsewhere(
    connection: &mut PgConnection,
    share: &Share,
    expected: Option<i64>,
) -> Result<StepError, sqlx::Error> {
    Ok(match stored(connection, share).await? {
        // One that has come to nothing yet is another version of the same number.
        None | Some(None) => StepError::Gone { name: share.name, version: share.version },
        Some(found) if found < expected => StepError::WentBack { expected, found },
        Some(found) => StepError::OwnershipLost { name: share.name, expected, found },
    })
}
