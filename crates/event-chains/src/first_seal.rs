use audit_seal::SEALS_STREAM;
use event_store::{EventStore, EventStoreError, Position};
use futures::TryStreamExt;
use std::pin::pin;
use std::sync::{Arc, OnceLock};

/// Where the first seal of the log stands: from there on, no event of ours is without a link. Cheap to clone; all clones
/// are one.
#[derive(Clone, Default)]
pub struct FirstSeal(Arc<OnceLock<Position>>);

impl FirstSeal {
    /// Its position; none while nothing is sealed.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn position(&self, store: &EventStore) -> Result<Option<Position>, EventStoreError> {
        if let Some(position) = self.0.get() {
            return Ok(Some(*position));
        }
        let stream = store.own_stream(SEALS_STREAM).await?;
        let mut seals = pin!(store.read_stream(stream.name(), 0, 1));
        let first = seals.try_next().await?;
        Ok(first.map(|seal| *self.0.get_or_init(|| seal.position)))
    }

    /// Whether it stands before a place in the log.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn is_before(&self, store: &EventStore, at: Position) -> Result<bool, EventStoreError> {
        Ok(self.position(store).await?.is_some_and(|first| first < at))
    }
}
