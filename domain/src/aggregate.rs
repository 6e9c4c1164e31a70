//! What every aggregate is: a state that decides commands and evolves with events.

use crate::stored::StoredEvent;

/// The consistency boundary of one stream. `Self` is the state; `Default` is the state before any event.
pub trait Aggregate: Default + Send + Sync + 'static {
    /// The first part of the stream's name: `{CATEGORY}-{id}`.
    const CATEGORY: &'static str;

    /// What can be asked of it.
    type Command: Clone + Send + Sync + 'static;
    /// What can have happened to it.
    type Event: StoredEvent + Clone + Send + Sync + 'static;
    /// Why it says no.
    type Rejection: std::error::Error + Clone + Send + Sync + 'static;

    /// What the command would make happen now. An empty list means "it is already so"; deciding a command again
    /// on the state that it led to always gives an empty list.
    ///
    /// # Errors
    /// The rule that forbids the command, with the data that explains it.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// The state after the event. Total: it never fails, also not on an event that makes no sense here. `decide`
    /// keeps such events out of the log; what the state is after one is not promised.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;

    /// How many parts of the same size the state has: what it takes to keep it in memory grows with them.
    fn parts(&self) -> usize {
        1
    }

    /// The state after a whole history.
    #[must_use]
    fn fold<'a>(events: impl IntoIterator<Item = &'a Self::Event>) -> Self {
        events.into_iter().fold(Self::default(), Self::evolve)
    }
}
