//! Values that several queries take in their addresses.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, Utc};
use event_store::read_time;
use http_boundary::Problem;

/// A filter that is given but empty (`?status=&country=GB`) is not there.
pub fn given(filter: Option<&str>) -> Option<&str> {
    filter.filter(|filter| !filter.is_empty())
}

/// The start of a period: a moment, or the first moment of a day (UTC).
pub fn starting(name: &str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(text) = given(text) else { return Ok(None) };
    let start = match (text.parse::<NaiveDate>(), read_time(text)) {
        (Ok(day), _) => Some(day.and_time(NaiveTime::MIN).and_utc()),
        (_, Ok(moment)) => Some(moment),
        _ => None,
    };
    match start.filter(|start| is_sane(start.date_naive())) {
        Some(start) => Ok(Some(start)),
        None => Err(unreadable(name, text)),
    }
}

/// The end of a period, itself outside: a moment, or the end of a day (UTC).
pub fn ending(name: &str, text: Option<&str>) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(text) = given(text) else { return Ok(None) };
    match text.parse::<NaiveDate>() {
        Ok(day) => match day.checked_add_days(Days::new(1)).filter(|next| is_sane(*next)) {
            Some(next) => Ok(Some(next.and_time(NaiveTime::MIN).and_utc())),
            None => Err(unreadable(name, text)),
        },
        Err(_) => starting(name, Some(text)),
    }
}

/// A day.
pub fn day(name: &str, text: Option<&str>) -> Result<Option<NaiveDate>, Problem> {
    let parse = |text: &str| {
        text.parse().ok().filter(|day| is_sane(*day)).ok_or_else(|| {
            Problem::invalid(format!("`{name}` is a day such as 2011-12-09, not `{}`.", shortened(text)))
        })
    };
    given(text).map(parse).transpose()
}

/// Years that every part of the system can write.
fn is_sane(day: NaiveDate) -> bool {
    (1..=9_999).contains(&day.year())
}

fn unreadable(name: &str, text: &str) -> Problem {
    Problem::invalid(format!(
        "`{name}` is a day such as 2011-12-09 or a moment such as 2011-12-09T12:50:00Z, not `{}`.",
        shortened(text)
    ))
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_starts_at_its_midnight_and_ends_at_the_next() {
        let text = Some("2011-12-09");
        assert_eq!(starting("from", text).unwrap().unwrap().to_rfc3339(), "2011-12-09T00:00:00+00:00");
        assert_eq!(ending("to", text).unwrap().unwrap().to_rfc3339(), "2011-12-10T00:00:00+00:00");
    }

    #[test]
    fn a_moment_is_itself() {
        let text = Some("2011-12-09T12:50:00+01:00");
        let moment = "2011-12-09T11:50:00Z".parse::<DateTime<Utc>>().unwrap();
        assert_eq!(starting("from", text).unwrap(), Some(moment));
        assert_eq!(ending("to", text).unwrap(), Some(moment));
    }

    #[test]
    fn second_60_is_the_end_of_its_minute() {
        let (text, last) = (Some("2016-12-31T23:59:60Z"), "2016-12-31T23:59:59.999999Z".parse().unwrap());
        assert_eq!(starting("from", text).unwrap(), Some(last));
        assert_eq!(ending("to", text).unwrap(), Some(last));
    }

    #[test]
    fn what_is_empty_is_not_given_and_anything_else_is_refused() {
        assert_eq!(starting("from", Some("")).unwrap(), None);
        assert_eq!(day("from", None).unwrap(), None);
        for text in ["yesterday", "2011-13-01", "2011-12-09T12:50:00", "-9999-01-01", "+10000-01-01"] {
            assert_eq!(starting("from", Some(text)).unwrap_err().id(), "invalid-request");
            assert_eq!(ending("to", Some(text)).unwrap_err().id(), "invalid-request");
            assert_eq!(day("from", Some(text)).unwrap_err().id(), "invalid-request");
        }
    }
}
