//! Given a history, when a command comes, then these events happen or this rejection is given.

use domain::Aggregate;
use std::fmt::Debug;

/// A state that a history led to.
pub struct Given<A: Aggregate>(A);

/// A state, and a command to it.
pub struct When<A: Aggregate> {
    state: A,
    command: A::Command,
}

/// The aggregate after this history.
pub fn given<A: Aggregate>(history: &[A::Event]) -> Given<A> {
    Given(A::fold(history))
}

impl<A: Aggregate> Given<A> {
    /// Asks it something.
    pub fn when(self, command: A::Command) -> When<A> {
        When { state: self.0, command }
    }
}

impl<A: Aggregate> When<A>
where
    A::Event: Debug + PartialEq,
    A::Rejection: PartialEq,
{
    /// Exactly these events happen, and asking again makes nothing more happen.
    #[track_caller]
    pub fn then(self, expected: &[A::Event]) {
        let events = match self.state.decide(&self.command) {
            Ok(events) => events,
            Err(rejection) => panic!("refused ({rejection}), and should give {expected:?}"),
        };
        assert_eq!(events, expected);
        let again = events.iter().fold(self.state, A::evolve).decide(&self.command);
        assert_eq!(again, Ok(vec![]), "twice is not once");
    }

    /// The rule says no.
    #[track_caller]
    pub fn then_refused(self, expected: &A::Rejection) {
        assert_eq!(self.state.decide(&self.command).as_ref(), Err(expected));
    }
}
