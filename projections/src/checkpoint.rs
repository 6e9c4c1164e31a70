//! How far a projection has come, and the compare-and-set that lets each event count exactly once.

use crate::fact::Fact;
use crate::projection::{ApplyError, Projection};
use sqlx::{Connection, PgConnection};
use thiserror::Error;

/// The channel on which a moved checkpoint is announced, as `name:version:position`.
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
    #[error(transparent)]
    Apply(#[from] ApplyError),
}

impl From<sqlx::Error> for StepError {
    fn from(error: sqlx::Error) -> Self {
        Self::Apply(ApplyError::Database(error))
    }
}

/// The stored position of a projection; makes its checkpoint when it has none.
///
/// # Errors
/// When the database does not answer.
pub async fn load<P: Projection>(connection: &mut PgConnection) -> Result<Option<i64>, sqlx::Error> {
    sqlx::query!(
        "INSERT INTO projection_checkpoints (name, version) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        P::NAME,
        P::VERSION
    )
    .execute(&mut *connection)
    .await?;
    sqlx::query_scalar!(
        "SELECT position FROM projection_checkpoints WHERE name = $1 AND version = $2",
        P::NAME,
        P::VERSION
    )
    .fetch_one(connection)
    .await
}

/// Makes this session the one runner of the projection, until the session ends; false when another one is.
///
/// The compare-and-set alone keeps every event counted once. This lock keeps a second runner waiting instead of
/// failing, and lets a runner that starts after a crash wait for the end of what its predecessor has under way.
///
/// # Errors
/// When the database does not answer.
pub async fn try_own<P: Projection>(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT pg_try_advisory_lock(hashtextextended('emporium projection ' || $1 || ':' || $2::integer, 0))
           AS "is_mine!""#,
        P::NAME,
        P::VERSION
    )
    .fetch_one(connection)
    .await
}

/// Moves the checkpoint inside the caller's transaction (or by itself), and announces it on commit.
///
/// # Errors
/// [`StepError::OwnershipLost`] and [`StepError::WentBack`] when it is not where the caller left it.
pub async fn advance<P: Projection>(
    connection: &mut PgConnection,
    from: Option<i64>,
    to: i64,
    events: i64,
) -> Result<(), StepError> {
    let moved = sqlx::query!(
        r#"WITH moved AS (
               UPDATE projection_checkpoints
               SET position = $4, events_applied = events_applied + $5, updated_at = now()
               WHERE name = $1 AND version = $2 AND position IS NOT DISTINCT FROM $3
               RETURNING name, version, position
           )
           SELECT pg_notify('projection_advanced', name || ':' || version || ':' || position)::text AS announced
           FROM moved"#,
        P::NAME,
        P::VERSION,
        from,
        to,
        events
    )
    .fetch_optional(&mut *connection)
    .await?;
    if moved.is_some() {
        return Ok(());
    }
    let found = load::<P>(connection).await?;
    Err(if found < from {
        StepError::WentBack { expected: from, found }
    } else {
        StepError::OwnershipLost { name: P::NAME, expected: from, found }
    })
}

/// Applies events and moves the checkpoint from `from` to `to`, in one transaction.
///
/// Events at or before `from` are applied already and left out. The checkpoint moves first, so that a second
/// runner of the same projection waits here for the outcome and has done no work when it loses.
///
/// # Errors
/// When nothing was written; see [`StepError`].
pub async fn step<P: Projection>(
    projection: &P,
    connection: &mut PgConnection,
    from: Option<i64>,
    to: i64,
    facts: &[Fact],
) -> Result<(), StepError> {
    let fresh = facts.partition_point(|fact| Some(fact.position) <= from);
    let facts = &facts[fresh..];
    if Some(to) <= from {
        return Ok(());
    }
    if facts.is_empty() {
        return advance::<P>(connection, from, to, 0).await;
    }
    let mut transaction = connection.begin().await?;
    let events = i64::try_from(facts.len()).unwrap_or(i64::MAX);
    advance::<P>(&mut transaction, from, to, events).await?;
    projection.apply(&mut transaction, facts).await?;
    transaction.commit().await?;
    Ok(())
}
