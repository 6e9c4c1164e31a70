use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Money given back, or on its way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Refund {
    pub id: String,
    /// Its place in the order of creation.
    pub number: usize,
    /// Seconds since 1970.
    pub created: i64,
    /// Minor units.
    pub amount: i64,
    pub currency: String,
    pub intent: String,
    pub charge: Option<String>,
    pub reason: Option<String>,
    pub metadata: BTreeMap<String, String>,
    /// Those of older versions are all done.
    #[serde(default)]
    pub status: RefundStatus,
    /// When a slow refund's outcome is there, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<i64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum RefundStatus {
    Pending,
    #[default]
    Succeeded,
    Failed,
}
