use crate::clock;
use std::sync::atomic::{AtomicU64, Ordering};

const SECOND: u64 = 1000;

/// Lets one line a second into the log, however often there is a reason for it.
#[derive(Debug, Default)]
pub struct OncePerSecond {
    next: AtomicU64,
    kept_back: AtomicU64,
}

impl OncePerSecond {
    /// For a static.
    #[must_use]
    pub const fn new() -> Self {
        Self { next: AtomicU64::new(0), kept_back: AtomicU64::new(0) }
    }

    /// Whether there may be a line now, and for how many times it stands: this one and those since the last line.
    pub fn line(&self) -> Option<u64> {
        let now = clock::now();
        let next = self.next.load(Ordering::Relaxed);
        let is_due = now >= next
            && self.next.compare_exchange(next, now + SECOND, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if !is_due {
            self.kept_back.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(self.kept_back.swap(0, Ordering::Relaxed) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_written_and_those_right_after_it_are_only_counted() {
        let lines = OncePerSecond::new();
        assert_eq!(lines.line(), Some(1));
        assert_eq!((lines.line(), lines.line()), (None, None));
        lines.next.store(0, Ordering::Relaxed);
        assert_eq!(lines.line(), Some(3));
    }
}
