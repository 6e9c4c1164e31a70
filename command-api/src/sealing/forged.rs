//! Events of ours that no shop has written: how that is told, at once and without flooding the log.

use super::figures::Figures;
use audit_seal::stream::Fault;
use http_boundary::Health;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What `/readyz` calls them. They keep the service from nothing.
const PART: &str = "audit-sealing: forged events";
/// So many lines go to the log ...
const LINES: u32 = 10;
/// ... in this time; the rest is counted.
const WITHIN: Duration = Duration::from_secs(1);

/// Tells of forged events.
pub struct Forged {
    health: Health,
    figures: Figures,
    told: Mutex<Told>,
}

struct Told {
    events: u64,
    first: String,
    since: Instant,
    lines: u32,
    untold: u64,
}

impl Forged {
    pub fn new(health: Health, figures: Figures) -> Self {
        let told = Told { events: 0, first: String::new(), since: Instant::now(), lines: 0, untold: 0 };
        Self { health, figures, told: Mutex::new(told) }
    }

    /// This event of a stream, at this position, is not one that a shop has written.
    pub fn tell(&self, (stream, revision, position): (&str, u64, u64), fault: Fault) {
        self.figures.forged(fault);
        // Nothing panics while it holds the lock.
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.events += 1;
        if told.first.is_empty() {
            told.first = format!("event {revision} of {stream} (position {position}): {fault}");
        }
        let how = format!(
            "{} events were not written by a shop, the first was {}; `emporium audit verify` names all",
            told.events, told.first
        );
        self.health.is_well_so(PART, how);
        if told.since.elapsed() >= WITHIN {
            (told.since, told.lines) = (Instant::now(), 0);
        }
        if told.lines < LINES {
            let untold = std::mem::take(&mut told.untold);
            told.lines += 1;
            tracing::error!(
                stream,
                revision,
                position,
                %fault,
                untold,
                "an event of the history was not written by a shop"
            );
        } else {
            told.untold += 1;
        }
    }
}
