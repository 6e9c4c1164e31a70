//! Whether a request to the payment gateway may be sent again under its key, or must be looked for first.
//!
//! As long as the gateway knows the key, the same request is the safest question: it is done once, and answered as the
//! first time. Then the gateway forgets the key and would do the request a second time.

use chrono::{DateTime, Utc};
use std::time::Duration;

/// What may be done about a request whose answer is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repetition {
    /// Send it again.
    Repeat,
    /// Look for what it made.
    LookUp {
        /// Whether the gateway would have found it by now, had it been made.
        is_final: bool,
    },
}

/// A day has hours; a gateway that keeps its keys for less has shorter ones.
const HOURS: u32 = 24;

impl Repetition {
    /// Of a request that was recorded so long ago, before it was sent for the first time.
    ///
    /// Of a day, the last two hours are margin: one for our clocks and for an attempt that is on its way, one for the
    /// gateway, which does not find at once what is new.
    pub fn after(age: Duration, keeps_keys: Duration) -> Self {
        let hour = keeps_keys / HOURS;
        if age < hour * (HOURS - 2) {
            Self::Repeat
        } else {
            Self::LookUp { is_final: age >= hour * (HOURS - 1) }
        }
    }
}

/// How long ago that was; nothing for what is still to come by our clock.
pub fn age(recorded_at: DateTime<Utc>) -> Duration {
    (Utc::now() - recorded_at).to_std().unwrap_or_default()
}

/// Whether something is so young that nobody need look when exactly it was recorded.
pub fn is_recent(recorded_at: DateTime<Utc>, keeps_keys: Duration) -> bool {
    age(recorded_at) < keeps_keys / HOURS
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;

    const HOUR: u64 = 60 * 60;

    #[test]
    fn a_request_is_repeated_only_while_its_key_is_known() {
        let look_up = |is_final| Repetition::LookUp { is_final };
        for (age, keeps_keys, expected) in [
            (0, 24 * HOUR, Repetition::Repeat),
            (22 * HOUR - 1, 24 * HOUR, Repetition::Repeat),
            (22 * HOUR, 24 * HOUR, look_up(false)),
            (23 * HOUR, 24 * HOUR, look_up(true)),
            (u64::MAX, 24 * HOUR, look_up(true)),
            // A gateway that keeps no keys.
            (0, 0, look_up(true)),
        ] {
            let (age, keeps_keys) = (Duration::from_secs(age), Duration::from_secs(keeps_keys));
            assert_eq!(Repetition::after(age, keeps_keys), expected, "{age:?} of {keeps_keys:?}");
        }
    }

    #[test]
    fn what_was_recorded_a_while_ago_is_not_recent() {
        let day = Duration::from_secs(24 * HOUR);
        assert!(is_recent(Utc::now(), day));
        assert!(is_recent(Utc::now() + TimeDelta::minutes(5), day));
        assert!(!is_recent(Utc::now() - TimeDelta::hours(1), day));
        assert!(!is_recent(Utc::now(), Duration::ZERO));
    }
}
