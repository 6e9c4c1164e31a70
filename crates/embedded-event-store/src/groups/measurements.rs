//! How many messages there are, and how long a consumer takes for them: the extra statistics of a group.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// So many of the newest measurements count.
const KEPT: usize = 1000;
/// The names that the protocol has for points of the distribution, and where they are in it, in thousandths.
const POINTS: [(&str, usize); 11] = [
    ("Fastest", 0),
    ("Quintile 1", 0),
    ("Quintile 2", 200),
    ("Quintile 3", 400),
    ("Quintile 4", 600),
    ("Quintile 5", 800),
    ("90%", 900),
    ("95%", 950),
    ("99%", 990),
    ("99.5%", 995),
    ("99.9%", 999),
];

/// How many messages there were when somebody last asked, whoever it was.
#[derive(Debug)]
pub(super) struct LastAsked {
    total: u64,
    at: Instant,
}

/// How many messages there were since somebody last asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SinceAsked {
    /// All of them.
    pub count: u64,
    /// On average.
    pub per_second: u64,
}

impl LastAsked {
    /// Nobody has asked yet.
    pub fn never() -> Self {
        LastAsked { total: 0, at: Instant::now() }
    }

    /// Somebody asks, and there were so many messages in all.
    pub fn asked(&mut self, total: u64) -> SinceAsked {
        let count = total - self.total;
        let per_second = count / self.at.elapsed().as_secs().max(1);
        *self = LastAsked { total, at: Instant::now() };
        SinceAsked { count, per_second }
    }
}

/// The newest measurements, oldest first.
#[derive(Debug, Default)]
pub(super) struct Measurements(VecDeque<Duration>);

impl Measurements {
    /// A message was answered after this time.
    pub fn note(&mut self, after: Duration) {
        if self.0.len() == KEPT {
            self.0.pop_front();
        }
        self.0.push_back(after);
    }

    /// The figures in milliseconds, in the order of the protocol's own server; none if nothing was measured.
    pub fn figures(&self) -> Vec<(&'static str, u64)> {
        let mut sorted: Vec<_> = self.0.iter().copied().collect();
        sorted.sort_unstable();
        let (Some(highest), Ok(count)) = (sorted.last(), u32::try_from(sorted.len())) else {
            return Vec::new();
        };
        let mean = sorted.iter().sum::<Duration>() / count;
        let points =
            POINTS.iter().map(|(name, thousandths)| (*name, sorted[sorted.len() * thousandths / 1000]));
        [("Mean", mean), ("Median", sorted[sorted.len() / 2])]
            .into_iter()
            .chain(points)
            .chain([("Highest", *highest)])
            .map(|(name, time)| (name, u64::try_from(time.as_millis()).unwrap_or(u64::MAX)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(milliseconds: impl IntoIterator<Item = u64>) -> Measurements {
        let mut measurements = Measurements::default();
        for time in milliseconds {
            measurements.note(Duration::from_millis(time));
        }
        measurements
    }

    #[test]
    fn the_figures_are_points_of_the_sorted_times() {
        assert_eq!(measured([]).figures(), []);
        assert!(measured([7]).figures().iter().all(|(_, time)| *time == 7));
        let expected = [
            ("Mean", 49),
            ("Median", 50),
            ("Fastest", 0),
            ("Quintile 1", 0),
            ("Quintile 2", 20),
            ("Quintile 3", 40),
            ("Quintile 4", 60),
            ("Quintile 5", 80),
            ("90%", 90),
            ("95%", 95),
            ("99%", 99),
            ("99.5%", 99),
            ("99.9%", 99),
            ("Highest", 99),
        ];
        assert_eq!(measured((0..100).rev()).figures(), expected);
    }

    #[test]
    fn whoever_asks_hears_of_what_there_was_since_somebody_asked() {
        let mut last = LastAsked::never();
        assert_eq!(last.asked(7), SinceAsked { count: 7, per_second: 7 });
        assert_eq!(last.asked(7), SinceAsked { count: 0, per_second: 0 });
        assert_eq!(last.asked(9).count, 2);
    }

    #[test]
    fn old_times_are_forgotten() {
        let slow = std::iter::repeat_n(9_000, KEPT);
        let quick = std::iter::repeat_n(1, KEPT);
        assert!(measured(slow.chain(quick)).figures().iter().all(|(_, time)| *time == 1));
    }
}
