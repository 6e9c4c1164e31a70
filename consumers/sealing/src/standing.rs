//! Where the sealing stands: the last seal, and the place in the log that it goes on from.
//!
//! The last seal is the newest event of its stream that is one. Whatever else somebody has written there is passed over;
//! only a seal of a key that is not known is not, for it may be of a machine that knows better. A stream that somebody has
//! deleted has a successor, and the log still has the seals of the deleted one: the chain goes on from them.

use super::leaves::Leaves;
use audit_seal::key::PublicKeys;
use audit_seal::merkle::Frontier;
use audit_seal::seal::{FalseSeal, HINT, Seal};
use audit_seal::{SEAL_TYPE, SEALS_STREAM, is_fact, is_of_seals};
use event_store::{EventStore, EventStoreError, ExpectedRevision, OwnStream, Position, RecordedEvent};
use futures::{Stream, TryStreamExt};
use std::pin::pin;
use thiserror::Error;

/// Why the sealing cannot go on from the last seal.
#[derive(Debug, Error)]
pub enum CannotSeal {
    /// The store does not answer.
    #[error(transparent)]
    Store(#[from] EventStoreError),
    /// What stands there is no seal, or not one of ours.
    #[error(
        "the last seal of the history must not be believed ({why}): give all machines of the shop the same signing key, and \
         name public keys that sealed before it in EMPORIUM_AUDIT_RETIRED_KEYS"
    )]
    FalseSeal { why: String },
    /// The events are not the ones that were sealed.
    #[error("the log is not the one that was sealed: `emporium audit verify` says what was changed")]
    NotAsSealed,
}

/// The sealed tree, and what comes next.
pub struct Standing {
    pub frontier: Frontier,
    pub last: Option<Seal>,
    /// The stream of the next seal.
    pub stream: OwnStream,
    /// The next seal is appended here.
    pub expected: ExpectedRevision,
    /// The last sealed event.
    pub position: Option<Position>,
}

impl Standing {
    /// Reads the last seal.
    pub async fn read(store: &EventStore, keys: &PublicKeys) -> Result<Self, CannotSeal> {
        let stream = store.own_stream(SEALS_STREAM).await?;
        let mut newest = pin!(store.read_stream_backwards(stream.name(), None, 1));
        let end = newest.try_next().await?.map(|event| event.revision);
        let mut last = newest_seal(store.read_stream_backwards(stream.name(), end, usize::MAX), keys).await?;
        if last.is_none() && stream.is_successor() {
            tracing::warn!(%stream, "no seal is in the successor yet: looking for the last one in the log");
            last = newest_seal(store.read_all_backwards(None, usize::MAX), keys).await?;
        }
        let expected = end.map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        let position = last.as_ref().map(|(seal, _)| Position::new(seal.position));
        let (last, frontier) = last.unzip();
        Ok(Self { frontier: frontier.unwrap_or_default(), last, stream, expected, position })
    }

    /// Looks whether the last sealed event is where the seal says. In a store that the history was copied to it stands
    /// elsewhere: then the log is read from its beginning, once, for the next seal names a place in this store.
    pub async fn find_place(&mut self, store: &EventStore) -> Result<(), CannotSeal> {
        let Some(seal) = &self.last else { return Ok(()) };
        let mut leaves = Leaves::new(store.clone());
        if is_at(seal, store, &mut leaves).await {
            return Ok(());
        }
        tracing::info!("the last sealed event is not where its seal says: looking for it from the beginning");
        let mut events = pin!(store.read_all(None, usize::MAX));
        let mut found = Frontier::default();
        while found.size() < seal.size {
            let event = events.try_next().await?.ok_or(CannotSeal::NotAsSealed)?;
            if is_fact(&event.stream, &event.event_type) {
                found.push(leaves.of(&event).await?);
                self.position = Some(event.position);
            }
        }
        if found == self.frontier { Ok(()) } else { Err(CannotSeal::NotAsSealed) }
    }
}

/// The newest event that is a seal, with the tree that it has sealed.
async fn newest_seal(
    newest_first: impl Stream<Item = Result<RecordedEvent, EventStoreError>>,
    keys: &PublicKeys,
) -> Result<Option<(Seal, Frontier)>, CannotSeal> {
    let mut events = pin!(newest_first);
    while let Some(event) = events.try_next().await? {
        if !is_of_seals(&event.stream) {
            continue;
        }
        let why = match seal_of(&event) {
            Ok(seal) => match seal.check(keys) {
                Ok(frontier) => return Ok(Some((seal, frontier))),
                Err(error @ FalseSeal::UnknownKey(_)) => {
                    return Err(CannotSeal::FalseSeal { why: error.to_string() });
                }
                Err(error) => error.to_string(),
            },
            Err(why) => why,
        };
        let (stream, revision) = (&event.stream, event.revision);
        tracing::warn!(stream, revision, why, "what is no seal of ours among the seals is passed over");
    }
    Ok(None)
}

/// The seal that an event is.
///
/// # Errors
/// Says why it is none.
pub(super) fn seal_of(event: &RecordedEvent) -> Result<Seal, String> {
    if event.event_type != SEAL_TYPE {
        return Err(format!("it is a `{}`", event.event_type));
    }
    serde_json::from_slice(&event.data).map_err(|error| error.to_string())
}

/// Whether the seal's last event is at its position. A place that cannot be read is not one of this store.
pub(super) async fn is_at(seal: &Seal, store: &EventStore, leaves: &mut Leaves) -> bool {
    let at = Position::new(seal.position);
    let mut events = pin!(store.read_all(Some(at), 1));
    let Ok(Some(event)) = events.try_next().await else { return false };
    if event.position != at || !is_fact(&event.stream, &event.event_type) {
        return false;
    }
    let leaf = leaves.of(&event).await;
    leaf.is_ok_and(|leaf| seal.hints().last().is_some_and(|last| *last == leaf[..HINT]))
}
