//! Moments that fit into an atomic: milliseconds since this process first asked, never 0.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

static FIRST_ASKED: OnceLock<Instant> = OnceLock::new();

/// The present moment.
pub fn now() -> u64 {
    let since = FIRST_ASKED.get_or_init(Instant::now).elapsed().as_millis();
    u64::try_from(since).unwrap_or(u64::MAX).saturating_add(1)
}

/// The second that the present moment is in, counted from the same beginning.
pub fn second() -> u64 {
    now() / 1000
}

/// Whether something that began at `since` has lasted for `limit` at the moment `now`. It has not begun if `since` is 0.
pub fn has_lasted(since: u64, limit: Duration, now: u64) -> bool {
    since != 0 && u128::from(now.saturating_sub(since)) >= limit.as_millis()
}
