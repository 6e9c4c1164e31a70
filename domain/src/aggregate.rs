//! What every aggregate is: a state that decides commands and evolves with events.

use crate::Summary;
use crate::stored::StoredEvent;
use std::fmt::Display;
use std::str::FromStr;

/// The consistency boundary of one stream. `Self` is the state; `Default` is the state before any event.
pub trait Aggregate: Default + Send + Sync + 'static {
    /// The first part of the stream's name: `{CATEGORY}-{id}`.
    const CATEGORY: &'static str;

    /// What one of them is known by: the second part of the stream's name.
    type Id: Display + FromStr + Clone + Send + Sync + 'static;
    /// What can be asked of it.
    type Command: Clone + Send + Sync + 'static;
    /// What can have happened to it.
    type Event: StoredEvent + Summary + Clone + std::fmt::Debug + PartialEq + Send + Sync + 'static;
    /// Why it says no.
    type Rejection: std::error::Error + Clone + Send + Sync + 'static;

    /// What the command would make happen now. An empty list means "it is already so"; deciding a command again
    /// on the state that it led to always gives an empty list.
    ///
    /// # Errors
    /// The rule that forbids the command, with the data that explains it.
    fn decide(&self, command: &Self::Command) -> Result<Vec<Self::Event>, Self::Rejection>;

    /// The state after the event. Total: it never fails, even on an event that makes no sense here. `decide`
    /// keeps such events out of the log; what the state is after one is not promised.
    #[must_use]
    fn evolve(self, event: &Self::Event) -> Self;

    /// The name of the stream of the one with this id. Here alone such a name is made.
    #[must_use]
    fn stream(id: impl Display) -> String {
        format!("{}-{id}", Self::CATEGORY)
    }

    /// Whose stream it is; none if it is not a stream of this aggregate. Here alone such a name is read.
    #[must_use]
    fn id_of(stream: &str) -> Option<Self::Id> {
        stream.strip_prefix(Self::CATEGORY)?.strip_prefix('-')?.parse().ok()
    }

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
