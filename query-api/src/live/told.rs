//! What is told of a cart or an order: each event, and how the thing stands then.

use domain::Aggregate;
use domain::stored::{COMMAND_NOTED, StoredEvent, UnreadableEvent};
use event_store::{EVENT_SKIPPED, EventStore, EventStoreError, Position, RecordedEvent, Skips};
use serde::Serialize;
use thiserror::Error;

/// The name of the event that tells how a thing stands, for those who come without having seen it.
pub const CURRENT: &str = "current";

/// What can be watched event by event.
pub trait Told: Aggregate<Id: Copy> {
    /// How it stands, for programs.
    type View: Serialize + Send;

    fn view(&self, id: Self::Id) -> Self::View;

    /// How it stands, for people, in a few words.
    fn standing(&self) -> String;
}

/// What happened, and how the thing stands then: made once for all who watch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// The event's type, or `current`.
    pub name: String,
    /// The event's place in the log.
    pub position: Position,
    pub revision: u64,
    /// The first revision that no moment before this one tells of: events of which there is nothing to tell lie between.
    pub since: u64,
    /// As it is told.
    pub json: String,
}

#[derive(Serialize)]
struct MomentView<V> {
    position: Position,
    revision: u64,
    #[serde(flatten)]
    view: V,
    /// One line for people.
    summary: String,
}

/// Why a listener hears no more; one that comes back goes on where it was.
#[derive(Debug, Error)]
pub enum BrokenOff {
    #[error(transparent)]
    Store(#[from] EventStoreError),
    #[error("an event cannot be read")]
    Unreadable(#[from] UnreadableEvent),
    #[error("a moment cannot be written as JSON")]
    Unwritable(#[from] serde_json::Error),
    #[error("what it has missed was not taken in time")]
    TooSlow,
}

/// The thing up to the last event that was taken.
pub(super) struct Seen<T: Told> {
    id: T::Id,
    pub stream: String,
    state: T,
    pub next_revision: u64,
    last: Position,
    /// The first revision of which nothing has been told.
    untold: u64,
    /// Events that cannot be read and that the operator has had passed over.
    skips: Skips,
}

impl<T: Told> Seen<T> {
    pub fn nothing(id: T::Id) -> Self {
        let (stream, last, skips) = (stream_of::<T>(id), Position::new(0), Skips::default());
        Self { id, stream, state: T::default(), next_revision: 0, last, untold: 0, skips }
    }

    /// Takes the stream's next event in. Gives what is to be told of it to those who have not heard it.
    pub fn take(&mut self, event: &RecordedEvent, is_wanted: bool) -> Result<Option<Moment>, BrokenOff> {
        (self.next_revision, self.last) = (event.revision + 1, event.position);
        if [COMMAND_NOTED, EVENT_SKIPPED].contains(&event.event_type.as_str()) || self.skips.has(event) {
            return Ok(None);
        }
        let fact = T::Event::read(&event.event_type, &event.data)?;
        self.state = std::mem::take(&mut self.state).evolve(&fact);
        let since = std::mem::replace(&mut self.untold, self.next_revision);
        is_wanted.then(|| self.moment(&event.event_type, since)).transpose()
    }

    /// The same for an event of the past: if it cannot be read, the operator may have had it passed over since.
    pub async fn take_past(
        &mut self,
        store: &EventStore,
        event: &RecordedEvent,
        is_wanted: bool,
    ) -> Result<Option<Moment>, BrokenOff> {
        match self.take(event, is_wanted) {
            Err(BrokenOff::Unreadable(error)) => {
                self.skips = store.skips(&self.stream, event.revision.saturating_add(1)).await?;
                if self.skips.has(event) { Ok(None) } else { Err(error.into()) }
            }
            taken => taken,
        }
    }

    /// How it stands.
    pub fn current(&self) -> Result<Moment, BrokenOff> {
        self.moment(CURRENT, 0)
    }

    fn moment(&self, name: &str, since: u64) -> Result<Moment, BrokenOff> {
        let what = name.split('.').nth(1).map_or("now".to_owned(), |fact| fact.replace('_', " "));
        let (position, revision) = (self.last, self.next_revision.saturating_sub(1));
        let summary = format!("{what}: {}", self.state.standing());
        let view = MomentView { position, revision, view: self.state.view(self.id), summary };
        let json = serde_json::to_string(&view)?;
        Ok(Moment { name: name.to_owned(), position, revision, since, json })
    }
}

/// The name of the stream.
pub(super) fn stream_of<T: Told>(id: T::Id) -> String {
    T::stream(id)
}
