//! How long something is asked again before the caller hears of a failure.

use super::Lost;
use backon::{BackoffBuilder, ExponentialBackoff, ExponentialBuilder};
use std::time::{Duration, Instant};

/// How long an append, or the start of a read, asks again before its caller hears that there is no answer: longer than a
/// cluster takes to elect a leader.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long the first attempt may go without any answer. The node may be gone without a word, or have dropped the request
/// while it took over; one that is only slow answers a request that comes again as the first time.
pub(super) const SILENCE: Duration = Duration::from_secs(2);

/// The patience for one append, or for the start of one read.
pub(super) struct Patience {
    begun: Instant,
    silence: Duration,
    delays: ExponentialBackoff,
}

impl Patience {
    pub fn begin() -> Self {
        Self { begun: Instant::now(), silence: SILENCE, delays: backoff() }
    }

    /// How long the next attempt may go without any answer.
    pub fn silence(&self) -> Duration {
        self.silence
    }

    /// Whether an attempt got no answer.
    pub fn has_met_silence(&self) -> bool {
        self.silence > SILENCE
    }

    /// An attempt that got no answer is followed by one that waits twice as long: so a slow server is heard in the end.
    pub fn has_met(&mut self, lost: &Lost) {
        if matches!(lost, Lost::Silent) {
            self.silence *= 2;
        }
    }

    /// Waits until the next attempt, unless the patience is over.
    pub async fn is_left(&mut self) -> bool {
        if self.begun.elapsed() >= PATIENCE {
            return false;
        }
        pause(&mut self.delays).await;
        true
    }
}

/// The pauses between attempts. They stay short: once a leader is elected, nobody waits long for the next attempt.
pub(super) fn backoff() -> ExponentialBackoff {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_millis(400))
        .with_jitter()
        .without_max_times()
        .build()
}

pub(super) async fn pause(delays: &mut ExponentialBackoff) {
    tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(1))).await;
}
