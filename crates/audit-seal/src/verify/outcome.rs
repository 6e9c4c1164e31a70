use super::Finding;
use crate::seal::Seal;
use chrono::{DateTime, Utc};
use serde::Serialize;

/// What came of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Events that a link was computed for.
    pub events: u64,
    /// Events that the last good seal covers.
    pub sealed: u64,
    /// Events after it: only their chains speak for them.
    pub unsealed: u64,
    /// The root of the tree over all these events, in hexadecimal digits. Two histories with the same root have the same
    /// events in the same order.
    pub root: String,
    /// Seals in the log, false ones among them.
    pub seals: u64,
    /// Who made the good ones, in the order of the log.
    pub sealed_by: Vec<KeyInUse>,
    /// Seals that were kept elsewhere and stand in the log.
    pub kept_seals_found: u64,
    /// Everything that is not as it was written.
    pub findings: Vec<Finding>,
}

/// Good seals that one key made one after the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyInUse {
    /// The key's name.
    pub key: String,
    /// How many seals.
    pub seals: u64,
    /// When the first was made.
    pub from: DateTime<Utc>,
    /// When the last was made.
    pub to: DateTime<Utc>,
}

impl Outcome {
    pub(super) fn note(&mut self, seal: &Seal) {
        self.sealed = seal.size;
        match self.sealed_by.last_mut() {
            Some(last) if last.key == seal.key => {
                last.seals += 1;
                last.to = seal.sealed_at;
            }
            _ => self.sealed_by.push(KeyInUse {
                key: seal.key.clone(),
                seals: 1,
                from: seal.sealed_at,
                to: seal.sealed_at,
            }),
        }
    }
}
