//! How far behind the log a projection is.

use chrono::{DateTime, TimeDelta, Utc};
use event_store::{EventStore, EventStoreError, Position};
use futures::{TryStreamExt, pin_mut};
use serde::Serialize;

/// Events that are counted one by one. Beyond that the number is an estimate.
const COUNTED: u64 = 1_000;
/// A checkpoint that has not moved for so long although there is something to do stands still.
const STANDS_STILL_AFTER: TimeDelta = TimeDelta::seconds(10);

/// What a projection has not applied yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lag {
    /// Events of the log after the checkpoint.
    pub events: u64,
    /// Whether there are so many that they were not counted: the number follows from the positions then.
    pub is_estimate: bool,
    /// The age of the oldest of them, in whole seconds.
    pub seconds: i64,
}

/// Whether it works, rests or stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// Everything is applied.
    Idle,
    /// There is something to do, and the checkpoint moves.
    Working,
    /// There is something to do, and the checkpoint does not move.
    StandsStill,
}

/// Looks at what the log has after a position.
///
/// # Errors
/// When the event store does not answer.
pub async fn lag(
    store: &EventStore,
    reached: Option<Position>,
    head: Option<Position>,
    now: DateTime<Utc>,
) -> Result<Lag, EventStoreError> {
    let none = Lag { events: 0, is_estimate: false, seconds: 0 };
    if reached >= head {
        return Ok(none);
    }
    let events = store.read_all(reached, usize::MAX);
    pin_mut!(events);
    let mut lag = none;
    let mut last = reached;
    while let Some(event) = events.try_next().await? {
        if Some(event.position) <= reached {
            continue;
        }
        if lag.events == 0 {
            lag.seconds = (now - event.recorded_at).num_seconds().max(0);
        }
        lag.events += 1;
        last = Some(event.position);
        if lag.events == COUNTED {
            lag.is_estimate = true;
            break;
        }
    }
    if lag.is_estimate {
        let value = |position: Option<Position>| position.map_or(0, Position::value);
        let (all, counted) = (value(head) - value(reached), value(last) - value(reached));
        lag.events = all.saturating_mul(COUNTED) / counted.max(1);
    }
    Ok(lag)
}

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
