//! Pages of a selection: where in the log its events are, by the read model `trail`, or the events of one stream.

use super::Filter;
use api::audit::Direction;
use chrono::{DateTime, Utc};
use event_store::{EventStore, EventStoreError, Position, RecordedEvent};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use sqlx::PgConnection;
use uuid::Uuid;

/// A part of the index.
struct Part {
    kinds: Option<Vec<i64>>,
    correlation: Option<Uuid>,
    from: Option<DateTime<Utc>>,
    to: Option<DateTime<Utc>>,
    /// Positions, both inside.
    low: i64,
    high: i64,
    limit: i64,
}

/// Where the next events of the selection are, after the last one of the page before.
pub async fn page_of_index(
    database: &mut PgConnection,
    filter: &Filter,
    direction: Direction,
    after: Option<u64>,
    limit: i64,
) -> Result<Vec<Position>, sqlx::Error> {
    let (mut low, mut high) =
        (filter.from_position.map_or(0, stored), filter.to_position.map_or(i64::MAX, stored));
    if let Some(after) = after.map(|after| stored(Position::new(after))) {
        match direction {
            Direction::Forwards => low = low.max(after.saturating_add(1)),
            Direction::Backwards => high = high.min(after.saturating_sub(1)),
        }
    }
    let kinds = kinds(&mut *database, filter).await?;
    let Filter { correlation, from, to, .. } = *filter;
    let part = Part { kinds, correlation, from, to, low, high, limit };
    let found = match (&part.kinds, part.correlation, direction) {
        (Some(kinds), None, Direction::Forwards) => each_kind_forwards(database, &part, kinds).await?,
        (Some(kinds), None, Direction::Backwards) => each_kind_backwards(database, &part, kinds).await?,
        (_, _, Direction::Forwards) => forwards(database, &part).await?,
        (_, _, Direction::Backwards) => backwards(database, &part).await?,
    };
    Ok(found.into_iter().filter_map(|position| u64::try_from(position).ok()).map(Position::new).collect())
}

/// Where all events of a purchase are.
pub async fn of_correlation(
    database: &mut PgConnection,
    correlation: Uuid,
) -> Result<Vec<Position>, sqlx::Error> {
    let filter = Filter { correlation: Some(correlation), ..Filter::default() };
    page_of_index(database, &filter, Direction::Forwards, None, i64::MAX).await
}

fn stored(position: Position) -> i64 {
    i64::try_from(position.value()).unwrap_or(i64::MAX)
}

/// The kinds of events that the selection wants; none if it wants all.
async fn kinds(database: &mut PgConnection, filter: &Filter) -> Result<Option<Vec<i64>>, sqlx::Error> {
    if filter.category.is_none() && filter.event_type.is_none() && filter.actor.is_none() {
        return Ok(None);
    }
    let kinds = sqlx::query_scalar!(
        "SELECT kind FROM trail_kinds
         WHERE ($1::text IS NULL OR category = $1) AND ($3::text IS NULL OR actor = $3)
           AND ($2::text IS NULL OR event_type = $2 OR starts_with(event_type, $2 || '.'))",
        filter.category,
        filter.event_type,
        filter.actor
    )
    .fetch_all(database)
    .await?;
    Ok(Some(kinds))
}

/// The first of each kind, and of these the first: each kind is one look into its own part of an index.
async fn each_kind_forwards(
    database: &mut PgConnection,
    part: &Part,
    kinds: &[i64],
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT t.position AS "position!" FROM unnest($1::bigint[]) AS k (kind) CROSS JOIN LATERAL (
               SELECT position FROM trail
               WHERE kind = k.kind AND position BETWEEN $2 AND $3
                 AND ($4::timestamptz IS NULL OR occurred_at >= $4)
                 AND ($5::timestamptz IS NULL OR occurred_at < $5)
               ORDER BY position LIMIT $6) AS t
           ORDER BY 1 LIMIT $6"#,
        kinds,
        part.low,
        part.high,
        part.from,
        part.to,
        part.limit
    )
    .fetch_all(database)
    .await
}

async fn each_kind_backwards(
    database: &mut PgConnection,
    part: &Part,
    kinds: &[i64],
) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT t.position AS "position!" FROM unnest($1::bigint[]) AS k (kind) CROSS JOIN LATERAL (
               SELECT position FROM trail
               WHERE kind = k.kind AND position BETWEEN $2 AND $3
                 AND ($4::timestamptz IS NULL OR occurred_at >= $4)
                 AND ($5::timestamptz IS NULL OR occurred_at < $5)
               ORDER BY position DESC LIMIT $6) AS t
           ORDER BY 1 DESC LIMIT $6"#,
        kinds,
        part.low,
        part.high,
        part.from,
        part.to,
        part.limit
    )
    .fetch_all(database)
    .await
}

async fn forwards(database: &mut PgConnection, part: &Part) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT position FROM trail
         WHERE position BETWEEN $1 AND $2 AND ($3::uuid IS NULL OR correlation = $3)
           AND ($4::bigint[] IS NULL OR kind = ANY($4))
           AND ($5::timestamptz IS NULL OR occurred_at >= $5) AND ($6::timestamptz IS NULL OR occurred_at < $6)
         ORDER BY position LIMIT $7",
        part.low,
        part.high,
        part.correlation,
        part.kinds.as_deref(),
        part.from,
        part.to,
        part.limit
    )
    .fetch_all(database)
    .await
}

async fn backwards(database: &mut PgConnection, part: &Part) -> Result<Vec<i64>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT position FROM trail
         WHERE position BETWEEN $1 AND $2 AND ($3::uuid IS NULL OR correlation = $3)
           AND ($4::bigint[] IS NULL OR kind = ANY($4))
           AND ($5::timestamptz IS NULL OR occurred_at >= $5) AND ($6::timestamptz IS NULL OR occurred_at < $6)
         ORDER BY position DESC LIMIT $7",
        part.low,
        part.high,
        part.correlation,
        part.kinds.as_deref(),
        part.from,
        part.to,
        part.limit
    )
    .fetch_all(database)
    .await
}

/// The next events of one stream that are in the selection, after a revision.
pub async fn page_of_stream(
    store: &EventStore,
    stream: &str,
    filter: &Filter,
    direction: Direction,
    (after, limit): (Option<u64>, usize),
) -> Result<Vec<RecordedEvent>, EventStoreError> {
    let events: BoxStream<'static, Result<RecordedEvent, EventStoreError>> = match (direction, after) {
        (Direction::Forwards, after) => {
            let from = after.map_or(0, |after| after.saturating_add(1));
            store.read_stream(stream, from, usize::MAX).boxed()
        }
        (Direction::Backwards, Some(0)) => return Ok(vec![]),
        (Direction::Backwards, after) => {
            store.read_stream_backwards(stream, after.map(|after| after - 1), usize::MAX).boxed()
        }
    };
    events.try_filter(|event| std::future::ready(filter.has(event))).take(limit).try_collect().await
}
