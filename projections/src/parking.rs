//! Streams that are put aside at an event that cannot be applied. Everything else goes on; such a stream waits in the
//! log until somebody has mended what is wrong and asks for it again, or decides to leave the event out.

pub mod asking;

use crate::checkpoint::{StepError, hold};
use crate::fact::{Fact, UnreadableFact, stored_position};
use crate::projection::Projection;
use crate::share::Share;
use crate::step::apply_by_stream;
use event_store::{EventStore, EventStoreError, RecordedEvent};
use futures::{StreamExt, pin_mut};
use http_boundary::process::with_causes;
use sqlx::{Connection, PgConnection};
use std::collections::HashMap;
use thiserror::Error;

/// Events of a parked stream that are applied together.
const PAGE: usize = 2_000;

/// A stream, and the event at which it stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Park {
    pub stream: String,
    /// The first event that is not applied.
    pub revision: i64,
    pub position: i64,
    pub event_type: String,
    pub error: String,
    /// How many wanted events are not applied.
    pub waiting: i64,
}

/// What somebody wants done with a parked stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wish {
    Retry,
    Skip,
}

/// A parked stream that somebody has looked at.
#[derive(Debug)]
pub struct Asked {
    stream: String,
    revision: i64,
    wish: Wish,
}

/// Why a parked stream could not be taken up again now. It stays parked.
#[derive(Debug, Error)]
pub enum TakeUpError {
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    EventStore(#[from] EventStoreError),
}

impl From<sqlx::Error> for TakeUpError {
    fn from(error: sqlx::Error) -> Self {
        Self::Step(error.into())
    }
}

impl Park {
    /// At an event that could be read and not applied.
    pub(crate) fn of_fact(stream: &str, fact: &Fact, error: String, waiting: i64) -> Self {
        Self {
            stream: stream.to_owned(),
            revision: fact.revision,
            position: fact.position,
            event_type: fact.event_type.clone(),
            error,
            waiting,
        }
    }

    /// At an event that cannot be read.
    pub(crate) fn of_unreadable(event: &RecordedEvent, error: &UnreadableFact) -> Self {
        Self {
            stream: event.stream.clone(),
            revision: i64::try_from(event.revision).unwrap_or(i64::MAX),
            position: stored_position(event.position).unwrap_or(i64::MAX),
            event_type: event.event_type.clone(),
            error: with_causes(error),
            waiting: 1,
        }
    }
}

/// The names of the streams that are parked.
///
/// # Errors
/// When the database does not answer.
pub async fn parked(connection: &mut PgConnection, share: &Share) -> Result<Vec<String>, sqlx::Error> {
    let streams = sqlx::query_scalar!(
        "SELECT stream FROM parked_streams WHERE name = $1 AND version = $2",
        share.name,
        share.version
    )
    .fetch_all(connection)
    .await?;
    Ok(streams.into_iter().filter(|stream| share.has(stream)).collect())
}

/// Parks streams inside the caller's transaction.
pub(crate) async fn park(
    transaction: &mut PgConnection,
    share: &Share,
    parks: &[Park],
) -> Result<(), sqlx::Error> {
    for park in parks {
        sqlx::query!(
            "INSERT INTO parked_streams (name, version, stream, revision, position, event_type, error, waiting)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
             ON CONFLICT (name, version, stream) DO UPDATE
             SET revision = $4, position = $5, event_type = $6, error = $7, waiting = $8, asked = NULL",
            share.name,
            share.version,
            park.stream,
            park.revision,
            park.position,
            park.event_type,
            park.error,
            park.waiting
        )
        .execute(&mut *transaction)
        .await?;
    }
    Ok(())
}

/// Counts more events of parked streams.
pub(crate) async fn wait(
    transaction: &mut PgConnection,
    share: &Share,
    waiting: &HashMap<String, i64>,
) -> Result<(), sqlx::Error> {
    if waiting.is_empty() {
        return Ok(());
    }
    let streams: Vec<String> = waiting.keys().cloned().collect();
    let counts: Vec<i64> = waiting.values().copied().collect();
    sqlx::query!(
        "UPDATE parked_streams AS p SET waiting = p.waiting + w.count
         FROM UNNEST($3::text[], $4::bigint[]) AS w (stream, count)
         WHERE p.name = $1 AND p.version = $2 AND p.stream = w.stream",
        share.name,
        share.version,
        &streams,
        &counts
    )
    .execute(transaction)
    .await?;
    Ok(())
}

/// The parked streams of the share that somebody wants taken up again.
///
/// # Errors
/// When the database does not answer.
pub async fn asked(connection: &mut PgConnection, share: &Share) -> Result<Vec<Asked>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT stream, revision, asked AS "asked!" FROM parked_streams
           WHERE name = $1 AND version = $2 AND asked IS NOT NULL ORDER BY position"#,
        share.name,
        share.version
    )
    .fetch_all(connection)
    .await?;
    let asked = rows.into_iter().filter(|row| share.has(&row.stream)).map(|row| Asked {
        stream: row.stream,
        revision: row.revision,
        wish: if row.asked == "skip" { Wish::Skip } else { Wish::Retry },
    });
    Ok(asked.collect())
}

/// Applies what a parked stream has up to the checkpoint, and frees it; or parks it again where it now stands still.
/// Gives that place, if there is one.
///
/// # Errors
/// When something is away, or the checkpoint is not where the caller left it. Then nothing has changed.
pub async fn take_up<P: Projection>(
    projection: &P,
    connection: &mut PgConnection,
    store: &EventStore,
    share: &Share,
    (asked, at): (&Asked, Option<i64>),
) -> Result<Option<Park>, TakeUpError> {
    let mut transaction = connection.begin().await?;
    hold(&mut transaction, share, at).await?;
    let mut first = u64::try_from(asked.revision).unwrap_or_default();
    if asked.wish == Wish::Skip {
        note_skipped(&mut transaction, share, asked).await?;
        first += 1;
    }
    let events = store.read_stream(&asked.stream, first, usize::MAX);
    pin_mut!(events);
    let mut facts = Vec::new();
    let mut again: Option<Park> = None;
    while let Some(event) = events.next().await {
        let event = event?;
        if stored_position(event.position) > at {
            break;
        }
        if !P::wants(&event) {
            continue;
        }
        match (&mut again, P::read(&event)) {
            (Some(park), _) => park.waiting += 1,
            (None, Ok(fact)) => facts.push(fact),
            (None, Err(unreadable)) => {
                again = Some(match apply(projection, &mut transaction, &mut facts).await? {
                    Some(earlier) => Park { waiting: earlier.waiting + 1, ..earlier },
                    None => Park::of_unreadable(&event, &unreadable),
                });
            }
        }
        if facts.len() == PAGE {
            again = apply(projection, &mut transaction, &mut facts).await?;
        }
    }
    if again.is_none() {
        again = apply(projection, &mut transaction, &mut facts).await?;
    }
    match &again {
        Some(still) => park(&mut transaction, share, std::slice::from_ref(still)).await?,
        None => free(&mut transaction, share, &asked.stream).await?,
    }
    transaction.commit().await?;
    Ok(again)
}

async fn apply<P: Projection>(
    projection: &P,
    transaction: &mut PgConnection,
    facts: &mut Vec<Fact>,
) -> Result<Option<Park>, StepError> {
    let facts = std::mem::take(facts);
    Ok(apply_by_stream(projection, transaction, &facts).await?.pop())
}

async fn note_skipped(
    transaction: &mut PgConnection,
    share: &Share,
    asked: &Asked,
) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "INSERT INTO skipped_events (name, version, stream, revision, event_type, error, reason, skipped_by)
         SELECT name, version, stream, revision, event_type, error, coalesce(reason, ''), coalesce(asked_by, '')
         FROM parked_streams WHERE name = $1 AND version = $2 AND stream = $3
         ON CONFLICT DO NOTHING",
        share.name,
        share.version,
        asked.stream
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn free(transaction: &mut PgConnection, share: &Share, stream: &str) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "DELETE FROM parked_streams WHERE name = $1 AND version = $2 AND stream = $3",
        share.name,
        share.version,
        stream
    )
    .execute(transaction)
    .await?;
    Ok(())
}
