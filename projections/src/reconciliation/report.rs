//! What came of a reconciliation.

use super::sold::SoldIn;
use serde::{Deserialize, Serialize};

/// Findings that are named with their events; all are counted.
const MAX_NAMED: usize = 100;

/// What was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Check {
    /// A row is not what the projection's rules make of its events.
    Row,
    /// A SKU's units: what came in is what is there, held, and gone.
    Units,
    /// What stock keeps for an order is what the order says of it.
    Goods,
    /// An order's money: what was asked, what came in, what went back.
    Money,
    /// A day's money: goods and their sending sold for what came in for them.
    Day,
}

/// Something that does not add up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    pub check: Check,
    /// What is wrong, in a sentence.
    pub what: String,
    /// The events that say so: those of the stream, or of the day.
    pub events: Vec<EventRef>,
}

/// Where an event stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRef {
    pub stream: String,
    pub revision: u64,
    pub position: u64,
    pub event_type: String,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
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
