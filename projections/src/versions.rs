//! Which versions of a projection's tables there are, and which one serves.

mod switching;

pub use switching::{Switch, newly_parked, switch};

use crate::projection::Projection;
use crate::share::schema_of;
pub use api::projections::VersionState;
use event_store::{EventStoreError, LogId};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgTransaction};
use std::time::Duration;
use thiserror::Error;

/// The channel on which a projection's name is announced whenever something about its versions has changed.
pub const VERSIONS_CHANNEL: &str = "projection_versions";
/// How long a change of the versions may wait for what workers and others have under way.
const LOCK_WITHIN: Duration = Duration::from_secs(2);

/// A version of a projection's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Counts from 1.
    pub version: i32,
    /// The projection's `VERSION` in the program that fills it.
    pub rules: i32,
    /// In how many parts it is filled.
    pub shards: i16,
    /// What it is for.
    pub state: VersionState,
    /// Whether it serves by itself as soon as it has caught up.
    pub switches: bool,
    /// How far all of it is filled at least.
    pub position: Option<i64>,
    /// The log whose places its positions are; none if nobody knows.
    pub log_id: Option<LogId>,
    /// That log has lost events that it has applied.
    pub is_lost: bool,
}

impl Version {
    /// Whether it can go on with this log.
    #[must_use]
    pub fn is_of(&self, log_id: LogId) -> bool {
        self.log_id == Some(log_id) && !self.is_lost
    }

    /// Whether its positions and the other one's are places in the same log.
    #[must_use]
    pub fn is_comparable_with(&self, other: &Self) -> bool {
        self.log_id == other.log_id && !self.is_lost && !other.is_lost
    }
}

/// Why the versions stay as they are.
#[derive(Debug, Error)]
pub enum VersionError {
    #[error("there is no projection `{0}`")]
    UnknownProjection(String),
    #[error("`{name}` has no version {version}")]
    UnknownVersion { name: String, version: i32 },
    #[error("version {version} of `{name}` serves already")]
    Serves { name: String, version: i32 },
    #[error("`{0}` has no other version to switch to: rebuild it first")]
    NoOther(String),
    #[error(
        "version {version} of `{name}` has come to {reached:?}, and the one that serves to {wanted:?}: wait until it has \
         caught up"
    )]
    Behind { name: String, version: i32, reached: Option<i64>, wanted: Option<i64> },
    #[error("`{name}` is being rebuilt already: version {version}")]
    Rebuilding { name: String, version: i32 },
    #[error(
        "version {version} of `{name}` is being filled by newer rules ({rules}) than this program's ({ours}): run the \
         newer program, or abandon that version"
    )]
    NewerRules { name: String, version: i32, rules: i32, ours: i32 },
    #[error("`{0}` is not being rebuilt: there is nothing to abandon")]
    NotRebuilding(String),
    #[error(
        "version {version} of `{name}` was filled by other rules ({rules}) than this program's ({ours}), so nobody fills it \
         here: let the program with its rules switch to it"
    )]
    OtherRules { name: String, version: i32, rules: i32, ours: i32 },
    #[error(
        "version {version} of `{name}` has parked streams that the one that serves has not, and their rows would be missing \
         ({}): mend what is wrong with them, or let it serve even so",
        named(streams)
    )]
    Parked { name: String, version: i32, streams: Vec<String> },
    #[error(
        "version {version} of `{name}` was filled from another log than the shop's present one, or from one that has lost its \
         end since: let another be filled"
    )]
    AnotherLog { name: String, version: i32 },
    #[error(transparent)]
    EventStore(#[from] EventStoreError),
    #[error("the queries under way did not let the tables go in time: try again")]
    Busy,
    #[error("the database does not answer")]
    Database(#[source] sqlx::Error),
}

/// The first of the streams, and how many more there are.
fn named(streams: &[String]) -> String {
    const NAMED: usize = 5;
    let first = streams.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
    match streams.len().saturating_sub(NAMED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

impl From<sqlx::Error> for VersionError {
    fn from(error: sqlx::Error) -> Self {
        // lock_not_available
        let is_busy =
            error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "55P03");
        if is_busy { Self::Busy } else { Self::Database(error) }
    }
}

/// Makes the first version of a projection known, which serves; its tables are there from the migrations.
///
/// # Errors
/// When the database does not answer.
pub async fn ensure<P: Projection>(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    let made = sqlx::query!(
        "INSERT INTO projection_versions (name, version, rules, state)
         SELECT $1, 1, $2, 'serving' WHERE NOT EXISTS (SELECT FROM projection_versions WHERE name = $1)
         ON CONFLICT DO NOTHING",
        P::NAME,
        P::VERSION
    )
    .execute(&mut *connection)
    .await?;
    // Whoever reads may have looked before: what a version that nobody knows has applied is passed over.
    if made.rows_affected() > 0 { announce(connection, P::NAME).await } else { Ok(()) }
}

/// The versions of a projection, the oldest first.
///
/// # Errors
/// When the database does not answer.
pub async fn list(connection: &mut PgConnection, name: &str) -> Result<Vec<Version>, sqlx::Error> {
    let rows = sqlx::query!(
        r#"SELECT v.version, v.rules, v.shards, v.state, v.switches, v.log_id, v.is_lost,
                  CASE WHEN count(c.position) = v.shards THEN min(c.position) END AS position
           FROM projection_versions AS v LEFT JOIN projection_checkpoints AS c USING (name, version)
           WHERE v.name = $1
           GROUP BY v.name, v.version ORDER BY v.version"#,
        name
    )
    .fetch_all(connection)
    .await?;
    let version = rows.into_iter().map(|row| Version {
        version: row.version,
        rules: row.rules,
        shards: row.shards,
        state: state_of(&row.state),
        switches: row.switches,
        position: row.position,
        log_id: row.log_id.map(LogId::new),
        is_lost: row.is_lost,
    });
    Ok(version.collect())
}

pub(crate) fn state_of(stored: &str) -> VersionState {
    match stored {
        "serving" => VersionState::Serving,
        "standby" => VersionState::Standby,
        _ => VersionState::Building,
    }
}

/// What a new version is made of.
#[derive(Debug, Clone, Copy)]
pub struct NewVersion {
    /// The `VERSION` of the rules that fill it.
    pub rules: i32,
    /// In how many parts it is filled.
    pub shards: i16,
    /// Whether it serves by itself as soon as it has caught up.
    pub switches: bool,
}

/// Makes empty tables for a new version, which a worker then fills from the first event on. What is on standby is
/// dropped, and so is a version that is being filled by older rules: the program that has them is about to go, or has
/// gone, and nobody would ever finish it.
///
/// # Errors
/// [`VersionError::Rebuilding`] and [`VersionError::NewerRules`] when one is being filled already,
/// [`VersionError::Busy`] when somebody holds what is to be dropped, or when the database does not answer.
pub async fn make(
    connection: &mut PgConnection,
    name: &str,
    tables: &[&str],
    new: NewVersion,
) -> Result<i32, VersionError> {
    let mut transaction = begin(connection, name).await?;
    let versions = list(&mut transaction, name).await?;
    if let Some(building) = versions.iter().find(|version| version.state == VersionState::Building) {
        let (name, version, rules, ours) = (name.to_owned(), building.version, building.rules, new.rules);
        if rules == ours {
            return Err(VersionError::Rebuilding { name, version });
        }
        // Not dropped: two programs would take each other's version away for ever.
        if rules > ours {
            return Err(VersionError::NewerRules { name, version, rules, ours });
        }
    }
    for old in versions.iter().filter(|version| version.state != VersionState::Serving) {
        drop_version(&mut transaction, name, old.version).await?;
    }
    let version = versions.last().map_or(1, |version| version.version + 1);
    let schema = schema_of(name, version);
    execute(&mut transaction, format!("CREATE SCHEMA {schema}")).await?;
    for table in tables {
        execute(
            &mut transaction,
            format!("CREATE TABLE {schema}.{table} (LIKE public.{table} INCLUDING ALL)"),
        )
        .await?;
        let options = sqlx::query_scalar!(
            "SELECT array_to_string(reloptions, ', ') FROM pg_class WHERE oid = ('public.' || $1)::regclass",
            *table
        )
        .fetch_one(&mut *transaction)
        .await?;
        if let Some(options) = options {
            execute(&mut transaction, format!("ALTER TABLE {schema}.{table} SET ({options})")).await?;
        }
    }
    sqlx::query!(
        "INSERT INTO projection_versions (name, version, rules, shards, state, switches)
         VALUES ($1, $2, $3, $4, 'building', $5)",
        name,
        version,
        new.rules,
        new.shards,
        new.switches
    )
    .execute(&mut *transaction)
    .await?;
    announce(&mut transaction, name).await?;
    transaction.commit().await?;
    Ok(version)
}

/// Drops the version that is being filled, whoever fills it, and says which it was.
///
/// # Errors
/// [`VersionError::NotRebuilding`] when there is none, [`VersionError::Busy`] when somebody holds its tables, or when the
/// database does not answer.
pub async fn abandon(connection: &mut PgConnection, name: &str) -> Result<i32, VersionError> {
    let mut transaction = begin(connection, name).await?;
    let versions = list(&mut transaction, name).await?;
    let building = versions.iter().find(|version| version.state == VersionState::Building);
    let version = building.ok_or_else(|| VersionError::NotRebuilding(name.to_owned()))?.version;
    drop_version(&mut transaction, name, version).await?;
    announce(&mut transaction, name).await?;
    transaction.commit().await?;
    Ok(version)
}

/// Begins a change of a projection's versions, which gives up when others hold for too long what it needs.
async fn begin<'c>(connection: &'c mut PgConnection, name: &str) -> Result<PgTransaction<'c>, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    wait_at_most(&mut transaction, LOCK_WITHIN).await?;
    lock(&mut transaction, name).await?;
    Ok(transaction)
}

/// From now on nothing in the transaction waits longer for what others hold.
async fn wait_at_most(transaction: &mut PgConnection, within: Duration) -> Result<(), sqlx::Error> {
    execute(transaction, format!("SET LOCAL lock_timeout = '{}ms'", within.as_millis())).await
}

/// Holds all checkpoints of a version where they are until the end of the transaction.
async fn stop(transaction: &mut PgConnection, name: &str, version: i32) -> Result<(), sqlx::Error> {
    sqlx::query!(
        "SELECT 1 AS one FROM projection_checkpoints WHERE name = $1 AND version = $2 ORDER BY shard FOR UPDATE",
        name,
        version
    )
    .fetch_all(transaction)
    .await?;
    Ok(())
}

/// One change of a projection's versions at a time.
async fn lock(transaction: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    let key = format!("emporium versions of {name}");
    sqlx::query_scalar!(r#"SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text AS "done""#, key)
        .fetch_one(transaction)
        .await?;
    Ok(())
}

async fn drop_version(transaction: &mut PgConnection, name: &str, version: i32) -> Result<(), sqlx::Error> {
    // In the order in which its workers lock: first the checkpoint, then the tables.
    stop(transaction, name, version).await?;
    execute(transaction, format!("DROP SCHEMA IF EXISTS {} CASCADE", schema_of(name, version))).await?;
    sqlx::query!("DELETE FROM projection_versions WHERE name = $1 AND version = $2", name, version)
        .execute(transaction)
        .await?;
    Ok(())
}

/// Tells everybody who watches that something about the versions has changed, at the end of the transaction.
pub(crate) async fn announce(transaction: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    sqlx::query_scalar!(r#"SELECT pg_notify('projection_versions', $1)::text AS "done""#, name)
        .fetch_one(transaction)
        .await?;
    Ok(())
}

/// A statement whose names are this program's own.
async fn execute(connection: &mut PgConnection, statement: String) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await?;
    Ok(())
}
