//! Whether the store still holds the log that it held when this process began.

use super::EventStore;
use super::reads::{Gate, Read};
use super::translate::recorded;
use crate::imports::IMPORT_HAS_NOT_ENDED;
use crate::{EventStoreError, Position, RawRecord};
use eventstore::{ReadAllOptions, StreamPosition};
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use std::pin::pin;
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

/// How often a running process looks whether the log is still the same.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// For so long a log may seem to have lost its end: a node of a cluster that is behind the others has not lost it.
const SEEMS_SHORT_FOR: Duration = Duration::from_secs(10);

/// Why a log is not known to be the one that it was.
#[derive(Debug)]
pub(super) enum NotTheSame {
    /// The store does not answer.
    Away(EventStoreError),
    /// It has another id.
    Another(String),
    /// Only the beginning of a file was imported.
    HalfACopy,
    /// An event that was in it is not there any more.
    LostItsEnd(String),
}

impl NotTheSame {
    pub(super) fn why(self) -> EventStoreError {
        match self {
            Self::Away(error) => error,
            // As if it were away: the log that this process began with is not there.
            Self::Another(why) | Self::LostItsEnd(why) => EventStoreError::Unavailable(why),
            Self::HalfACopy => EventStoreError::Unavailable(IMPORT_HAS_NOT_ENDED.to_owned()),
        }
    }
}

impl From<EventStoreError> for NotTheSame {
    fn from(error: EventStoreError) -> Self {
        Self::Away(error)
    }
}

impl EventStore {
    /// Whether the log has an event at this place, and that one if it is known which it was. A node that may only be behind
    /// the others is asked again for a while.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn has_event_at(&self, position: Position, id: Option<Uuid>) -> Result<bool, EventStoreError> {
        let begun = Instant::now();
        loop {
            if self.goes_to(position).await? {
                return self.has_there(position, id).await;
            }
            if begun.elapsed() >= SEEMS_SHORT_FOR {
                return Ok(false);
            }
            tokio::time::sleep(LOOK_EVERY / 4).await;
        }
    }

    /// Looks, for as long as it is polled, whether the store still holds the log that it held when this process began, and
    /// tells whenever that changes: why it is not the same, or nothing when it is again. As long as it is not, nothing is
    /// read from it and nothing is written to it.
    pub async fn watch_log(&self, mut tell: impl FnMut(Option<&str>)) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut short_since: Option<Instant> = None;
        let mut told = None;
        loop {
            looks.tick().await;
            if self.shared.log.identity().is_none() {
                // For this process it is this log from now on, whether or not anything else asks which one it is. What is wrong
                // if it cannot be asked is told below, or by the parts that need the store.
                drop(self.log_identity().await);
            }
            let trouble = match self.is_the_same_log(self.shared.log.seen(), None).await {
                Ok(()) => None,
                // The parts that need the store report that themselves.
                Err(NotTheSame::Away(_)) => continue,
                Err(NotTheSame::HalfACopy) => Some(IMPORT_HAS_NOT_ENDED.to_owned()),
                Err(NotTheSame::Another(why)) => Some(why),
                Err(NotTheSame::LostItsEnd(why)) => {
                    let since = *short_since.get_or_insert_with(Instant::now);
                    if since.elapsed() < SEEMS_SHORT_FOR {
                        continue;
                    }
                    Some(why)
                }
            };
            if trouble.is_none() {
                short_since = None;
            }
            self.shared.log.set_trouble(trouble);
            let trouble = self.shared.log.trouble();
            if told.as_ref() != Some(&trouble) {
                tell(trouble.as_deref());
                told = Some(trouble);
            }
        }
    }

    /// Whether what was just read came from the log that this process began with. That is looked at only if a connection was
    /// lost since the last look.
    pub(super) async fn was_of_our_log(&self) -> Result<(), EventStoreError> {
        if !self.shared.log.is_to_be_looked_at() {
            return Ok(());
        }
        self.clone().looks_whose_log_it_is().await.map_err(NotTheSame::why)
    }

    /// Whether the store that answers now has the log that this process began with. In a box, because it reads the log itself.
    pub(super) fn looks_whose_log_it_is(self) -> BoxFuture<'static, Result<(), NotTheSame>> {
        async move {
            let losses = self.shared.log.losses();
            match self.is_the_same_log(None, None).await {
                Err(away @ NotTheSame::Away(EventStoreError::Unavailable(_))) => return Err(away),
                Err(other @ (NotTheSame::Another(_) | NotTheSame::LostItsEnd(_))) => {
                    // Whatever is asked next has to look too.
                    self.shared.log.lost_a_connection();
                    return Err(other);
                }
                Err(half @ NotTheSame::HalfACopy) if self.shared.log.wants_whole() => return Err(half),
                // Who may not read the log's id is told so by the parts that need it, and an import reads what it has begun.
                Ok(()) | Err(NotTheSame::Away(_) | NotTheSame::HalfACopy) => {}
            }
            self.shared.log.was_the_same_after(losses);
            Ok(())
        }
        .boxed()
    }

    /// Whether the store holds the log that this process began with, no import into it is under way, and an event that was
    /// there is where it was.
    pub(super) async fn is_the_same_log(
        &self,
        last: Option<Position>,
        id: Option<Uuid>,
    ) -> Result<(), NotTheSame> {
        let known = self.shared.log.identity();
        if known.is_none() && !self.shared.log.wants_whole() {
            return Ok(());
        }
        let found = self.read_log_identity().await?;
        if found.as_ref().is_some_and(|found| found.imports().is_one_under_way()) {
            return Err(NotTheSame::HalfACopy);
        }
        let Some(known) = known else { return Ok(()) };
        if let Some(found) = found.as_ref().filter(|found| found.id() == known.id()) {
            self.shared.log.says(found);
        } else {
            let now =
                found.map_or_else(|| "a log without an id".to_owned(), |now| format!("the log {}", now.id()));
            let was = known.id();
            return Err(NotTheSame::Another(format!(
                "it holds {now}, and this process began with the log {was}: give the address of that one, or restart the \
                 service to go on with what is there"
            )));
        }
        let Some(last) = last else { return Ok(()) };
        let is_there = self.goes_to(last).await? && (id.is_none() || self.has_there(last, id).await?);
        if is_there {
            return Ok(());
        }
        Err(NotTheSame::LostItsEnd(format!(
            "its log has not the event at position {last} that it had, as one restored from a backup: restart the service to \
             go on with what is there"
        )))
    }

    async fn has_there(&self, position: Position, id: Option<Uuid>) -> Result<bool, EventStoreError> {
        let options = ReadAllOptions::default()
            .position(StreamPosition::Position(super::translate::theirs(position)))
            .forwards()
            .max_count(1);
        let mut there = pin!(self.read_with(Read::All(options), super::raw::raw_record, Gate::Open));
        let there: Option<RawRecord> = match there.try_next().await {
            Ok(there) => there,
            // A server refuses a place at which no event begins.
            Err(EventStoreError::Refused(_)) => None,
            Err(error) => return Err(error),
        };
        // One that is not there any more was hidden, and a scavenge has taken it away.
        Ok(there.is_some_and(|there| there.position != position || id.is_none_or(|id| id == there.event.id)))
    }

    /// The newest place in the log, whichever log it is, and the id of the event there.
    pub(super) async fn newest(&self) -> Result<Option<(Position, Uuid)>, EventStoreError> {
        let options = ReadAllOptions::default().position(StreamPosition::End).backwards().max_count(1);
        let mut events = pin!(self.read_with(Read::All(options), recorded, Gate::Open));
        Ok(events.try_next().await?.map(|event| (event.position, event.id)))
    }

    /// Whether the log goes as far as this place, by the node that answers: it may be behind the others.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub async fn goes_to(&self, position: Position) -> Result<bool, EventStoreError> {
        Ok(self.newest().await?.is_some_and(|(newest, _)| newest >= position))
    }
}
