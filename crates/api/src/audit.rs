//! The events of the log, for auditors: by stream, by purchase, by time; and the seals.

use chrono::{DateTime, Utc};
use domain::OrderId;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::schema;

/// In which direction a list of events goes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// The oldest first.
    #[default]
    Forwards,
    /// The newest first.
    Backwards,
}

/// What an export is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExportFormat {
    /// One JSON object a line.
    Ndjson,
    Csv,
    Parquet,
}

impl ExportFormat {
    /// Its media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Parquet => "application/vnd.apache.parquet",
        }
    }

    /// The ending of the file's name.
    /// What the name of its file ends with.
    #[must_use]
    pub fn ending(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
            Self::Parquet => "parquet",
        }
    }
}

/// Which events of the log.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct EventFilter {
    /// Of this stream only.
    pub stream: Option<String>,
    /// A revision of the stream.
    pub from: Option<u64>,
    /// A position of the log.
    #[serde(rename = "from-position")]
    pub from_position: Option<u64>,
    #[param(inline)]
    pub direction: Option<Direction>,
    /// Rows of the page: 1 to 500, 50 if it does not say.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// An event as it stands in the log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StoredEvent {
    pub stream: String,
    pub revision: u64,
    pub position: u64,
    pub id: Uuid,
    #[serde(rename = "type")]
    pub event_type: String,
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
    #[schema(value_type = Object)]
    pub metadata: Box<RawValue>,
    pub recorded_at: DateTime<Utc>,
}

/// Which events of the audit trail.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TrailFilter {
    pub stream: Option<String>,
    /// `product`, `inventory`, `cart` or `order`.
    pub category: Option<String>,
    /// `order.paid.v1`, or `order.paid` for all its versions.
    #[serde(rename = "type")]
    pub event_type: Option<String>,
    /// `operator`, `shopper`, or the name of a consumer.
    pub actor: Option<String>,
    /// The id that all events of one purchase have: its order's.
    pub correlation: Option<String>,
    /// The first day of business time, or a moment.
    pub from: Option<String>,
    /// The last day, itself inside; or a moment, itself outside.
    pub to: Option<String>,
    /// The first position of the log.
    #[serde(rename = "from-position")]
    pub from_position: Option<String>,
    /// The last position of the log.
    #[serde(rename = "to-position")]
    pub to_position: Option<String>,
    #[param(inline)]
    pub direction: Option<Direction>,
    /// Of an export.
    #[param(inline)]
    pub format: Option<ExportFormat>,
    /// Rows of the page: 1 to 500, 50 if it does not say.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// An event with everything that the log has of it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditedEvent {
    pub position: u64,
    pub stream: String,
    pub revision: u64,
    pub event_id: Uuid,
    #[serde(rename = "type")]
    pub event_type: String,
    /// One line for people.
    pub summary: String,
    /// Null where the metadata is not ours, as what follows.
    pub actor: Option<String>,
    /// Business time.
    pub occurred_at: Option<DateTime<Utc>>,
    pub recorded_at: DateTime<Utc>,
    pub command_id: Option<Uuid>,
    pub causation_id: Option<Uuid>,
    pub correlation_id: Option<Uuid>,
    #[schema(value_type = Object)]
    pub data: Box<RawValue>,
    #[schema(value_type = Object)]
    pub metadata: Box<RawValue>,
}

/// What a purchase set off.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PurchaseTrail {
    #[schema(value_type = schema::OrderId)]
    pub order_id: OrderId,
    /// How many.
    pub events: usize,
    /// A tree told from its roots: what follows from a step comes after it, one level deeper.
    pub steps: Vec<CausedStep>,
}

/// A command and what came of it. A list of them is a tree told from its roots, because a purchase may go deeper than
/// readers of nested JSON follow.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CausedStep {
    pub depth: usize,
    pub command_id: Uuid,
    /// The event that the command follows from; none if it came from outside.
    pub caused_by: Option<Uuid>,
    pub actor: String,
    /// Business time.
    pub occurred_at: DateTime<Utc>,
    pub events: Vec<CausedEvent>,
}

/// An event that a command made.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CausedEvent {
    pub position: u64,
    pub stream: String,
    pub revision: u64,
    pub event_id: Uuid,
    #[serde(rename = "type")]
    pub event_type: String,
    /// One line for people.
    pub summary: String,
    pub occurred_at: DateTime<Utc>,
}

/// The key that seals are checked with.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct AuditKey {
    /// `Ed25519`.
    pub algorithm: String,
    pub name: String,
    /// In hexadecimal.
    pub public_key: String,
}

/// How many of the newest seals.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct SealFilter {
    /// 1 to 100, 1 if it is left out.
    #[serde(default = "one")]
    pub limit: usize,
}

fn one() -> usize {
    1
}

/// Seals, the newest first, as they stand in the log.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Seals {
    #[schema(value_type = Vec<Object>)]
    pub items: Vec<Box<RawValue>>,
}
