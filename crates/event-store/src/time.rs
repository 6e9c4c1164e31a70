//! Business times, as people, files and old events give them.

use chrono::{DateTime, ParseError, Timelike, Utc};

/// A second has so many nanoseconds; what has more is within a second 60.
const SECOND: u32 = 1_000_000_000;
/// The last microsecond of a second.
const LAST: u32 = 999_999_000;

/// The moment that this text names in RFC 3339, with a second 60 as [`without_leap_second`] has it.
///
/// # Errors
/// When it names none.
pub fn read_time(text: &str) -> Result<DateTime<Utc>, ParseError> {
    DateTime::parse_from_rfc3339(text).map(|time| without_leap_second(time.to_utc()))
}

/// The same moment, or for a second 60 the last microsecond of the second before it.
///
/// This is the one rule for second 60, wherever a time comes in. No day, month or year has it twice or loses it, and it
/// is not after what follows it. Neither Postgres nor JSON's readers know such a second: one takes it for the next day,
/// others refuse it.
#[must_use]
pub fn without_leap_second(time: DateTime<Utc>) -> DateTime<Utc> {
    if time.nanosecond() < SECOND { time } else { time.with_nanosecond(LAST).unwrap_or(time) }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use chrono::SecondsFormat;

    fn read(text: &str) -> String {
        read_time(text).unwrap().to_rfc3339_opts(SecondsFormat::Micros, true)
    }

    #[test]
    fn second_60_is_the_end_of_its_minute() {
        assert_eq!(read("2016-12-31T23:59:60Z"), "2016-12-31T23:59:59.999999Z");
        assert_eq!(read("2016-12-31T23:59:60.5Z"), "2016-12-31T23:59:59.999999Z");
        assert_eq!(read("2017-01-01T00:59:60.999+01:00"), "2016-12-31T23:59:59.999999Z");
        assert_eq!(read("2016-12-31T23:59:59.123456Z"), "2016-12-31T23:59:59.123456Z");
        assert!(read_time("2016-12-31T23:59:61Z").is_err());
    }

    #[test]
    fn it_is_between_its_neighbours() {
        let [before, at, after] =
            ["23:59:59", "23:59:60", "23:59:60.9"].map(|at| read_time(&format!("2016-12-31T{at}Z")).unwrap());
        assert!(before < at && at <= after && after < read_time("2017-01-01T00:00:00Z").unwrap());
    }
}
