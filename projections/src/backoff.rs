//! Pauses that grow from try to try.

use std::time::Duration;
use tokio::time::Instant;

/// Twice as long each time, up to a bound.
#[derive(Debug)]
pub struct Backoff {
    first: Duration,
    last: Duration,
    next: Duration,
    not_before: Option<Instant>,
}

impl Backoff {
    pub fn new(first: Duration, last: Duration) -> Self {
        Self { first, last, next: first, not_before: None }
    }

    /// How long to wait now.
    pub fn next_pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.last);
        pause
    }

    /// A try has failed; the next one is not due before its time.
    pub fn failed(&mut self, now: Instant) {
        self.not_before = Some(now + self.next_pause());
    }

    /// Whether another try is due.
    pub fn is_due(&self, now: Instant) -> bool {
        self.not_before.is_none_or(|not_before| now >= not_before)
    }

    /// As if nothing had failed.
    pub fn reset(&mut self) {
        *self = Self::new(self.first, self.last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tries_come_less_and_less_often_until_one_succeeds() {
        let second = Duration::from_secs(1);
        let mut backoff = Backoff::new(second, second * 30);
        let (begun, mut tries) = (Instant::now(), Vec::new());
        for elapsed in 0..100 {
            let now = begun + second * elapsed;
            if backoff.is_due(now) {
                tries.push(elapsed);
                backoff.failed(now);
            }
        }
        assert_eq!(tries, [0, 1, 3, 7, 15, 31, 61, 91]);
        backoff.reset();
        assert!(backoff.is_due(begun));
        assert_eq!(backoff.next_pause(), second);
    }
}
