//! Where the sealing stands: the last seal, and the place in the log that it goes on from.

use super::leaves::Leaves;
use audit_seal::key::PublicKeys;
use audit_seal::merkle::Frontier;
use audit_seal::seal::{HINT, Seal};
use audit_seal::{SEALS_STREAM, is_fact};
use event_store::{EventStore, EventStoreError, ExpectedRevision, Position};
use futures::TryStreamExt;
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
    /// The next seal is appended here.
    pub expected: ExpectedRevision,
    /// The last sealed event.
    pub position: Option<Position>,
}

impl Standing {
    /// Reads the last seal.
    pub async fn read(store: &EventStore, keys: &PublicKeys) -> Result<Self, CannotSeal> {
        let Some((seal, revision)) = last_seal(store).await? else {
            let (frontier, expected) = (Frontier::default(), ExpectedRevision::NoStream);
            return Ok(Self { frontier, last: None, expected, position: None });
        };
        let false_seal = |why: String| CannotSeal::FalseSeal { why };
        let seal: Seal = serde_json::from_slice(&seal).map_err(|error| false_seal(error.to_string()))?;
        let frontier = seal.check(keys).map_err(|error| false_seal(error.to_string()))?;
        let position = Some(Position::new(seal.position));
        Ok(Self { frontier, last: Some(seal), expected: ExpectedRevision::Exact(revision), position })
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

async fn last_seal(store: &EventStore) -> Result<Option<(Vec<u8>, u64)>, EventStoreError> {
    let mut newest = pin!(store.read_stream_backwards(SEALS_STREAM, None, 1));
    Ok(newest.try_next().await?.map(|event| (event.data.to_vec(), event.revision)))
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
