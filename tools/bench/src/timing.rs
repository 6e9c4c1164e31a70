//! Does the same thing over and over for a while, and notes how long each time took.

use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// How often something was done, and how long it took.
#[derive(Debug, Clone)]
pub struct Measured {
    /// How often, in a second.
    pub rate: f64,
    /// Half of them took no longer.
    pub p50: Duration,
    /// Ninety-nine of a hundred took no longer.
    pub p99: Duration,
}

impl Measured {
    /// From the single durations, which were gathered in `elapsed`.
    #[must_use]
    pub fn new(mut each: Vec<Duration>, elapsed: Duration) -> Self {
        each.sort_unstable();
        let at = |percent: usize| each.get((each.len() * percent / 100).min(each.len().saturating_sub(1)));
        Self {
            rate: per_second(each.len() as u64, elapsed),
            p50: at(50).copied().unwrap_or_default(),
            p99: at(99).copied().unwrap_or_default(),
        }
    }
}

/// So many in so long.
#[must_use]
pub fn per_second(count: u64, elapsed: Duration) -> f64 {
    // Counts stay far below where a float loses whole numbers.
    count as f64 / elapsed.as_secs_f64().max(f64::EPSILON)
}

/// The durations of one thing that is done again and again for a while.
pub struct Laps {
    span: Duration,
    started: Instant,
    each: Vec<Duration>,
}

impl Laps {
    /// Begins.
    pub fn start(span: Duration) -> Self {
        Self { span, started: Instant::now(), each: Vec::new() }
    }

    /// When the next time begins, unless the while is over.
    pub fn next(&self) -> Option<Instant> {
        let now = Instant::now();
        (now - self.started < self.span).then_some(now)
    }

    /// It is done once more.
    pub fn done(&mut self, begun: Instant) {
        self.each.push(begun.elapsed());
    }

    /// All durations.
    pub fn finish(self) -> Vec<Duration> {
        self.each
    }
}

/// Lets all of them work at once, and puts their durations together.
pub async fn all_at_once<E: Send + 'static, F>(workers: impl Iterator<Item = F>) -> Result<Measured, E>
where
    F: Future<Output = Result<Vec<Duration>, E>> + Send + 'static,
{
    let started = Instant::now();
    let mut working: JoinSet<_> = workers.collect();
    let mut each = Vec::new();
    while let Some(done) = working.join_next().await {
        match done {
            Ok(durations) => each.extend(durations?),
            Err(lost) => std::panic::resume_unwind(lost.into_panic()),
        }
    }
    Ok(Measured::new(each, started.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_taken_from_the_sorted_durations() {
        let each: Vec<_> = (1..=100).rev().map(Duration::from_millis).collect();
        let measured = Measured::new(each, Duration::from_secs(2));
        assert_eq!((measured.p50, measured.p99), (Duration::from_millis(51), Duration::from_millis(100)));
        assert!((measured.rate - 50.0).abs() < 1e-9);
        assert_eq!(Measured::new(Vec::new(), Duration::from_secs(1)).p99, Duration::ZERO);
    }
}
