//! Which versions of a projection's tables there are, and which one serves.

use crate::projection::Projection;
use crate::share::schema_of;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use std::time::Duration;
use thiserror::Error;
use tokio::time::Instant;

/// The channel on which a projection's name is announced whenever something about its versions has changed.
pub const VERSIONS_CHANNEL: &str = "projection_versions";
/// How long a switch may wait for the queries that are under way; all others wait behind it.
const LOCK_WITHIN: Duration = Duration::from_secs(2);
/// How long the version that serves may be held up for the other one.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(2);
const LOOK_EVERY: Duration = Duration::from_millis(5);

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
}

/// What a version is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// It is filled from the first event on.
    Building,
    /// Queries read it.
    Serving,
    /// Queries have read it, and may do so again: it goes on following.
    Standby,
}

impl VersionState {
    /// As the database and the metrics have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Serving => "serving",
            Self::Standby => "standby",
        }
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
    #[error("the queries under way did not let the tables go in time: try again")]
    Busy,
    #[error("the database does not answer")]
    Database(#[source] sqlx::Error),
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
        r#"SELECT v.version, v.rules, v.shards, v.state, v.switches,
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

/// Makes empty tables for a new version, which a worker then fills from the first event on. Versions that neither
/// serve nor are the newest on standby are dropped.
///
/// # Errors
/// [`VersionError::Rebuilding`] when there is one already, or when the database does not answer.
pub async fn make(
    connection: &mut PgConnection,
    name: &str,
    tables: &[&str],
    new: NewVersion,
) -> Result<i32, VersionError> {
    let mut transaction = connection.begin().await?;
    lock(&mut transaction, name).await?;
    let versions = list(&mut transaction, name).await?;
    if let Some(building) = versions.iter().find(|version| version.state == VersionState::Building) {
        return Err(VersionError::Rebuilding { name: name.to_owned(), version: building.version });
    }
    for old in versions.iter().filter(|version| version.state == VersionState::Standby) {
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

/// Lets another version serve, in one transaction. The one that served goes on following, so that the switch can be
/// taken back the same way. Without a version, the newest other one.
///
/// # Errors
/// [`VersionError::Behind`] when queries would go back in time, [`VersionError::Busy`] when queries hold the tables,
/// and when there is no such version or no database.
pub async fn switch(
    connection: &mut PgConnection,
    name: &str,
    tables: &[&str],
    to: Option<i32>,
) -> Result<i32, VersionError> {
    let mut transaction = connection.begin().await?;
    let within = LOCK_WITHIN.as_millis();
    execute(&mut transaction, format!("SET LOCAL lock_timeout = '{within}ms'")).await?;
    lock(&mut transaction, name).await?;
    let versions = list(&mut transaction, name).await?;
    let is_serving = |version: &&Version| version.state == VersionState::Serving;
    let serving =
        versions.iter().find(is_serving).ok_or_else(|| VersionError::UnknownProjection(name.to_owned()))?;
    let wanted = match to {
        Some(wanted) => versions.iter().find(|version| version.version == wanted),
        None => versions.iter().rev().find(|version| !is_serving(version)),
    };
    let next = match (wanted, to) {
        (Some(next), _) => next,
        (None, Some(version)) => return Err(VersionError::UnknownVersion { name: name.to_owned(), version }),
        (None, None) => return Err(VersionError::NoOther(name.to_owned())),
    };
    if next.version == serving.version {
        return Err(VersionError::Serves { name: name.to_owned(), version: next.version });
    }
    // Both follow the same log, each at its own pace: the one that serves waits for the other.
    stop(&mut transaction, name, serving.version).await?;
    catch_up(&mut transaction, name, serving.version, next.version).await?;
    stop(&mut transaction, name, next.version).await?;
    let (from, to) = (schema_of(name, next.version), schema_of(name, serving.version));
    let all =
        tables.iter().map(|table| format!("public.{table}, {from}.{table}")).collect::<Vec<_>>().join(", ");
    execute(&mut transaction, format!("LOCK TABLE {all} IN ACCESS EXCLUSIVE MODE")).await?;
    execute(&mut transaction, format!("CREATE SCHEMA IF NOT EXISTS {to}")).await?;
    for table in tables {
        execute(&mut transaction, format!("ALTER TABLE public.{table} SET SCHEMA {to}")).await?;
        execute(&mut transaction, format!("ALTER TABLE {from}.{table} SET SCHEMA public")).await?;
    }
    sqlx::query!(
        "UPDATE projection_versions SET state = 'standby' WHERE name = $1 AND version = $2",
        name,
        serving.version
    )
    .execute(&mut *transaction)
    .await?;
    sqlx::query!(
        "UPDATE projection_versions SET state = 'serving', switches = false WHERE name = $1 AND version = $2",
        name,
        next.version
    )
    .execute(&mut *transaction)
    .await?;
    announce(&mut transaction, name).await?;
    transaction.commit().await?;
    Ok(next.version)
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

/// Waits until a version is where the one that serves was stopped.
async fn catch_up(
    transaction: &mut PgConnection,
    name: &str,
    serving: i32,
    next: i32,
) -> Result<(), VersionError> {
    let deadline = Instant::now() + CATCH_UP_WITHIN;
    loop {
        let versions = list(transaction, name).await?;
        let position = |wanted| versions.iter().find(|version| version.version == wanted)?.position;
        let (reached, wanted) = (position(next), position(serving));
        if reached >= wanted {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(VersionError::Behind { name: name.to_owned(), version: next, reached, wanted });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
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
    execute(transaction, format!("DROP SCHEMA IF EXISTS {} CASCADE", schema_of(name, version))).await?;
    sqlx::query!("DELETE FROM projection_versions WHERE name = $1 AND version = $2", name, version)
        .execute(transaction)
        .await?;
    Ok(())
}

async fn announce(transaction: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
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
