//! Folds the log again and names the rows of a version that differ.
//!
//! The version is looked at as it stands at one moment. The same events, up to each shard's checkpoint of that moment,
//! are applied to empty tables by the same rules; then both are read side by side in the order of their keys. The tables
//! are temporary ones, which the database takes away with their session: whoever asked may be gone before the end.

use crate::checkpoint::StepError;
use crate::fact::{Fact, stored_position};
use crate::moment::{Moment, moment};
use crate::projection::Projection;
use crate::versions::{self, Version, VersionError};
use api::projections::{Comparison, RowDifference};
use event_store::{EventStore, EventStoreError};
use futures::{Stream, StreamExt, TryStreamExt, pin_mut};
use serde_json::Value;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};
use std::cmp::Ordering;
use std::collections::HashSet;
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// Events that are applied together.
const BATCH: usize = 2_000;
/// Where a session's temporary tables are.
const SCRATCH: &str = "pg_temp";
/// What of the temporary tables may stand in memory.
const SCRATCH_BUFFERS: &str = "64MB";
/// Differences that are named; all are counted.
const MAX_NAMED: usize = 100;

/// What to compare.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Which version; without it, the one that serves.
    pub version: Option<i32>,
    /// How many streams of a hundred; without it, all. A projection that adds up over streams is always compared whole.
    pub percent: Option<u8>,
}

/// Why nothing was compared.
#[derive(Debug, Error)]
pub enum CompareError {
    #[error(transparent)]
    Version(#[from] VersionError),
    #[error(transparent)]
    Step(#[from] StepError),
    #[error(transparent)]
    EventStore(#[from] EventStoreError),
    #[error(
        "version {version} of `{name}` is filled by other rules ({rules}) than this program's: compare it with its own"
    )]
    OtherRules { name: &'static str, version: i32, rules: i32 },
    #[error("an event that should be applied cannot be read")]
    Unreadable(#[from] Box<crate::fact::UnreadableFact>),
}

impl From<sqlx::Error> for CompareError {
    fn from(error: sqlx::Error) -> Self {
        Self::Version(error.into())
    }
}

/// Compares a version with what the log says.
///
/// # Errors
/// When there is no such version, or something is away.
pub async fn compare<P: Projection>(
    projection: P,
    database: PgConnectOptions,
    store: EventStore,
    wanted: Wanted,
) -> Result<Comparison, CompareError> {
    let mut reader = database.connect().await?;
    let own = [("synchronous_commit", "off"), ("temp_buffers", SCRATCH_BUFFERS)];
    let mut writer = database.options(own).connect().await?;
    let comparison = Comparing { projection, store }.run(&mut reader, &mut writer, wanted).await?;
    // With the session its tables go.
    writer.close().await?;
    reader.close().await?;
    Ok(comparison)
}

struct Comparing<P> {
    projection: P,
    store: EventStore,
}

impl<P: Projection> Comparing<P> {
    async fn run(
        &self,
        reader: &mut PgConnection,
        writer: &mut PgConnection,
        wanted: Wanted,
    ) -> Result<Comparison, CompareError> {
        let tables = P::TABLES.iter().map(|table| format!("public.{table}")).collect::<Vec<_>>().join(", ");
        let percent = wanted.percent.filter(|_| P::STREAM_COLUMN.is_some());
        let mut folded = Folded::default();
        // Most of it is folded before the rows are held fast: as long as an old state of the database is looked at, no
        // row that was written over can be cleared away, and the longer that takes the slower everything becomes.
        self.prepare(writer).await?;
        let before = moment::<P>(reader, wanted.version).await?;
        self.must_be_of_this_log(reader, before.version).await?;
        self.fold(writer, None, &before, percent, &mut folded).await?;
        // The lock comes before the moment, so that no switch can fall in between.
        let begin =
            format!("BEGIN ISOLATION LEVEL REPEATABLE READ; LOCK TABLE {tables} IN ACCESS SHARE MODE");
        let mut snapshot = reader.begin_with(AssertSqlSafe(begin)).await?;
        let moment = moment::<P>(&mut snapshot, Some(before.version)).await?;
        self.fold(writer, Some(&before), &moment, percent, &mut folded).await?;
        let Folded { events, streams, .. } = folded;
        let streams: Vec<String> = streams.into_iter().collect();
        let mut comparison = Comparison {
            name: P::NAME.to_owned(),
            version: moment.version,
            position: moment.position(),
            events,
            rows: 0,
            parked: moment.parked(),
            differences: 0,
            named: Vec::new(),
        };
        for table in P::TABLES {
            let only =
                P::STREAM_COLUMN.filter(|_| percent.is_some()).map(|column| (column, streams.as_slice()));
            let key = primary_key(&mut snapshot, table).await?;
            let stored = rows(&mut snapshot, &moment.schema, table, &key, only);
            let refolded = rows(writer, SCRATCH, table, &key, only);
            side_by_side(table, stored, refolded, &mut comparison).await?;
        }
        snapshot.rollback().await?;
        Ok(comparison)
    }

    /// Its positions are no places in another log.
    async fn must_be_of_this_log(&self, reader: &mut PgConnection, version: i32) -> Result<(), CompareError> {
        let log_id = self.store.log_identity().await?.id();
        let all = versions::list(reader, P::NAME).await?;
        let is_anothers = |known: &&Version| known.version == version && !known.is_of(log_id);
        match all.iter().find(is_anothers).filter(|known| known.position.is_some()) {
            Some(_) => Err(VersionError::AnotherLog { name: P::NAME.to_owned(), version }.into()),
            None => Ok(()),
        }
    }

    /// Makes the empty tables.
    async fn prepare(&self, writer: &mut PgConnection) -> Result<(), CompareError> {
        for table in P::TABLES {
            let make = format!("CREATE TEMPORARY TABLE {table} (LIKE public.{table} INCLUDING ALL)");
            execute(writer, make).await?;
        }
        Ok(execute(writer, format!("SET search_path = {SCRATCH}, public")).await?)
    }

    /// Fills the tables with what the version has at a moment and had not at the one before.
    async fn fold(
        &self,
        writer: &mut PgConnection,
        before: Option<&Moment>,
        moment: &Moment,
        percent: Option<u8>,
        folded: &mut Folded,
    ) -> Result<(), CompareError> {
        let (first, last) = (before.and_then(|before| before.unchanged_until(moment)), moment.position());
        let mut batch = Vec::new();
        let events = self.store.read_all(first, usize::MAX);
        pin_mut!(events);
        while let Some(event) = events.try_next().await? {
            if stored_position(event.position) > last {
                break;
            }
            let is_new = moment.has(&event) && !before.is_some_and(|before| before.has(&event));
            if !P::wants(&event) || !is_new || !is_sampled(&event.stream, percent) {
                continue;
            }
            if percent.is_some() {
                folded.streams.insert(event.stream_id().to_owned());
            }
            batch.push(P::read(&event).map_err(Box::new)?);
            folded.events += 1;
            if batch.len() == BATCH {
                self.apply(writer, &mut batch, folded).await?;
            }
        }
        self.apply(writer, &mut batch, folded).await
    }

    async fn apply(
        &self,
        writer: &mut PgConnection,
        batch: &mut Vec<Fact>,
        folded: &mut Folded,
    ) -> Result<(), CompareError> {
        let mut transaction = writer.begin().await?;
        let facts = std::mem::take(batch);
        self.projection.apply(&mut transaction, &facts).await.map_err(StepError::from)?;
        transaction.commit().await?;
        folded.batches += 1;
        // Nobody else can see temporary tables: the database does not look by itself how they grow, and would read
        // them from end to end for each batch.
        if folded.batches.is_power_of_two() {
            execute(writer, format!("ANALYZE {}", P::TABLES.join(", "))).await?;
        }
        Ok(())
    }
}

/// What was folded so far.
#[derive(Default)]
struct Folded {
    events: u64,
    batches: u64,
    /// The ids of the streams, if they are a sample.
    streams: HashSet<String>,
}

fn is_sampled(stream: &str, percent: Option<u8>) -> bool {
    percent.is_none_or(|percent| xxh3_64(stream.as_bytes()) % 100 < u64::from(percent))
}

/// The columns of a table's primary key; none if it has none.
async fn primary_key(connection: &mut PgConnection, table: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        r#"SELECT a.attname::text AS "name!"
           FROM pg_index AS i, LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place), pg_attribute AS a
           WHERE i.indrelid = ('public.' || $1)::regclass AND i.indisprimary
             AND a.attrelid = i.indrelid AND a.attnum = k.attnum
           ORDER BY k.place"#,
        table
    )
    .fetch_all(connection)
    .await
}

/// Key and row, both as text, in the order of the keys.
type Row = (String, String);

fn rows<'a>(
    connection: &'a mut PgConnection,
    schema: &str,
    table: &str,
    key: &[String],
    only: Option<(&'static str, &'a [String])>,
) -> impl Stream<Item = Result<Row, sqlx::Error>> + 'a {
    let key = if key.is_empty() {
        "to_jsonb(t)".to_owned()
    } else {
        format!("jsonb_build_array({})", key.join(", "))
    };
    let (condition, ids) = match only {
        Some((column, ids)) => (format!("t.{column}::text = ANY($1)"), ids),
        None => ("$1::text[] IS NOT NULL".to_owned(), &[][..]),
    };
    let select = format!(
        r#"SELECT ({key})::text COLLATE "C" AS key, to_jsonb(t)::text COLLATE "C" AS row
           FROM {schema}.{table} AS t WHERE {condition} ORDER BY 1, 2"#
    );
    sqlx::query_as(AssertSqlSafe(select)).bind(ids).fetch(connection)
}

/// Walks through both in the order of their keys and notes what is not in both.
async fn side_by_side(
    table: &'static str,
    stored: impl Stream<Item = Result<Row, sqlx::Error>>,
    refolded: impl Stream<Item = Result<Row, sqlx::Error>>,
    comparison: &mut Comparison,
) -> Result<(), sqlx::Error> {
    let (stored, refolded) = (stored.peekable(), refolded.peekable());
    pin_mut!(stored, refolded);
    loop {
        let order = match (stored.as_mut().peek().await, refolded.as_mut().peek().await) {
            (None, None) => return Ok(()),
            (Some(Err(_)), _) | (Some(_), None) => Ordering::Less,
            (_, Some(Err(_))) | (None, Some(_)) => Ordering::Greater,
            (Some(Ok(stored)), Some(Ok(refolded))) => stored.0.cmp(&refolded.0),
        };
        let left = if order == Ordering::Greater { None } else { stored.try_next().await? };
        let right = if order == Ordering::Less { None } else { refolded.try_next().await? };
        comparison.rows += u64::from(left.is_some());
        if left != right {
            comparison.differences += 1;
            if comparison.named.len() < MAX_NAMED {
                let key = left.as_ref().or(right.as_ref()).map_or(Value::Null, |(key, _)| json(key));
                let (stored, refolded) = (left.map(|(_, row)| json(&row)), right.map(|(_, row)| json(&row)));
                comparison.named.push(RowDifference { table: table.to_owned(), key, stored, refolded });
            }
        }
    }
}

fn json(text: &str) -> Value {
    // Postgres wrote it.
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}
