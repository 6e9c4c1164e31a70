//! Periods of time in a time zone, and what they are divided into.

use crate::parameters::given;
use api::analytics::{Bucket, Span};
use chrono::{
    DateTime, Datelike, Days, Months, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Timelike, Utc,
};
use chrono_tz::Tz;
use event_store::read_time;
use http_boundary::Problem;

/// A week by the minute.
const MAX_BUCKETS: usize = 10_080;

/// From a moment to another one, itself outside, as the clocks of a time zone show them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    pub from: DateTime<Tz>,
    pub to: DateTime<Tz>,
}

impl Period {
    /// Reads `from`, `to` and `time_zone`. A day begins at its first moment in the time zone; the day that `to` names
    /// is still inside.
    pub fn read(from: Option<&str>, to: Option<&str>, time_zone: Option<&str>) -> Result<Self, Problem> {
        let zone = match given(time_zone) {
            None => Tz::UTC,
            Some(name) => name.parse().map_err(|_| {
                let name: String = name.chars().take(40).collect();
                Problem::invalid(format!(
                    "`time_zone` is the IANA name of a time zone, such as Europe/London, not `{name}`."
                ))
            })?,
        };
        let from = moment("from", from, zone, 0)?;
        let to = moment("to", to, zone, 1)?;
        if from >= to {
            return Err(Problem::invalid(format!(
                "The period is empty: `from` ({}) must be before `to` ({}).",
                text(from),
                text(to)
            )));
        }
        Ok(Self { from, to })
    }

    pub fn view(&self) -> api::analytics::Period {
        api::analytics::Period {
            from: text(self.from),
            to: text(self.to),
            time_zone: self.from.timezone().name().to_owned(),
        }
    }

    pub fn start(&self) -> DateTime<Utc> {
        self.from.to_utc()
    }

    pub fn end(&self) -> DateTime<Utc> {
        self.to.to_utc()
    }

    /// The moments at which buckets begin, and at last the period's end. The first and the last bucket may be cut off
    /// by the period.
    pub fn bounds(&self, bucket: Bucket) -> Result<Vec<DateTime<Tz>>, Problem> {
        let mut bounds = vec![self.from];
        let mut at = self.from;
        while at < self.to {
            if bounds.len() > MAX_BUCKETS {
                return Err(Problem::invalid(format!(
                    "The period has more than {MAX_BUCKETS} buckets: ask for a shorter period or a larger `bucket`."
                )));
            }
            at = next(at, bucket).unwrap_or(self.to).min(self.to);
            bounds.push(at);
        }
        Ok(bounds)
    }
}

/// The buckets between the bounds.
pub fn spans(bounds: &[DateTime<Tz>]) -> impl Iterator<Item = Span> + '_ {
    bounds.windows(2).map(|pair| Span { start: text(pair[0]), end: text(pair[1]) })
}

/// The bounds as Postgres takes them.
pub fn in_utc(bounds: &[DateTime<Tz>]) -> Vec<DateTime<Utc>> {
    bounds.iter().map(DateTime::to_utc).collect()
}

fn text(moment: DateTime<Tz>) -> String {
    moment.to_rfc3339()
}

fn moment(name: &str, value: Option<&str>, zone: Tz, days_later: u64) -> Result<DateTime<Tz>, Problem> {
    let Some(value) = given(value) else {
        return Err(Problem::invalid(format!("Give `{name}`: a day such as 2011-12-09, or a moment.")));
    };
    let moment = match (value.parse::<NaiveDate>(), read_time(value)) {
        (Ok(day), _) if is_sane(day) => {
            day.checked_add_days(Days::new(days_later)).map(|day| first_of(day, zone))
        }
        (_, Ok(moment)) if is_sane(moment.date_naive()) => Some(moment.with_timezone(&zone)),
        _ => None,
    };
    let shown: String = value.chars().take(40).collect();
    let moment = moment.ok_or_else(|| {
        Problem::invalid(format!(
            "`{name}` is a day such as 2011-12-09 or a moment such as 2011-12-09T12:50:00Z, not `{shown}`."
        ))
    })?;
    if moment.timestamp() % 60 != 0 || moment.timestamp_subsec_nanos() != 0 {
        return Err(Problem::invalid(format!(
            "Figures are kept by the minute: give `{name}` as a whole minute, not `{shown}`."
        )));
    }
    Ok(moment)
}

/// Years that every part of the system can write, with some room for time zones.
fn is_sane(day: NaiveDate) -> bool {
    (2..=9_998).contains(&day.year())
}

/// When the bucket after the one at this moment begins.
fn next(at: DateTime<Tz>, bucket: Bucket) -> Option<DateTime<Tz>> {
    let (zone, day) = (at.timezone(), at.date_naive());
    let month = day.with_day(1)?;
    let later = match bucket {
        Bucket::Minute => at + TimeDelta::minutes(1),
        // An hour in which the clocks change is still an hour long: only its name is odd.
        Bucket::Hour => at + TimeDelta::minutes(60 - i64::from(at.minute())),
        Bucket::Day => first_of(day.checked_add_days(Days::new(1))?, zone),
        Bucket::Week => {
            let left = 7 - u64::from(day.weekday().num_days_from_monday());
            first_of(day.checked_add_days(Days::new(left))?, zone)
        }
        Bucket::Month => first_of(month.checked_add_months(Months::new(1))?, zone),
        Bucket::Year => first_of(month.with_month(1)?.checked_add_months(Months::new(12))?, zone),
        Bucket::Period => return None,
    };
    // Some places have lived a day twice: whatever their clocks say, time goes on.
    Some(later.max(at + TimeDelta::minutes(1)))
}

/// The first moment of a day, to the minute. Where the clocks jump over midnight, it is the one after the jump.
fn first_of(day: NaiveDate, zone: Tz) -> DateTime<Tz> {
    let midnight = day.and_time(NaiveTime::MIN);
    // The longest jump there was left out a whole day.
    let candidates = (0..=100).map(|quarter| midnight + TimeDelta::minutes(15 * quarter));
    let first = candidates.filter_map(|local| zone.from_local_datetime(&local).earliest()).next();
    let first = first.unwrap_or_else(|| zone.from_utc_datetime(&midnight));
    whole_minute(first, zone)
}

/// Before there were time zones, midnight was not even at a whole minute of UTC.
fn whole_minute(moment: DateTime<Tz>, zone: Tz) -> DateTime<Tz> {
    let seconds = moment.timestamp().rem_euclid(60);
    let utc: NaiveDateTime = moment.naive_utc() - TimeDelta::seconds(seconds);
    zone.from_utc_datetime(&utc)
}
