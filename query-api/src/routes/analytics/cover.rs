//! A period put together from the largest rows that fit into it.

use chrono::{DateTime, Datelike, DurationRound, Months, NaiveTime, TimeDelta, Utc};

/// The spans of time that rows are about, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    Minute,
    Quarter,
    Day,
    Month,
}

impl Grain {
    /// The largest first.
    pub const ALL: [Self; 4] = [Self::Month, Self::Day, Self::Quarter, Self::Minute];
    /// Those that there are of single SKUs.
    pub const OF_SKUS: [Self; 3] = [Self::Month, Self::Day, Self::Minute];
    /// The same if they are told apart by country.
    pub const OF_SKUS_BY_COUNTRY: [Self; 2] = [Self::Month, Self::Minute];

    fn name(self) -> &'static str {
        match self {
            Self::Minute => "minute",
            Self::Quarter => "quarter",
            Self::Day => "day",
            Self::Month => "month",
        }
    }

    fn floor(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let span = match self {
            Self::Minute => TimeDelta::minutes(1),
            Self::Quarter => TimeDelta::minutes(15),
            Self::Day => TimeDelta::days(1),
            Self::Month => {
                let month = at.date_naive().with_day(1).unwrap_or_default();
                return month.and_time(NaiveTime::MIN).and_utc();
            }
        };
        // Fails only for years that are refused before.
        at.duration_trunc(span).unwrap_or(at)
    }

    fn ceil(self, at: DateTime<Utc>) -> DateTime<Utc> {
        let floor = self.floor(at);
        match self {
            _ if floor == at => at,
            Self::Minute => floor + TimeDelta::minutes(1),
            Self::Quarter => floor + TimeDelta::minutes(15),
            Self::Day => floor + TimeDelta::days(1),
            Self::Month => floor + Months::new(1),
        }
    }
}

/// Which rows to read for each bucket, as the arrays of a statement.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Ranges {
    pub buckets: Vec<i32>,
    pub grains: Vec<&'static str>,
    pub starts: Vec<DateTime<Utc>>,
    pub ends: Vec<DateTime<Utc>>,
}

impl Ranges {
    /// For the buckets between these bounds, counted from 0.
    pub fn of(bounds: &[DateTime<Utc>], grains: &[Grain]) -> Self {
        let mut ranges = Self::default();
        for (bucket, pair) in (0..).zip(bounds.windows(2)) {
            ranges.cover(bucket, pair[0], pair[1], grains);
        }
        ranges
    }

    fn cover(&mut self, bucket: i32, from: DateTime<Utc>, to: DateTime<Utc>, grains: &[Grain]) {
        let Some((largest, smaller)) = grains.split_first().filter(|_| from < to) else { return };
        let (start, end) = (largest.ceil(from), largest.floor(to));
        if start >= end {
            return self.cover(bucket, from, to, smaller);
        }
        self.cover(bucket, from, start, smaller);
        self.buckets.push(bucket);
        self.grains.push(largest.name());
        self.starts.push(start);
        self.ends.push(end);
        self.cover(bucket, end, to, smaller);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn cover(from: &str, to: &str, grains: &[Grain]) -> Vec<(&'static str, String, String)> {
        let Ranges { buckets, grains, starts, ends } = Ranges::of(&[at(from), at(to)], grains);
        assert!(buckets.iter().all(|bucket| *bucket == 0));
        let short = |moment: DateTime<Utc>| moment.format("%m-%d %H:%M").to_string();
        (0..grains.len()).map(|index| (grains[index], short(starts[index]), short(ends[index]))).collect()
    }

    #[test]
    fn a_period_is_covered_once_by_the_largest_rows() {
        let covered = cover("2011-01-30T23:50:00Z", "2011-04-02T01:17:00Z", &Grain::ALL);
        let expected = [
            ("minute", "01-30 23:50", "01-31 00:00"),
            ("day", "01-31 00:00", "02-01 00:00"),
            ("month", "02-01 00:00", "04-01 00:00"),
            ("day", "04-01 00:00", "04-02 00:00"),
            ("quarter", "04-02 00:00", "04-02 01:15"),
            ("minute", "04-02 01:15", "04-02 01:17"),
        ];
        assert_eq!(covered, expected.map(|(grain, from, to)| (grain, from.to_owned(), to.to_owned())));
    }

    #[test]
    fn rows_about_skus_have_no_quarters() {
        let covered = cover("2011-01-01T00:00:00Z", "2011-01-01T01:00:00Z", &Grain::OF_SKUS);
        assert_eq!(covered, [("minute", "01-01 00:00".to_owned(), "01-01 01:00".to_owned())]);
    }

    #[test]
    fn covers_touch_and_leave_nothing_out() {
        for minutes in (1..200_000_i64).step_by(977) {
            let from = at("2011-11-29T22:07:00Z");
            let to = from + TimeDelta::minutes(minutes);
            let ranges = Ranges::of(&[from, to], &Grain::ALL);
            assert_eq!((ranges.starts.first(), ranges.ends.last()), (Some(&from), Some(&to)));
            assert_eq!(ranges.starts[1..], ranges.ends[..ranges.ends.len() - 1]);
        }
    }
}
