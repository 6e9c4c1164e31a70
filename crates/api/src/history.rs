//! The past of a cart, an order, a product or a stock: its events, and what differs between two points.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which page of a history.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct HistoryFilter {
    /// Rows of the page: 1 to 500, 50 if it does not say.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// An event for people: what happened, who did it and when. An event that this program cannot read is told too, for an
/// auditor must not miss it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HistoryEntry {
    pub revision: u64,
    pub position: u64,
    pub event_id: Uuid,
    #[serde(rename = "type")]
    pub event_type: String,
    /// One line.
    pub summary: String,
    /// Null where the metadata is not ours, as what follows.
    pub actor: Option<String>,
    /// Business time.
    pub occurred_at: Option<DateTime<Utc>>,
    pub recorded_at: DateTime<Utc>,
    pub command_id: Option<Uuid>,
    pub causation_id: Option<Uuid>,
    pub correlation_id: Option<Uuid>,
}

/// What is different between two points, and the events that made it so.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Difference {
    /// The last event at the one point; null before the first.
    pub from_revision: Option<u64>,
    pub to_revision: Option<u64>,
    pub changes: Vec<Change>,
    pub events: Vec<HistoryEntry>,
    /// Events that are not told: read on in the history.
    pub more_events: u64,
}

/// A value that is not the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Change {
    /// Where in the page: names and ids, with a `/` before each.
    pub path: String,
    /// Null if it was not there.
    pub before: serde_json::Value,
    /// Null if it is gone.
    pub after: serde_json::Value,
}
