//! Another version serves.

use super::{Version, VersionError, VersionState, announce, begin, execute, list, stop, wait_at_most};
use crate::share::schema_of;
use event_store::LogId;
use sqlx::PgConnection;
use std::time::Duration;
use tokio::time::Instant;

/// How long the version that serves may be held up for the other one.
const CATCH_UP_WITHIN: Duration = Duration::from_secs(2);
/// How long queries may be kept waiting for those that are under way.
const QUERIES_WAIT: Duration = Duration::from_millis(100);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Which version is to serve.
#[derive(Debug, Clone, Copy)]
pub struct Switch {
    /// The version; without it, the newest that does not serve.
    pub to: Option<i32>,
    /// The `VERSION` of the rules by which the program fills tables.
    pub rules: i32,
    /// Whether it may serve although it has parked streams that the one that serves has not.
    pub even_with_parked: bool,
    /// The log that the version must be of; none for whichever.
    pub log_id: Option<LogId>,
}

/// Lets another version serve, in one transaction. The one that served goes on following, so that the switch can be
/// taken back the same way.
///
/// # Errors
/// [`VersionError::OtherRules`] when nobody with this program fills the version, [`VersionError::AnotherLog`] when nobody
/// fills it any more, [`VersionError::Behind`] when queries would go back in time, [`VersionError::Busy`] when queries hold the tables,
/// [`VersionError::Parked`] when rows that are right now would be missing, and when there is no such version or no database.
pub async fn switch(
    connection: &mut PgConnection,
    name: &str,
    tables: &[&str],
    Switch { to, rules, even_with_parked, log_id }: Switch,
) -> Result<i32, VersionError> {
    let mut transaction = begin(connection, name).await?;
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
    if next.rules != rules {
        let (name, version, ours) = (name.to_owned(), next.version, rules);
        return Err(VersionError::OtherRules { name, version, rules: next.rules, ours });
    }
    if log_id.is_some_and(|log_id| !next.is_of(log_id)) {
        return Err(VersionError::AnotherLog { name: name.to_owned(), version: next.version });
    }
    stop(&mut transaction, name, serving.version).await?;
    // Both follow the same log, each at its own pace: the one that serves waits for the other. One of another log does not
    // move any more.
    if serving.is_comparable_with(next) {
        catch_up(&mut transaction, name, serving.version, next.version).await?;
    }
    stop(&mut transaction, name, next.version).await?;
    if !even_with_parked {
        let streams = newly_parked(&mut transaction, name, next.version).await?;
        if !streams.is_empty() {
            return Err(VersionError::Parked { name: name.to_owned(), version: next.version, streams });
        }
    }
    let (from, to) = (schema_of(name, next.version), schema_of(name, serving.version));
    let all =
        tables.iter().map(|table| format!("public.{table}, {from}.{table}")).collect::<Vec<_>>().join(", ");
    // All queries that come now wait behind us.
    wait_at_most(&mut transaction, QUERIES_WAIT).await?;
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

/// The streams that stand still in this version at an event that the version that serves has applied.
///
/// # Errors
/// When the database does not answer.
pub async fn newly_parked(
    connection: &mut PgConnection,
    name: &str,
    version: i32,
) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar!(
        "SELECT n.stream FROM parked_streams AS n
         WHERE n.name = $1 AND n.version = $2 AND NOT EXISTS (
             SELECT FROM parked_streams AS p JOIN projection_versions AS v USING (name, version)
             WHERE p.name = n.name AND v.state = 'serving' AND p.stream = n.stream AND p.revision <= n.revision)
         ORDER BY n.position",
        name,
        version
    )
    .fetch_all(connection)
    .await
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
