//! Reconciliations: everything that the read models say, held against the log.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// The reconciliation that was asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ReconciliationAsked {
    pub id: Uuid,
}

/// A reconciliation.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Reconciliation {
    pub id: Uuid,
    pub asked_at: DateTime<Utc>,
    pub asked_by: String,
    pub started_at: Option<DateTime<Utc>>,
    /// What it is at, while it runs.
    pub doing: Option<String>,
    pub finished_at: Option<DateTime<Utc>>,
    /// Why it could not be done.
    pub failure: Option<String>,
    pub differences: Option<i64>,
    /// All that came of it; a list leaves it out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<ReconciliationReport>,
}

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// A row is not what the projection's rules make of its events.
    Row,
    /// A SKU's units: what came in is what is there, held, and gone.
    Units,
    /// What stock keeps for an order is what the order says of it.
    Goods,
    /// An order's money: what was asked, what came in, what was refunded.
    Money,
    /// A day's money: goods and their shipping sold for what came in for them.
    Day,
}

/// Something that does not add up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    pub check: Check,
    /// What is wrong, in a sentence.
    pub what: String,
    /// The events that say so: those of the stream, or of the day.
    pub events: Vec<EventPlace>,
}

/// Where an event stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EventPlace {
    pub stream: String,
    pub revision: u64,
    pub position: u64,
    pub event_type: String,
}

/// What came of a reconciliation.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReconciliationReport {
    /// Events that the books were made from.
    pub events: u64,
    /// Rows that were compared.
    pub rows: u64,
    /// SKUs whose units were counted.
    pub skus: u64,
    /// Orders whose money and goods were counted.
    pub orders: u64,
    /// Of these, orders at which something was going on just then: their goods and money may still be on the way, so
    /// only what must hold at every moment was looked at.
    pub under_way: u64,
    /// Of these, orders with money of which the gateway has not said yet where it is. Reports from before they were
    /// counted do not say.
    #[serde(default)]
    pub waiting: u64,
    /// Days whose money was counted, one for each currency.
    pub days: u64,
    /// Streams that a projection has parked: their rows were compared up to where they stand.
    pub parked: u64,
    /// Everything that does not add up, in number.
    pub differences: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
}
