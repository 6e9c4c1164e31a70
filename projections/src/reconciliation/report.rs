//! What came of a reconciliation.

use super::sold::SoldIn;
use api::reconciliation::Check;

/// Findings that are named with their events; all are counted.
const MAX_NAMED: usize = 100;

/// Which events belong to a finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Evidence {
    Streams(Vec<String>),
    /// Those by which something was sold.
    Sold(SoldIn),
    /// The one at this position.
    Event(u64),
    /// No event says so.
    None,
}

/// A finding whose events are still to be read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Suspicion {
    pub check: Check,
    pub what: String,
    pub evidence: Evidence,
}

/// All suspicions, counted, the first of them kept.
#[derive(Debug, Default)]
pub(super) struct Suspicions {
    pub count: u64,
    pub first: Vec<Suspicion>,
}

impl Suspicions {
    pub fn add(&mut self, check: Check, what: String, evidence: Evidence) {
        self.count += 1;
        if self.first.len() < MAX_NAMED {
            self.first.push(Suspicion { check, what, evidence });
        }
    }

    /// Of these, only the number is known.
    pub fn add_unnamed(&mut self, more: u64) {
        self.count += more;
    }
}
