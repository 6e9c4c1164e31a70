use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Money given back. It is never pending here.
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
}
