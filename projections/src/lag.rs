//! How far behind the log a projection is.

pub use api::projections::Pace;
use chrono::{DateTime, TimeDelta, Utc};
pub use event_store::Lag;

/// A checkpoint that has not moved for so long although there is something to do stands still.
const STANDS_STILL_AFTER: TimeDelta = TimeDelta::seconds(10);

/// What the lag and the time of the checkpoint's last move say together. A checkpoint that had nothing to do for an hour
/// does not stand still because an event has just come: it is given as long from then.
#[must_use]
pub fn pace(lag: Lag, moved_at: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Pace {
    let waiting = TimeDelta::seconds(lag.seconds);
    let unmoved = moved_at.map_or(TimeDelta::MAX, |moved_at| now - moved_at);
    match waiting.min(unmoved) {
        _ if lag.events == 0 => Pace::Idle,
        short if short < STANDS_STILL_AFTER => Pace::Working,
        _ => Pace::StandsStill,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn to_stand_still_is_not_to_have_nothing_to_do() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let (none, some) = (
            Lag { events: 0, is_estimate: false, seconds: 0 },
            Lag { events: 1, is_estimate: false, seconds: 90 },
        );
        let ago = |seconds| Some(now - TimeDelta::seconds(seconds));
        assert_eq!(pace(none, ago(3_600), now), Pace::Idle);
        assert_eq!(pace(some, ago(1), now), Pace::Working);
        assert_eq!(pace(some, ago(60), now), Pace::StandsStill);
        assert_eq!(pace(some, None, now), Pace::StandsStill);
        let just_come = Lag { seconds: 1, ..some };
        assert_eq!(pace(just_come, ago(3_600), now), Pace::Working);
        assert_eq!(pace(just_come, None, now), Pace::Working);
    }
}
