//! Trying what the event store's user may do, without leaving anything behind.

use super::translate::is_failed_precondition;
use super::{EventStore, locks};
use crate::{EventStoreError, MissingRights, Need, Right};
use eventstore::{AppendToStreamOptions, Error, EventData, StreamState};
use futures::TryStreamExt;
use std::pin::pin;
use std::time::Duration;
use uuid::Uuid;

/// No stream is there: an append that expects it is refused, and writes nothing, but only after the user's rights were
/// looked at.
const NOWHERE: u64 = 1 << 62;
/// How often it is tried again while a right is missing, or the store is away.
const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// How often it is tried again while nothing is missing: a right can be taken away.
const LOOK_EVERY: Duration = Duration::from_secs(60);

impl EventStore {
    /// Tries what is needed, at once and again and again. `told` hears of it at first and whenever it has changed; a store
    /// that is away says nothing of rights. Never ends.
    pub async fn watch_rights(&self, needs: &[Need], mut told: impl FnMut(Option<MissingRights>)) {
        let mut last = None;
        loop {
            let mut pause = AGAIN_AFTER;
            if let Ok(missing) = self.missing_rights(needs).await {
                if missing.is_none() {
                    pause = LOOK_EVERY;
                }
                if last.as_ref() != Some(&missing) {
                    told(missing.clone());
                    last = Some(missing);
                }
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// What is needed and not allowed; `None` if all of it is.
    ///
    /// # Errors
    /// When the store cannot be reached, or refuses for another reason.
    pub async fn missing_rights(&self, needs: &[Need]) -> Result<Option<MissingRights>, EventStoreError> {
        let mut tried: Vec<(Right, bool)> = Vec::new();
        let mut missing = Vec::new();
        for need in needs {
            let known = tried.iter().find(|(right, _)| *right == need.right).map(|(_, allowed)| *allowed);
            let is_allowed = match known {
                Some(is_allowed) => is_allowed,
                None => {
                    let is_allowed = self.has_right(need.right).await?;
                    tried.push((need.right, is_allowed));
                    is_allowed
                }
            };
            if !is_allowed {
                missing.push(*need);
            }
        }
        let has_none = missing.len() == needs.len();
        Ok((!missing.is_empty()).then_some(MissingRights { needs: missing, has_none }))
    }

    async fn has_right(&self, right: Right) -> Result<bool, EventStoreError> {
        let tried = match right {
            Right::ReadLog => self.head().await.map(|_| ()),
            Right::Read(stream) => self.try_read(stream).await,
            Right::Append(stream) => self.try_append_nowhere(stream).await,
            Right::WriteMetadata(stream) => self.try_append_nowhere(&format!("$${stream}")).await,
            Right::Lock(stream) => self.try_lock_stream(stream).await,
        };
        match tried {
            Ok(()) => Ok(true),
            Err(EventStoreError::AccessDenied) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn try_read(&self, stream: &str) -> Result<(), EventStoreError> {
        match pin!(self.read_stream_backwards(stream, None, 1)).try_next().await {
            Ok(_) | Err(EventStoreError::Deleted) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn try_append_nowhere(&self, stream: &str) -> Result<(), EventStoreError> {
        let (generation, client) = self.client().map_err(|(_, error)| EventStoreError::Unavailable(error))?;
        let options = AppendToStreamOptions::default().stream_state(StreamState::StreamRevision(NOWHERE));
        let event = EventData::binary("rights-tried", Vec::new().into()).id(Uuid::new_v4());
        match client.append_to_stream(stream, &options, event).await {
            Ok(_) | Err(Error::WrongExpectedVersion { .. } | Error::ResourceDeleted) => Ok(()),
            Err(Error::Grpc { code, .. }) if is_failed_precondition(code as i32) => Ok(()),
            Err(error) => Err(self.failed(generation, &error)),
        }
    }

    /// Makes the group, as the first holder of the lock would.
    async fn try_lock_stream(&self, stream: &str) -> Result<(), EventStoreError> {
        self.try_read(stream).await?;
        let (generation, client) = self.client().map_err(|(_, error)| EventStoreError::Unavailable(error))?;
        let created = locks::create(&client, stream).await;
        created.map_err(|error| self.failed(generation, &error))
    }
}
