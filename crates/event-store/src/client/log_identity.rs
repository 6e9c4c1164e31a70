//! Which log it is that the store holds.

use super::EventStore;
use super::reads::{Gate, Read};
use super::same_log::NotTheSame;
use super::translate::recorded;
use crate::imports::{Imports, Mark};
use crate::log_identity::Identified;
use crate::{
    AppendError, EventStoreError, ExpectedRevision, LOG_IDENTITY_STREAM, LogId, LogIdentity, Metadata,
    NewEvent, OwnStream, Position,
};
use chrono::Utc;
use eventstore::{ReadStreamOptions, StreamPosition};
use futures::future::BoxFuture;
use futures::{FutureExt, TryStreamExt};
use serde::Serialize;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use uuid::Uuid;

/// Who gives a log its id.
const ACTOR: &str = "event_store";
/// What a process knows of the log.
#[derive(Default)]
pub(super) struct KnownLog {
    known: Mutex<Known>,
    /// Which log it is. All connections of a process know it as soon as one of them has asked: one that asked later could be
    /// told of another log, and take that for the process's own.
    identity: Arc<Mutex<Option<LogIdentity>>>,
    /// The largest position that was seen in it.
    seen: AtomicU64,
    /// One asks, or gives it its id, and the others wait: their appends would only get in each other's way.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// Why nothing is read and written any more.
    trouble: Option<String>,
    /// The same, as somebody else has found out who knows more than the log.
    veto: Option<String>,
    /// Only a log with no import under way may be used.
    wants_whole: bool,
    /// It was seen that no import is under way.
    is_whole: bool,
    /// How many connections were lost: each time, another store may be at the address afterwards.
    losses: u64,
    /// How many had been lost when it was last seen that the log is the same.
    losses_looked_at: u64,
}

impl Known {
    fn why_not(&self) -> Option<&String> {
        self.trouble.as_ref().or(self.veto.as_ref())
    }
}

/// Whether something may be read or written.
enum May {
    Go,
    Not(String),
    /// First it must be seen that no import is under way.
    NotBeforeALook,
}

impl KnownLog {
    /// An event at this place was seen.
    pub(super) fn saw(&self, position: Position) {
        self.seen.fetch_max(position.value(), Ordering::Relaxed);
    }

    pub(super) fn seen(&self) -> Option<Position> {
        Some(self.seen.load(Ordering::Relaxed)).filter(|seen| *seen > 0).map(Position::new)
    }

    pub(super) fn identity(&self) -> Option<LogIdentity> {
        self.lock_identity().clone()
    }

    /// For another connection of the same process.
    pub(super) fn of_another_connection(&self) -> Self {
        Self { identity: Arc::clone(&self.identity), ..Self::default() }
    }

    fn lock_identity(&self) -> MutexGuard<'_, Option<LogIdentity>> {
        // Nothing panics while it holds the lock.
        self.identity.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nothing may be read or written, if that is so.
    pub(super) fn trouble(&self) -> Option<String> {
        self.lock().why_not().cloned()
    }

    /// Whether something may be read or written, as far as is known.
    fn may(&self) -> May {
        let known = self.lock();
        match known.why_not() {
            Some(why) => May::Not(why.clone()),
            None if known.wants_whole && !known.is_whole => May::NotBeforeALook,
            None => May::Go,
        }
    }

    /// A connection to the store was lost.
    pub(super) fn lost_a_connection(&self) {
        self.lock().losses += 1;
    }

    /// How many connections were lost so far.
    pub(super) fn losses(&self) -> u64 {
        self.lock().losses
    }

    /// After so many lost connections, the log was the same.
    pub(super) fn was_the_same_after(&self, losses: u64) {
        let mut known = self.lock();
        known.losses_looked_at = known.losses_looked_at.max(losses);
    }

    /// Whether nobody has looked yet since a connection was lost.
    pub(super) fn is_to_be_looked_at(&self) -> bool {
        let known = self.lock();
        known.losses > known.losses_looked_at && self.lock_identity().is_some()
    }

    /// Whether only a log with no import under way may be used.
    pub(super) fn wants_whole(&self) -> bool {
        self.lock().wants_whole
    }

    /// Why it is not used any more, or that it is again.
    pub(super) fn set_trouble(&self, trouble: Option<String>) {
        self.lock().trouble = trouble;
    }

    /// What the log with the known id says of itself now: perhaps something was imported since.
    pub(super) fn says(&self, found: &LogIdentity) {
        *self.lock_identity() = Some(found.clone());
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing panics while it holds the lock.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventStore {
    /// From now on nothing is read and nothing is written as long as an import into the log has begun and has not ended: half
    /// a history tells false states. All services want this; commands that look at a log or mend it do not.
    pub fn use_whole_logs_only(&self) {
        self.shared.log.lock().wants_whole = true;
    }

    /// From now on nothing is read and nothing is written, for a reason that is not in the log; or it is again.
    pub fn veto(&self, why: Option<String>) {
        self.shared.log.lock().veto = why;
    }

    /// Whether the log may be read and written by this process.
    pub(super) async fn may_be_used(&self) -> Result<(), EventStoreError> {
        match self.shared.log.may() {
            May::Go => Ok(()),
            May::Not(why) => Err(EventStoreError::Unavailable(why)),
            May::NotBeforeALook => self.clone().looks_for_an_import().await,
        }
    }

    /// In a box, because it reads the log itself.
    fn looks_for_an_import(self) -> BoxFuture<'static, Result<(), EventStoreError>> {
        async move {
            match self.find_identity().await {
                Ok((_, Some(identity), _)) if identity.imports().is_one_under_way() => {
                    Err(NotTheSame::HalfACopy.why())
                }
                Err(error @ EventStoreError::Unavailable(_)) => Err(error),
                // The parts that have to read it report a missing right themselves.
                Ok(_) | Err(_) => {
                    self.shared.log.lock().is_whole = true;
                    Ok(())
                }
            }
        }
        .boxed()
    }

    /// Which log the store holds. One that does not say so yet is given an id by whichever process asks first. It is asked
    /// once: for this process it is this log from then on.
    ///
    /// # Errors
    /// When the store cannot be reached, or refuses to be written to, and as long as an import into the log has begun and has
    /// not ended.
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
            self.shared.log.lock().is_whole = true;
            self.give_identity(&stream, expected).await?;
        };
        if identity.imports().is_one_under_way() {
            return Err(NotTheSame::HalfACopy.why());
        }
        Ok(self.shared.log.lock_identity().get_or_insert(identity).clone())
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
                    *self.shared.log.lock_identity() = Some(now.clone());
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

    /// The stream of the log's ids and imports, what it says, and where it stands.
    pub(super) async fn find_identity(
        &self,
    ) -> Result<(OwnStream, Option<LogIdentity>, ExpectedRevision), EventStoreError> {
        let mut stream = OwnStream::first(LOG_IDENTITY_STREAM);
        loop {
            let options = ReadStreamOptions::default().position(StreamPosition::Start).max_count(usize::MAX);
            let read = Read::Stream(stream.name().to_owned(), options);
            let mut events = pin!(self.read_with(read, recorded, Gate::Open));
            let (mut named, mut imports) = (Vec::new(), Imports::default());
            let mut expected = ExpectedRevision::NoStream;
            loop {
                match events.try_next().await {
                    Ok(Some(event)) => {
                        expected = ExpectedRevision::Exact(event.revision);
                        let is_ours = event.event_type == Identified::TYPE;
                        let said =
                            is_ours.then(|| serde_json::from_slice::<Identified>(&event.data).ok()).flatten();
                        named.extend(said.map(|said| (said.log_id, event.position)));
                        if let Some(mark) = Mark::read(&event.event_type, &event.data) {
                            imports.note(mark);
                        }
                    }
                    Ok(None) => return Ok((stream, LogIdentity::of(named, imports), expected)),
                    Err(EventStoreError::Deleted) => break,
                    Err(error) => return Err(error),
                }
            }
            stream = stream.successor();
        }
    }

    /// Gives the log an id, unless somebody else does.
    pub(super) async fn give_identity(
        &self,
        stream: &OwnStream,
        expected: ExpectedRevision,
    ) -> Result<(), EventStoreError> {
        let said = Identified { log_id: LogId::new(Uuid::new_v4()) };
        self.say_of_the_log(stream, expected, Identified::TYPE, &said).await
    }

    /// Appends an event about the log itself, unless somebody else has just done so.
    pub(super) async fn say_of_the_log(
        &self,
        stream: &OwnStream,
        expected: ExpectedRevision,
        event_type: &'static str,
        said: &impl Serialize,
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
        let data = serde_json::to_vec(said).expect("ids and numbers can always be written");
        let event = NewEvent { id, event_type, data, metadata: metadata.to_json() };
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
