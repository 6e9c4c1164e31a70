use super::period::Period;
use api::analytics::Bucket;
use chrono::{DateTime, TimeDelta};
use chrono_tz::Tz;

fn period(from: &str, to: &str, zone: &str) -> Period {
    Period::read(Some(from), Some(to), Some(zone)).unwrap()
}

fn hours(bounds: &[DateTime<Tz>]) -> Vec<i64> {
    bounds.windows(2).map(|pair| (pair[1] - pair[0]).num_hours()).collect()
}

#[test]
fn a_day_is_as_long_as_its_clocks_say() {
    let spring = period("2011-03-26", "2011-03-28", "Europe/London");
    let bounds = spring.bounds(Bucket::Day).unwrap();
    assert_eq!(hours(&bounds), [24, 23, 24]);
    assert_eq!(bounds[2].to_rfc3339(), "2011-03-28T00:00:00+01:00");
    let autumn = period("2011-10-30", "2011-10-30", "Europe/London");
    assert_eq!(hours(&autumn.bounds(Bucket::Day).unwrap()), [25]);
    assert_eq!(autumn.bounds(Bucket::Hour).unwrap().len(), 25 + 1);
}

#[test]
fn a_day_that_has_no_midnight_begins_after_it() {
    let day = period("2017-10-15", "2017-10-15", "America/Sao_Paulo");
    assert_eq!(day.from.to_rfc3339(), "2017-10-15T01:00:00-02:00");
    assert_eq!(hours(&day.bounds(Bucket::Day).unwrap()), [23]);
}

#[test]
fn a_day_that_was_left_out_is_no_bucket() {
    let samoa = period("2011-12-29", "2011-12-31", "Pacific/Apia");
    assert_eq!(hours(&samoa.bounds(Bucket::Day).unwrap()), [24, 24]);
}

#[test]
fn weeks_begin_on_monday_and_the_ends_are_cut_off() {
    let fortnight = period("2011-12-01", "2011-12-14", "Asia/Kolkata");
    let days: Vec<_> =
        hours(&fortnight.bounds(Bucket::Week).unwrap()).iter().map(|hours| hours / 24).collect();
    assert_eq!(days, [4, 7, 3]);
    assert_eq!(fortnight.from.to_rfc3339(), "2011-12-01T00:00:00+05:30");
    assert_eq!(fortnight.bounds(Bucket::Period).unwrap(), [fortnight.from, fortnight.to]);
    let years = period("2009-07-01", "2011-06-30", "Asia/Kolkata");
    assert_eq!(years.bounds(Bucket::Month).unwrap().len(), 24 + 1);
    assert_eq!(years.bounds(Bucket::Year).unwrap().len(), 3 + 1);
}

#[test]
fn hours_end_at_whole_hours_of_the_local_clock() {
    let kolkata = period("2011-12-01T10:10:00+05:30", "2011-12-01T06:30:00Z", "Asia/Kolkata");
    let starts: Vec<_> =
        kolkata.bounds(Bucket::Hour).unwrap().iter().map(|bound| bound.format("%H:%M").to_string()).collect();
    assert_eq!(starts, ["10:10", "11:00", "12:00"]);
}

#[test]
fn buckets_follow_each_other_in_every_time_zone() {
    for zone in chrono_tz::TZ_VARIANTS {
        for (from, to) in
            [("1890-01-01", "1892-03-01"), ("1940-01-01", "1942-03-01"), ("2011-01-01", "2013-03-01")]
        {
            let period = period(from, to, zone.name());
            for bucket in [Bucket::Day, Bucket::Week, Bucket::Month, Bucket::Year] {
                let bounds = period.bounds(bucket).unwrap();
                assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{zone} {bucket:?}");
                assert!(bounds.iter().all(|bound| bound.timestamp() % 60 == 0), "{zone} {bucket:?}");
                let longest = bounds.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
                assert!(bucket != Bucket::Day || longest <= TimeDelta::hours(48), "{zone} {longest}");
            }
        }
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_a_sentence() {
    let refused = |from, to, zone| format!("{:?}", Period::read(from, to, zone).unwrap_err());
    for (from, to, zone, word) in [
        (None, Some("2011-12-09"), None, "`from`"),
        (Some("2011-12-09"), None, None, "`to`"),
        (Some("yesterday"), Some("2011-12-09"), None, "yesterday"),
        (Some("2011-12-10"), Some("2011-12-09"), None, "must be before"),
        (Some("2011-12-09T10:00:00Z"), Some("2011-12-09T10:00:00Z"), None, "must be before"),
        (Some("2011-12-09T10:00:01Z"), Some("2011-12-10"), None, "whole minute"),
        // Second 60 is the end of its minute here as everywhere, and no whole minute.
        (Some("2016-12-31T23:59:60Z"), Some("2017-01-01"), None, "`from` as a whole minute"),
        (Some("2016-12-31"), Some("2016-12-31T23:59:60Z"), None, "`to` as a whole minute"),
        (Some("2011-12-09"), Some("2011-12-09"), Some("Mars/Olympus"), "Mars/Olympus"),
        (Some("2011-12-09"), Some("2011-12-09"), Some("europe/london"), "europe/london"),
        (Some("-9999-12-09"), Some("2011-12-09"), None, "-9999-12-09"),
    ] {
        let detail = refused(from, to, zone);
        assert!(detail.contains(word), "{detail}");
    }
    let century = period("1911-01-01", "2010-12-31", "UTC");
    let too_many = format!("{:?}", century.bounds(Bucket::Day).unwrap_err());
    assert!(too_many.contains("more than 10080 buckets"), "{too_many}");
    assert_eq!(century.bounds(Bucket::Month).unwrap().len(), 1_201);
    assert_eq!(period("2011-12-05", "2011-12-11", "UTC").bounds(Bucket::Minute).unwrap().len(), 10_081);
}
