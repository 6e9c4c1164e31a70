//! Snapshots of streams that grow for ever: the state at a revision, kept in a stream of its own beside them.
//!
//! One append takes far less than the state of a million reservations, so a snapshot is a set of parts. Only a set that
//! is complete counts; until then the one before it does. The events are the truth: a snapshot that cannot be read, or
//! that is not of this very stream, costs a line in the log and a longer read.

use super::loaded::{Answered, End, Loaded};
use audit_seal::{chain, is_sealed};
use bytes::Bytes;
use chrono::Utc;
use domain::Aggregate;
use domain::inventory::{Inventory, UnreadableSnapshot};
use event_store::{
    AppendError, EventStore, EventStoreError, ExpectedRevision, Metadata, Position, RawEvent, RecordedEvent,
};
use futures::{StreamExt, pin_mut};
use std::collections::HashMap;
use thiserror::Error;
use uuid::Uuid;

mod part;

use part::{Assembly, Head, PART_TYPE, Reader};

/// Fewer new events than these are always read.
const FEWEST_EVENTS: u64 = 10_000;
/// A snapshot waits for so many new events that it adds no more bytes to the log than this for each of them. An event
/// takes about 450.
const BYTES_PER_EVENT: usize = 100;
/// Bytes of one part: small, as it goes the way of everybody's appends.
const PART_BYTES: usize = 256 * 1024;
/// Who writes them, in the metadata.
const ACTOR: &str = "snapshots";
/// The form of what goes before the state.
const VERSION: u8 = 2;

/// How states of one kind become bytes and back.
pub(super) struct Snapshots<A> {
    write: fn(&A) -> Vec<u8>,
    read: fn(&[u8]) -> Result<A, UnreadableSnapshot>,
}

impl Snapshots<Inventory> {
    pub const OF_STOCK: Self = Self { write: Inventory::to_snapshot, read: Inventory::from_snapshot };
}

impl<A> Clone for Snapshots<A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Snapshots<A> {}

/// Why the newest snapshot is not used.
#[derive(Debug, Error)]
enum Unusable {
    #[error(transparent)]
    Store(#[from] EventStoreError),
    #[error(transparent)]
    Unreadable(#[from] UnreadableSnapshot),
    #[error("it is of another stream: the event of revision {revision} is not the one that it names")]
    Foreign { revision: u64 },
}

/// Why a snapshot is not stored.
#[derive(Debug, Error)]
enum NotStored {
    #[error(transparent)]
    Read(#[from] EventStoreError),
    #[error(transparent)]
    Append(#[from] AppendError),
    #[error("the event of revision {revision} is not there any more")]
    Missing { revision: u64 },
    #[error(transparent)]
    Metadata(#[from] serde_json::Error),
}

/// Whether enough has happened since the newest snapshot to be worth another.
pub(super) fn is_due<A: Aggregate>(state: &Loaded<A>) -> bool {
    let (events, bytes) = state.since_snapshot();
    events >= events_after(bytes)
}

/// How many events follow a snapshot of so many bytes before the next one.
fn events_after(bytes: usize) -> u64 {
    FEWEST_EVENTS.max((bytes / BYTES_PER_EVENT) as u64)
}

impl<A: Aggregate> Snapshots<A> {
    /// The state in the newest snapshot of this stream, if there is one to be used.
    pub async fn load(self, store: &EventStore, stream: &str) -> Option<Loaded<A>> {
        match self.try_load(store, stream).await {
            Ok(loaded) => loaded,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(stream, error, "the snapshot is not used: the whole stream is read");
                None
            }
        }
    }

    async fn try_load(self, store: &EventStore, stream: &str) -> Result<Option<Loaded<A>>, Unusable> {
        let Some((head, content)) = newest(store, &name(stream)).await? else { return Ok(None) };
        let Head { revision, position, event_id, .. } = head;
        let named = event_at(store, stream, revision).await?;
        let is_named = |event: &RecordedEvent| event.id == event_id && event.position == position;
        let named = named.filter(is_named).ok_or(Unusable::Foreign { revision })?;
        let named_link = chain::split(&named.metadata).1;
        let read = move || self.read_content(&content, End { revision, position });
        // A state of a million entries takes long enough to be in others' way.
        let restored = tokio::task::spawn_blocking(read).await;
        let mut restored: Loaded<A> = restored.unwrap_or(Err(UnreadableSnapshot::Damaged))?;
        if named_link.is_some_and(|link| link != restored.link()) {
            return Err(Unusable::Foreign { revision });
        }
        restored.chain.is_linked = named_link.is_some();
        Ok(Some(restored))
    }

    fn read_content(self, content: &[u8], end: End) -> Result<Loaded<A>, UnreadableSnapshot> {
        let mut rest = Reader(content);
        match rest.array()? {
            [VERSION] => {}
            [other] => return Err(UnreadableSnapshot::UnknownVersion(other)),
        }
        let link = rest.array()?;
        let mut answered = HashMap::new();
        for _ in 0..rest.number()? {
            let command_id = Uuid::from_bytes(rest.array()?);
            let end = End { revision: rest.number()?, position: Position::new(rest.number()?) };
            let length = usize::from(u16::from_le_bytes(rest.array()?));
            let fingerprint = std::str::from_utf8(rest.bytes(length)?);
            let fingerprint = fingerprint.map_err(|_| UnreadableSnapshot::Damaged)?.into();
            answered.insert(command_id, Answered { fingerprint, end });
        }
        Ok(Loaded::restored((self.read)(rest.0)?, (end, link), answered, content.len()))
    }

    fn write_content(self, state: &Loaded<A>) -> Vec<u8> {
        let mut content = vec![VERSION];
        content.extend_from_slice(&state.link());
        // A fingerprint is a short digest. One that is not is not remembered: the events still are.
        let answered: Vec<_> = state
            .answered()
            .iter()
            .filter_map(|(id, answered)| {
                Some((id, answered, u16::try_from(answered.fingerprint.len()).ok()?))
            })
            .collect();
        content.extend_from_slice(&(answered.len() as u64).to_le_bytes());
        for (command_id, Answered { fingerprint, end }, length) in answered {
            content.extend_from_slice(command_id.as_bytes());
            content.extend_from_slice(&end.revision.to_le_bytes());
            content.extend_from_slice(&end.position.value().to_le_bytes());
            content.extend_from_slice(&length.to_le_bytes());
            content.extend_from_slice(fingerprint.as_bytes());
        }
        content.extend((self.write)(&state.aggregate));
        content
    }

    /// Takes a snapshot of the state, which comes back at once; the snapshot is stored in the background.
    pub async fn take(self, store: &EventStore, stream: &str, mut state: Loaded<A>) -> Option<Loaded<A>> {
        let Some(end) = state.end else { return Some(state) };
        let copy = move || {
            let content = self.write_content(&state);
            state.snapshot_taken(content.len());
            (state, content)
        };
        // Only a panic keeps the state; it is read again then.
        let (state, content) = tokio::task::spawn_blocking(copy).await.ok()?;
        let (store, stream) = (store.clone(), stream.to_owned());
        tokio::spawn(async move {
            let bytes = content.len();
            match self.record(&store, &stream, end, content).await {
                Ok(true) => tracing::info!(stream, revision = end.revision, bytes, "a snapshot is stored"),
                Ok(false) => tracing::debug!(stream, "another process has stored a snapshot"),
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    tracing::warn!(stream, error, "a snapshot could not be stored: a later one will be");
                }
            }
        });
        Some(state)
    }

    /// Stores a snapshot, unless there is one that is about as new and can be used. True when it is stored.
    async fn record(
        self,
        store: &EventStore,
        stream: &str,
        end: End,
        content: Vec<u8>,
    ) -> Result<bool, NotStored> {
        let snapshots = name(stream);
        let newest = first(store.read_stream_backwards(&snapshots, None, 1)).await?;
        let is_new =
            |head: Head| head.is_last() && head.revision.saturating_add(FEWEST_EVENTS) > end.revision;
        if newest.as_ref().and_then(Head::of).is_some_and(|(head, _)| is_new(head))
            && matches!(self.try_load(store, stream).await, Ok(Some(_)))
        {
            return Ok(false);
        }
        let Some(named) = event_at(store, stream, end.revision).await? else {
            return Err(NotStored::Missing { revision: end.revision });
        };
        let set = Uuid::now_v7();
        let content = Bytes::from(content);
        let count = content.len().div_ceil(PART_BYTES);
        let metadata = serde_json::to_vec(&metadata(set, named.id))?;
        let mut expected =
            newest.map_or(ExpectedRevision::NoStream, |event| ExpectedRevision::Exact(event.revision));
        let mut begin = None;
        for index in 0..count {
            let bytes = content.slice(index * PART_BYTES..content.len().min((index + 1) * PART_BYTES));
            let head = Head {
                set,
                index: index as u64,
                count: count as u64,
                revision: named.revision,
                position: named.position,
                event_id: named.id,
            };
            let part = RawEvent {
                id: Uuid::new_v5(&set, &index.to_le_bytes()),
                event_type: PART_TYPE.to_owned(),
                is_json: false,
                data: head.before(&bytes),
                metadata: metadata.clone().into(),
            };
            let appended = match store.append_raw(&snapshots, expected, vec![part]).await {
                Ok(appended) => appended,
                // Two that write at the same time: whoever is disturbed leaves it to the other.
                Err(AppendError::Conflict) => return Ok(false),
                Err(error) => return Err(error.into()),
            };
            begin.get_or_insert(appended.revision);
            expected = ExpectedRevision::Exact(appended.revision);
        }
        // What was before is of no use any more: a scavenge may take it away.
        store.truncate_before(&snapshots, begin.unwrap_or_default()).await?;
        Ok(true)
    }
}

/// The newest complete set.
async fn newest(store: &EventStore, snapshots: &str) -> Result<Option<(Head, Vec<u8>)>, EventStoreError> {
    let events = store.read_stream_backwards(snapshots, None, usize::MAX);
    pin_mut!(events);
    let mut assembly = Assembly::default();
    while let Some(event) = events.next().await {
        if let Some(complete) = assembly.add(Head::of(&event?)) {
            return Ok(Some(complete));
        }
    }
    Ok(None)
}

async fn event_at(
    store: &EventStore,
    stream: &str,
    revision: u64,
) -> Result<Option<RecordedEvent>, EventStoreError> {
    let event = first(store.read_stream(stream, revision, 1)).await?;
    Ok(event.filter(|event| event.revision == revision))
}

async fn first(
    events: impl futures::Stream<Item = Result<RecordedEvent, EventStoreError>>,
) -> Result<Option<RecordedEvent>, EventStoreError> {
    pin_mut!(events);
    events.next().await.transpose()
}

/// What the name of a stream of snapshots begins with; then comes the name of the stream that they are of.
const PREFIX: &str = "snapshot-";

/// The stream that the snapshots of a stream are in.
fn name(stream: &str) -> String {
    format!("{PREFIX}{stream}")
}

/// Whether a stream holds the snapshots of a stream of facts.
pub fn is_of_snapshots(stream: &str) -> bool {
    stream.strip_prefix(PREFIX).is_some_and(is_sealed)
}

/// Whether an event can be a part of a snapshot.
pub fn is_snapshot_part(event: &RecordedEvent) -> bool {
    Head::of(event).is_some()
}

fn metadata(set: Uuid, named: Uuid) -> Metadata {
    Metadata {
        correlation_id: set,
        causation_id: named,
        command_id: set,
        actor: ACTOR.to_owned(),
        occurred_at: Utc::now(),
        fingerprint: String::new(),
        more: false,
    }
}
