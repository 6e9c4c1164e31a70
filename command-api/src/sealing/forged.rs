//! Events of ours that no shop has written: how that is told, at once and without flooding the log.

use super::figures::Figures;
use audit_seal::stream::Fault;
use event_store::{Position, RecordedEvent, TOMBSTONE_REVISION};
use http_boundary::{Health, PerSecond};
use std::sync::{Mutex, PoisonError};

/// What `/readyz` calls them. They keep the service from nothing.
const PART: &str = "audit-sealing: forged events";
/// So many lines a second go to the log; the rest is counted.
const LINES: u8 = 10;

/// Tells of forged events.
pub struct Forged {
    health: Health,
    figures: Figures,
    lines: PerSecond,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    events: u64,
    first: String,
    /// The last of them: a turn that is lost reads again what is not sealed.
    upto: Option<Position>,
}

impl Forged {
    pub fn new(health: Health, figures: Figures) -> Self {
        Self { health, figures, lines: PerSecond::times(LINES), told: Mutex::default() }
    }

    /// This event is not one that a shop has written. They come in the order of the log.
    pub fn tell(&self, event: &RecordedEvent, fault: Fault) {
        let RecordedEvent { stream, revision, position, .. } = event;
        // Nothing panics while it holds the lock.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.upto >= Some(*position) {
            return;
        }
        self.figures.forged(fault);
        told.upto = Some(*position);
        told.events += 1;
        if told.first.is_empty() {
            let which = match *revision {
                TOMBSTONE_REVISION => "the last event".to_owned(),
                revision => format!("event {revision}"),
            };
            told.first = format!("{which} of {stream} (position {position}): {fault}");
        }
        let how = format!(
            "{} events were not written by a shop, the first was {}; `emporium audit verify` names all",
            told.events, told.first
        );
        self.health.is_well_so(PART, how);
        if let Some(times) = self.lines.line() {
            let untold = times - 1;
            tracing::error!(
                stream,
                revision,
                %position,
                %fault,
                untold,
                "an event of the history was not written by a shop"
            );
        }
    }
}
