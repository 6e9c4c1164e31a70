//! Looking after the projections: their versions, how far each is, what is parked.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// A projection in all its versions.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Projection {
    pub name: String,
    /// The version of its rules in this program.
    pub rules: i32,
    pub versions: Vec<ProjectionVersion>,
}

/// A version of a projection's tables.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProjectionVersion {
    pub version: i32,
    pub state: VersionState,
    /// The version of the rules that fill it.
    pub rules: i32,
    pub shards: i16,
    /// The position up to which all of it is filled.
    pub position: Option<u64>,
    /// The log whose places its positions are; none if nobody knows.
    pub log_id: Option<Uuid>,
    /// It was filled from another log than the present one, or from one that has lost its end since. Nobody goes on with
    /// it.
    pub is_of_another_log: bool,
    pub lag: Lag,
    pub pace: Pace,
    pub events_applied: i64,
    pub parked_streams: i64,
    /// Those of them that stand still at an event that the version that serves has applied: this one does not serve by
    /// itself as long as there are any.
    pub newly_parked: i64,
    pub skipped_events: i64,
    /// Whether it serves by itself as soon as it can.
    pub switches: bool,
    /// How far a rebuild is; none when it is done.
    pub progress: Option<RebuildProgress>,
    /// What the workers of this process say.
    pub workers: Vec<ProjectionWorker>,
}

/// What a version is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
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

/// How far behind the log somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lag {
    /// Events that are not applied yet.
    pub events: u64,
    /// Whether that number is an estimate.
    pub is_estimate: bool,
    /// Since the oldest of them was recorded.
    pub seconds: i64,
}

/// Whether a version works, rests or stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Everything is applied.
    Idle,
    /// There is something to do, and the checkpoint moves.
    Working,
    /// There is something to do, and the checkpoint does not move.
    StandsStill,
}

/// How far a rebuild is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RebuildProgress {
    /// Of the log, up to its present end.
    pub percent: f64,
    pub events_per_second: f64,
    /// At the speed until now; none while nothing is known of that.
    pub seconds_left: Option<u64>,
}

/// What a worker of a projection is doing.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProjectionWorker {
    pub name: String,
    /// The version of the tables.
    pub version: i32,
    /// Which part of it, of how many.
    pub shard: i16,
    pub shards: i16,
    /// The last position whose effect is in the tables.
    pub position: Option<u64>,
    /// Events applied by this worker since it started.
    pub applied: u64,
    /// Streams that are parked.
    pub parked: usize,
    /// `starting`, `waiting`, `running`, `stopped`, or what is wrong.
    pub state: String,
    /// What is wrong, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Fills a new version from the first event on.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rebuild {
    /// In how many parts it is filled, each by a worker of its own: 1 to 64.
    pub shards: Option<i16>,
    /// Whether it serves by itself as soon as it has caught up.
    pub switch: bool,
}

/// Which version; without it, the one that is meant in general.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct WhichVersion {
    pub version: Option<i32>,
}

/// Has another version serve.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SwitchVersion {
    pub version: Option<i32>,
    /// Even if it has parked streams that the serving version does not.
    pub even_with_parked: bool,
}

/// Has the version serve again that served before.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollBack {
    /// Even if it has parked streams that the serving version does not.
    pub even_with_parked: bool,
}

/// Compares a version with what its events say.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CompareVersion {
    pub version: Option<i32>,
    /// How many streams of a hundred; all if it is left out.
    pub percent: Option<u8>,
}

/// The version that was changed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct VersionChanged {
    pub name: String,
    pub version: i32,
}

/// A stream that a projection has parked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ParkedByProjection {
    pub version: i32,
    pub stream: String,
    pub revision: i64,
    pub position: i64,
    pub event_type: String,
    pub error: String,
    /// Events of the stream that wait behind it.
    pub waiting: i64,
    pub parked_at: DateTime<Utc>,
    /// What an operator wants done with it.
    pub asked: Option<String>,
}

/// Leaves an event out of a projection for good.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SkipParked {
    pub version: Option<i32>,
    /// Of the event at which the stream is parked: nobody leaves out another one than they have looked at.
    pub revision: i64,
    pub reason: String,
}

/// What was noted for the worker that has parked the stream.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ParkedAsked {
    pub version: i32,
    pub revision: i64,
}

/// What came of a comparison.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    pub name: String,
    pub version: i32,
    /// Up to where the log was folded.
    pub position: Option<i64>,
    /// Events that were folded.
    pub events: u64,
    /// Rows that were read from the version's tables.
    pub rows: u64,
    /// Streams that the version has parked. Their events are left out from where they stand.
    pub parked: usize,
    /// Rows that differ, in all.
    pub differences: u64,
    /// The first of them.
    pub named: Vec<RowDifference>,
}

/// A row that is not what its events say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RowDifference {
    pub table: String,
    /// The values of the primary key, or all values where a table has none.
    pub key: Value,
    /// As it stands; none if there is no such row.
    pub stored: Option<Value>,
    /// As the events say; none if there should be no such row.
    pub refolded: Option<Value>,
}
