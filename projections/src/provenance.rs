//! The read models belong to one event log: they name its first event, and follow no other.

use event_store::{EventStore, EventStoreError, SubscriptionItem};
use futures::{StreamExt, TryStreamExt, pin_mut};
use sqlx::PgPool;
use thiserror::Error;
use uuid::Uuid;

/// Why the read models cannot be brought up to date.
#[derive(Debug, Error)]
pub enum ProvenanceError {
    /// They were made from another log.
    #[error(
        "the read models were made from another event log (its first event was {known}): give an empty database, or \
         the event log that belongs to this one"
    )]
    AnotherLog {
        /// The first event of the log that they were made from.
        known: Uuid,
    },
    #[error("the database does not answer")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    EventStore(#[from] EventStoreError),
}

/// Whether the read models were made from this log, or from none yet.
///
/// # Errors
/// [`ProvenanceError::AnotherLog`] when they were not; the others when nobody could be asked.
pub async fn check(pool: &PgPool, store: &EventStore) -> Result<(), ProvenanceError> {
    let Some(known) =
        sqlx::query_scalar!("SELECT first_event_id FROM event_log").fetch_optional(pool).await?
    else {
        return Ok(());
    };
    let events = store.read_all(None, 1);
    pin_mut!(events);
    let first = events.try_next().await?.map(|event| event.id);
    if first == Some(known) { Ok(()) } else { Err(ProvenanceError::AnotherLog { known }) }
}

/// Notes the log's first event as soon as there is one.
///
/// # Errors
/// When the database does not answer.
pub async fn note(pool: &PgPool, store: &EventStore) -> Result<(), sqlx::Error> {
    let items = store.subscribe_all(None);
    pin_mut!(items);
    while let Some(item) = items.next().await {
        if let SubscriptionItem::Event(first) = item {
            sqlx::query!(
                "INSERT INTO event_log (first_event_id) VALUES ($1) ON CONFLICT DO NOTHING",
                first.id
            )
            .execute(pool)
            .await?;
            return Ok(());
        }
    }
    Ok(())
}
