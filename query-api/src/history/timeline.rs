//! When each state was the one that held, by business time.
//!
//! Business times may go back: an operator records today what happened in March. The state at a moment is the one after
//! the last event, in the stream's order, that had happened by then (see [`Point::Time`](super::Point)): what an event was
//! decided upon had happened before it. So an event that comes later, with an earlier time, takes the time from then on
//! away from those before it.

use chrono::{DateTime, Utc};

/// The states of a stream, each from the moment from which it held. It keeps no more than can still be seen.
#[derive(Debug)]
pub struct Timeline<S> {
    /// Later and later.
    states: Vec<(DateTime<Utc>, S)>,
}

/// A time in which one state held; it never ends before it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Period<S> {
    pub state: S,
    /// Itself inside.
    pub from: DateTime<Utc>,
    /// Itself outside; none if the state still holds.
    pub until: Option<DateTime<Utc>>,
}

impl<S> Default for Timeline<S> {
    fn default() -> Self {
        Self { states: Vec::new() }
    }
}

impl<S: PartialEq> Timeline<S> {
    /// Takes the stream's next event in: when it happened, and the state after it.
    pub fn take(&mut self, time: DateTime<Utc>, state: S) {
        while self.states.last().is_some_and(|(from, _)| *from >= time) {
            self.states.pop();
        }
        // An event that changes nothing begins nothing.
        if self.states.last().is_none_or(|(_, before)| *before != state) {
            self.states.push((time, state));
        }
    }

    /// The periods, oldest first. Each ends where the next one begins.
    pub fn periods(self) -> Vec<Period<S>> {
        let ends: Vec<_> = self.states.iter().skip(1).map(|(from, _)| Some(*from)).chain([None]).collect();
        let states = self.states.into_iter().zip(ends);
        states.map(|((from, state), until)| Period { state, from, until }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::TimeDelta;
    use proptest::prelude::*;
    use rstest::rstest;

    fn at(minute: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::minutes(minute)
    }

    fn periods(events: &[(i64, u32)]) -> Vec<(u32, i64, Option<i64>)> {
        let mut timeline = Timeline::default();
        events.iter().for_each(|(minute, state)| timeline.take(at(*minute), *state));
        let minute = |time: DateTime<Utc>| (time - DateTime::UNIX_EPOCH).num_minutes();
        let periods = timeline.periods().into_iter();
        periods.map(|period| (period.state, minute(period.from), period.until.map(minute))).collect()
    }

    #[rstest]
    #[case::nothing(&[], &[])]
    #[case::one(&[(5, 1)], &[(1, 5, None)])]
    #[case::one_after_the_other(&[(1, 10), (2, 20), (4, 30)], &[(10, 1, Some(2)), (20, 2, Some(4)), (30, 4, None)])]
    #[case::the_last_goes_back_between(&[(1, 10), (6, 20), (3, 30)], &[(10, 1, Some(3)), (30, 3, None)])]
    #[case::the_last_goes_back_before_all(&[(3, 10), (6, 20), (1, 30)], &[(30, 1, None)])]
    #[case::two_at_one_moment(&[(1, 10), (2, 20), (2, 30)], &[(10, 1, Some(2)), (30, 2, None)])]
    #[case::there_and_back_again(&[(1, 10), (8, 20), (3, 30), (9, 40)], &[(10, 1, Some(3)), (30, 3, Some(9)), (40, 9, None)])]
    #[case::nothing_changes(&[(1, 10), (2, 10), (3, 20)], &[(10, 1, Some(3)), (20, 3, None)])]
    #[case::what_changes_nothing_goes_back(&[(1, 10), (6, 20), (3, 20)], &[(10, 1, Some(3)), (20, 3, None)])]
    #[case::back_to_the_first_state(&[(1, 10), (6, 20), (3, 10)], &[(10, 1, None)])]
    fn a_period_ends_where_the_next_begins(
        #[case] events: &[(i64, u32)],
        #[case] expected: &[(u32, i64, Option<i64>)],
    ) {
        assert_eq!(periods(events), expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        /// What `as_of` folds up to: the last event of the stream that had happened by then.
        #[test]
        fn each_moment_is_in_the_period_of_the_state_that_as_of_gives(
            events in prop::collection::vec((0..20_i64, 0..4_u32), 0..30),
        ) {
            let periods = periods(&events);
            for moment in -1..21 {
                let as_of = events.iter().rev().find(|(time, _)| *time <= moment).map(|(_, state)| *state);
                let within: Vec<u32> = periods
                    .iter()
                    .filter(|(_, from, until)| *from <= moment && until.is_none_or(|until| moment < until))
                    .map(|(state, ..)| *state)
                    .collect();
                prop_assert_eq!(within, Vec::from_iter(as_of), "at {}", moment);
            }
            for (_, from, until) in periods {
                prop_assert!(until.is_none_or(|until| from < until));
            }
        }
    }
}
