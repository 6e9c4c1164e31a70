//! Looking after streams that cannot be read.

use crate::Amount;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Streams that cannot be read, and the orders that wait for them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ParkedStreams {
    /// Those that this process has met since it started.
    pub streams: Vec<ParkedStream>,
    /// Those that wait for one of them, if this process runs order fulfilment.
    pub orders: Vec<ParkedOrder>,
}

/// A stream that cannot be read.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ParkedStream {
    pub stream: String,
    /// The event at which it stands.
    pub revision: u64,
    pub event_type: String,
    /// Why it cannot be read.
    pub why: String,
    pub since: DateTime<Utc>,
}

/// An order that waits for a stream that cannot be read.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ParkedOrder {
    pub order_id: Uuid,
    /// The stream that cannot be read.
    pub stream: String,
    /// Why it cannot be read.
    pub why: String,
    pub since: DateTime<Utc>,
    /// As they stood before the event that cannot be read.
    pub payments: Vec<PaymentAtStake>,
}

/// A payment of a parked order that is under way or has been taken.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PaymentAtStake {
    pub payment_id: Uuid,
    pub status: String,
    pub amount: Amount,
}

/// The stream that is tried again.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StreamTried {
    pub stream: String,
}

/// Passes over the event at which a stream stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SkipEvent {
    /// The event at which it stands, so that nobody has another one passed over than the one they looked at.
    pub revision: u64,
    /// Why it is passed over for good, in at most 500 letters.
    pub reason: String,
}

/// The event that is passed over.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventSkipped {
    pub stream: String,
    /// The event that is passed over.
    pub skipped: u64,
    /// The marker that says so.
    pub revision: u64,
    pub position: u64,
}
