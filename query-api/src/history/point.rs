use chrono::{DateTime, Utc};
use event_store::{Position, read_time};
use serde::Deserialize;

/// A point of a thing's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Point {
    /// `2026-11-21T12:00:00Z`: all that had happened by then, in business time. That is everything up to the last event
    /// that had: what an event was decided upon had happened before it, whatever its own time says.
    Time(DateTime<Utc>),
    /// `position:4711`: what the log held then.
    Position(Position),
    /// `revision:3`: the first events of the stream, up to this one.
    Revision(u64),
}

impl TryFrom<String> for Point {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let point = match text.split_once(':') {
            Some(("position", number)) => {
                number.parse().ok().map(|number| Self::Position(Position::new(number)))
            }
            Some(("revision", number)) => number.parse().ok().map(Self::Revision),
            _ => read_time(&text).ok().map(Self::Time),
        };
        point.ok_or_else(|| {
            let given: String = text.chars().take(40).collect();
            format!(
                "a point of a history is a moment such as 2026-11-21T12:00:00Z (a `+` is written %2B), \
                 position:4711 or revision:3, not `{given}`"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_moments_positions_and_revisions() {
        let noon = "2026-11-21T12:00:00Z".parse().unwrap();
        let read = |text: &str| Point::try_from(text.to_owned());
        assert_eq!(read("2026-11-21T12:00:00Z"), Ok(Point::Time(noon)));
        assert_eq!(read("2026-11-21T13:00:00.000000+01:00"), Ok(Point::Time(noon)));
        let last = "2016-12-31T23:59:59.999999Z".parse().unwrap();
        assert_eq!(read("2016-12-31T23:59:60Z"), Ok(Point::Time(last)), "second 60");
        assert_eq!(read("position:0"), Ok(Point::Position(Position::new(0))));
        assert_eq!(read("revision:18446744073709551615"), Ok(Point::Revision(u64::MAX)));
    }

    #[test]
    fn refuses_anything_else_and_says_what_to_write() {
        for text in [
            "",
            "noon",
            "2026-11-21",
            "2026-11-21T12:00:00",
            "position:",
            "position:-1",
            "revision:x",
            "revision:18446744073709551616",
            "2026-11-21T13:00:00 01:00",
            "7",
        ] {
            let refusal = Point::try_from(text.to_owned()).unwrap_err();
            assert!(refusal.contains("revision:3") && refusal.contains(text), "{refusal}");
        }
    }
}
