//! When the next transaction may begin.

use crate::gathering::Gathering;
use crate::projection::Projection;
use std::time::Duration;
use tokio::time::Instant;

/// The longest rest between two transactions. While events come without end, a worker rests up to this long after
/// each transaction: larger batches cost the machine less, and a shopper does not notice.
const LONGEST_REST: Duration = Duration::from_millis(25);
/// A transaction of so many events was one of a rush: larger ones cost the machine much less for each event, just when
/// it has much to do.
const RUSH: usize = 100;
const REST_IN_A_RUSH: Duration = Duration::from_millis(100);
/// How often the checkpoint moves over events that are not wanted, while they come without end.
const CHECKPOINT_INTERVAL: Duration = Duration::from_millis(50);
/// The least rest of those for whom nobody waits within a purchase.
pub const UNHURRIED: Duration = Duration::from_millis(200);

/// Larger batches when events come without end, and no wait for one after a pause.
pub struct Pace {
    started: Instant,
    finished: Instant,
    rest: Duration,
}

impl Pace {
    pub fn new() -> Self {
        let now = Instant::now();
        Self { started: now, finished: now, rest: Duration::ZERO }
    }

    pub fn started(&mut self) {
        self.started = Instant::now();
    }

    /// Rests for as long as the transaction took, so that a steady stream of events is written in larger batches and
    /// never takes more than half of this worker's time. An event after a pause does not wait. Twice as long cost
    /// those who read what they have just written some 5 ms more (`emporium-bench read-your-writes`).
    pub fn finished(&mut self, events: usize) {
        self.finished = Instant::now();
        self.rest = match events {
            RUSH.. => REST_IN_A_RUSH,
            _ => (self.finished - self.started).min(LONGEST_REST),
        };
    }

    pub fn pause<P: Projection>(&self, gathering: &Gathering<P>) -> Duration {
        if !gathering.has_room() {
            return Duration::ZERO;
        }
        let rest = if gathering.has_facts() { self.rest } else { CHECKPOINT_INTERVAL };
        (self.finished + rest.max(P::LEAST_REST)).saturating_duration_since(Instant::now())
    }
}
