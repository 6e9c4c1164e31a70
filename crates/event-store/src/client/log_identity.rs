//! Which log it is that the store holds, and whether it still is the one that it held when this process began.

use super::EventStore;
use super::reads::{Gate, Read};
use super::translate::recorded;
use crate::log_identity::Identified;
use crate::{
    AppendError, EventStoreError, ExpectedRevision, LOG_IDENTITY_STREAM, LogId, LogIdentity, Metadata,
    NewEvent, OwnStream, Position, RawRecord,
};
use chrono::Utc;
use eventstore::{ReadAllOptions, ReadStreamOptions, StreamPosition};
use futures::TryStreamExt;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, MissedTickBehavior, interval};
use uuid::Uuid;

/// Who gives a log its id.
const ACTOR: &str = "event_store";
/// How often a running process looks whether the log is still the same.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// For so long a log may seem to have lost its end: a node of a cluster that is behind the others has not lost it.
const SEEMS_SHORT_FOR: Duration = Duration::from_secs(10);

/// What a process knows of the log.
#[derive(Default)]
pub(super) struct KnownLog {
    known: Mutex<Known>,
    /// The largest position that was seen in it.
    seen: AtomicU64,
    /// One asks, or gives it its id, and the others wait: their appends would only get in each other's way.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    identity: Option<LogIdentity>,
    /// Why nothing is read and written any more.
    trouble: Option<String>,
}

/// Why a log is not known to be the one that it was.
#[derive(Debug)]
pub(super) enum NotTheSame {
    /// The store does not answer.
    Away(EventStoreError),
    /// It has another id.
    Another(String),
    /// An event that was in it is not there any more.
    LostItsEnd(String),
}

impl NotTheSame {
    pub(super) fn why(self) -> EventStoreError {
        match self {
            Self::Away(error) => error,
            // As if it were away: the log that this process began with is not there.
            Self::Another(why) | Self::LostItsEnd(why) => EventStoreError::Unavailable(why),
        }
    }
}

impl From<EventStoreError> for NotTheSame {
    fn from(error: EventStoreError) -> Self {
        Self::Away(error)
    }
}

impl KnownLog {
    /// An event at this place was seen.
    pub(super) fn saw(&self, position: Position) {
        self.seen.fetch_max(position.value(), Ordering::Relaxed);
    }

    fn seen(&self) -> Option<Position> {
        Some(self.seen.load(Ordering::Relaxed)).filter(|seen| *seen > 0).map(Position::new)
    }

    fn identity(&self) -> Option<LogIdentity> {
        self.lock().identity.clone()
    }

    /// Why nothing may be read or written, if that is so.
    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it holds the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventStore {
    /// Which log the store holds. One that does not say so yet is given an id by whichever process asks first. It is asked
    /// once: for this process it is this log from then on.
    ///
    /// # Errors
    /// When the store cannot be reached, or refuses to be written to.
    pub async fn log_identity(&self) -> Result<LogIdentity, EventStoreError> {
        if let Some(known) = self.shared.log.identity() {
            return Ok(known);
        }
        let _asking = self.shared.log.asking.lock().await;
        if let Some(known) = self.shared.log.identity() {
            return Ok(known);
        }
        let identity = loop {
            let (stream, found, expected) = self.find_identity().await?;
            if let Some(identity) = found {
                break identity;
            }
            self.give_identity(&stream, expected).await?;
        };
        Ok(self.shared.log.lock().identity.get_or_insert(identity).clone())
    }

    /// Which log it is, if this process has asked for it.
    #[must_use]
    pub fn known_log(&self) -> Option<LogIdentity> {
        self.shared.log.identity()
    }

    /// The id of the log, if this process has asked for it.
    #[must_use]
    pub fn known_log_id(&self) -> Option<LogId> {
        self.known_log().map(|identity| identity.id())
    }

    /// Gives the log another id, because it was restored from a backup: what was noted of it after the backup is known as
    /// such then. Gives the new id.
    ///
    /// # Errors
    /// When the store cannot be reached, or refuses to be written to.
    pub async fn renew_log_identity(&self) -> Result<LogId, EventStoreError> {
        let before = self.log_identity().await?;
        loop {
            let (stream, found, expected) = self.find_identity().await?;
            match found {
                Some(now) if now.id() != before.id() => {
                    self.shared.log.lock().identity = Some(now.clone());
                    return Ok(now.id());
                }
                _ => self.give_identity(&stream, expected).await?,
            }
        }
    }

    /// What the log says of itself now; none if it says nothing. Nothing is written.
    ///
    /// # Errors
    /// When the store cannot be reached or refuses.
    pub async fn read_log_identity(&self) -> Result<Option<LogIdentity>, EventStoreError> {
        self.find_identity().await.map(|(_, identity, _)| identity)
    }

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
            let trouble = match self.is_the_same_log(self.shared.log.seen(), None).await {
                Ok(()) => None,
                // That is told by those who need it.
                Err(NotTheSame::Away(_)) => continue,
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
            self.shared.log.lock().trouble.clone_from(&trouble);
            if told.as_ref() != Some(&trouble) {
                tell(trouble.as_deref());
                told = Some(trouble);
            }
        }
    }

    /// Whether the store holds the log that this process began with, and an event that was there is where it was.
    pub(super) async fn is_the_same_log(
        &self,
        last: Option<Position>,
        id: Option<Uuid>,
    ) -> Result<(), NotTheSame> {
        let Some(known) = self.shared.log.identity() else { return Ok(()) };
        let found = self.read_log_identity().await?;
        if found.as_ref() != Some(&known) {
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

    /// Whether the log goes as far as this place.
    async fn goes_to(&self, position: Position) -> Result<bool, EventStoreError> {
        Ok(self.newest().await?.is_some_and(|(newest, _)| newest >= position))
    }

    /// The stream of the log's ids, what it says, and where it stands.
    async fn find_identity(
        &self,
    ) -> Result<(OwnStream, Option<LogIdentity>, ExpectedRevision), EventStoreError> {
        let mut stream = OwnStream::first(LOG_IDENTITY_STREAM);
        loop {
            let options = ReadStreamOptions::default().position(StreamPosition::Start).max_count(usize::MAX);
            let read = Read::Stream(stream.name().to_owned(), options);
            let mut events = pin!(self.read_with(read, recorded, Gate::Open));
            let (mut named, mut expected) = (Vec::new(), ExpectedRevision::NoStream);
            loop {
                match events.try_next().await {
                    Ok(Some(event)) => {
                        expected = ExpectedRevision::Exact(event.revision);
                        let is_ours = event.event_type == Identified::TYPE;
                        let said =
                            is_ours.then(|| serde_json::from_slice::<Identified>(&event.data).ok()).flatten();
                        named.extend(said.map(|said| (said.log_id, event.position)));
                    }
                    Ok(None) => return Ok((stream, LogIdentity::of(named), expected)),
                    Err(EventStoreError::Deleted) => break,
                    Err(error) => return Err(error),
                }
            }
            stream = stream.successor();
        }
    }

    /// Gives the log an id, unless somebody else does.
    async fn give_identity(
        &self,
        stream: &OwnStream,
        expected: ExpectedRevision,
    ) -> Result<(), EventStoreError> {
        let id = Uuid::now_v7();
        let metadata = Metadata {
            correlation_id: id,
            causation_id: id,
            command_id: id,
            actor: ACTOR.to_owned(),
            occurred_at: Utc::now(),
            fingerprint: String::new(),
            more: false,
        };
        let event = NewEvent {
            id,
            event_type: Identified::TYPE,
            data: serde_json::to_vec(&Identified { log_id: LogId::new(Uuid::new_v4()) })
                .expect("an id can always be written"),
            metadata: metadata.to_json(),
        };
        match self.append(stream.name(), expected, vec![event]).await {
            Ok(_) | Err(AppendError::Conflict) => Ok(()),
            Err(AppendError::Unknown(error)) => Err(EventStoreError::Unavailable(error)),
            Err(AppendError::AccessDenied) => Err(EventStoreError::AccessDenied),
            Err(error @ (AppendError::Refused(_) | AppendError::TooLarge { .. })) => {
                Err(EventStoreError::Refused(error.to_string()))
            }
        }
    }
}
