//! Everything that is to be known of the projections: their versions, how far each is, what is parked.

use crate::board::Board;
use crate::catalogue;
use crate::databases::{Database, Databases};
use crate::lag::{Lag, pace};
use crate::status::Status;
use crate::versions::{VersionState, state_of};
use api::projections::{Projection, ProjectionVersion, RebuildProgress};
use chrono::{DateTime, Utc};
use event_store::{EventStore, EventStoreError, LogId, Position};
use std::collections::HashMap;
use thiserror::Error;
use uuid::Uuid;

/// Why nothing can be said.
#[derive(Debug, Error)]
pub enum OverviewError {
    #[error("the database does not answer")]
    Database(#[from] sqlx::Error),
    #[error(transparent)]
    EventStore(#[from] EventStoreError),
}

/// A version as the database has it.
struct Row {
    name: String,
    version: i32,
    state: String,
    rules: i32,
    shards: i16,
    position: Option<i64>,
    events_applied: i64,
    moved_at: Option<DateTime<Utc>>,
    made_at: DateTime<Utc>,
    parked_streams: i64,
    newly_parked: i64,
    skipped_events: i64,
    switches: bool,
    log_id: Option<Uuid>,
    /// Or it seems so, and is about to be seen.
    is_lost: bool,
}

impl Row {
    /// Whether it was filled, and from another log than this. Which log it is of is noted a moment after it is made.
    fn is_of_another_log(&self, log_id: LogId) -> bool {
        let is_filled = self.position.is_some() || self.events_applied > 0;
        self.is_lost || self.log_id.map_or(is_filled, |filled_from| LogId::new(filled_from) != log_id)
    }
}

/// All projections of this program, whoever fills them.
///
/// # Errors
/// When the database or the event store does not answer.
pub async fn overview(
    databases: &Databases,
    store: &EventStore,
    board: &Board,
) -> Result<Vec<Projection>, OverviewError> {
    let log_id = store.log_identity().await?.id();
    let head = store.head().await?;
    let mut all = Vec::new();
    for database in databases.all() {
        all.extend(rows(database).await?);
    }
    let statuses = board.statuses();
    let now = Utc::now();
    // Most have come equally far.
    let mut lags: HashMap<Option<Position>, Lag> = HashMap::new();
    let mut views: Vec<_> = catalogue::ALL
        .into_iter()
        .map(|entry| Projection { name: entry.name.to_owned(), rules: entry.rules, versions: Vec::new() })
        .collect();
    for row in all {
        let Some(view) = views.iter_mut().find(|view| view.name == row.name) else { continue };
        let position = row.position.and_then(|position| u64::try_from(position).ok()).map(Position::new);
        let is_of_another_log = row.is_of_another_log(log_id);
        let reached = position.filter(|_| !is_of_another_log);
        let lag = match lags.get(&reached) {
            Some(lag) => *lag,
            None => *lags.entry(reached).or_insert(store.lag(reached, head, now).await?),
        };
        let state = state_of(&row.state);
        let is_mine = |status: &&Status| status.name == view.name && status.version == row.version;
        view.versions.push(ProjectionVersion {
            version: row.version,
            state,
            rules: row.rules,
            shards: row.shards,
            position: position.map(Position::value),
            log_id: row.log_id,
            is_of_another_log,
            lag: api::projections::Lag {
                events: lag.events,
                is_estimate: lag.is_estimate,
                seconds: lag.seconds,
            },
            pace: pace(lag, row.moved_at, now),
            events_applied: row.events_applied,
            parked_streams: row.parked_streams,
            newly_parked: row.newly_parked,
            switches: row.switches,
            skipped_events: row.skipped_events,
            progress: (state == VersionState::Building).then(|| progress(&row, position, head, now)),
            workers: statuses.iter().filter(is_mine).map(Status::told).collect(),
        });
    }
    Ok(views)
}

/// The versions of the projections whose tables are in this database. Others may have been in it once.
async fn rows(database: &Database) -> Result<Vec<Row>, sqlx::Error> {
    let mut rows = sqlx::query_as!(
        Row,
        r#"SELECT v.name, v.version, v.state, v.rules, v.shards, v.switches, v.made_at, v.log_id,
                  v.is_lost OR coalesce(bool_or(c.log_seems_short), false) AS "is_lost!",
                  CASE WHEN count(c.position) = v.shards THEN min(c.position) END AS position,
                  coalesce(sum(c.events_applied), 0)::bigint AS "events_applied!",
                  min(c.updated_at) AS moved_at,
                  (SELECT count(*) FROM parked_streams AS p WHERE (p.name, p.version) = (v.name, v.version))
                      AS "parked_streams!",
                  (SELECT count(*) FROM parked_streams AS n
                   WHERE (n.name, n.version) = (v.name, v.version) AND NOT EXISTS (
                       SELECT FROM parked_streams AS p JOIN projection_versions AS o USING (name, version)
                       WHERE p.name = n.name AND o.state = 'serving' AND p.stream = n.stream
                         AND p.revision <= n.revision)) AS "newly_parked!",
                  (SELECT count(*) FROM skipped_events AS s WHERE (s.name, s.version) = (v.name, v.version))
                      AS "skipped_events!"
           FROM projection_versions AS v LEFT JOIN projection_checkpoints AS c USING (name, version)
           GROUP BY v.name, v.version ORDER BY v.name, v.version"#
    )
    .fetch_all(&database.pool)
    .await?;
    rows.retain(|row| database.entries().any(|entry| entry.name == row.name));
    Ok(rows)
}

/// How far a rebuild is.
fn progress(
    row: &Row,
    position: Option<Position>,
    head: Option<Position>,
    now: DateTime<Utc>,
) -> RebuildProgress {
    #[expect(clippy::cast_precision_loss, reason = "a share of a hundred needs no more digits")]
    let value = |position: Option<Position>| position.map_or(0.0, |position| position.value() as f64);
    #[expect(clippy::cast_precision_loss, reason = "a speed needs no more digits")]
    let events = row.events_applied as f64;
    let seconds = (now - row.made_at).as_seconds_f64().max(0.001);
    let share = if head.is_some() { (value(position) / value(head).max(1.0)).min(1.0) } else { 1.0 };
    let left = (share > 0.0).then(|| seconds * (1.0 - share) / share);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is rounded, and not negative"
    )]
    let seconds_left = left.map(|left| left.ceil() as u64);
    RebuildProgress {
        percent: (share * 1_000.0).round() / 10.0,
        events_per_second: (events / seconds).round(),
        seconds_left,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::just_made(None, None, false)]
    #[case::from_before_logs_had_ids(None, Some(7), true)]
    #[case::of_this_log(Some(1), Some(7), false)]
    #[case::not_begun(Some(1), None, false)]
    #[case::of_another(Some(2), Some(7), true)]
    fn what_nothing_was_applied_to_is_of_no_other_log(
        #[case] log_id: Option<u128>,
        #[case] position: Option<i64>,
        #[case] is_of_another: bool,
    ) {
        let row = Row {
            name: "products".to_owned(),
            version: 1,
            state: "serving".to_owned(),
            rules: 1,
            shards: 1,
            position,
            events_applied: 0,
            moved_at: None,
            made_at: DateTime::UNIX_EPOCH,
            parked_streams: 0,
            newly_parked: 0,
            skipped_events: 0,
            switches: false,
            log_id: log_id.map(Uuid::from_u128),
            is_lost: false,
        };
        assert_eq!(row.is_of_another_log(LogId::new(Uuid::from_u128(1))), is_of_another);
    }
}
