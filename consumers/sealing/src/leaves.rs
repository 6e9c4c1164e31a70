//! The leaves of the tree, from events as they come, and whether each is one that a shop has written.

use audit_seal::Digest;
use audit_seal::chain::split;
use audit_seal::merkle::leaf;
use audit_seal::stream::{Chain, Fault};
use event_chains::{self as chains, FirstSeal, found};
use event_store::{EventStore, EventStoreError, RecordedEvent};
use lru::LruCache;
use std::num::NonZeroUsize;

/// Streams of which it is remembered where they stand: about 10 MB. Of any other, the event before is read again.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(50_000).expect("not zero");

/// Makes leaves. An event that was written since there are links says its link itself. One from before them has the
/// link that follows from all events before it in its stream.
pub struct Leaves {
    store: EventStore,
    first_seal: FirstSeal,
    chains: LruCache<String, Chain>,
}

impl Leaves {
    pub fn new(store: EventStore) -> Self {
        Self { store, first_seal: FirstSeal::default(), chains: LruCache::new(REMEMBERED) }
    }

    /// The event's leaf.
    pub async fn of(&mut self, event: &RecordedEvent) -> Result<Digest, EventStoreError> {
        if let (_, Some(link)) = split(&event.metadata) {
            return Ok(leaf(&link));
        }
        Ok(self.checked(event).await?.0)
    }

    /// The event's leaf, and what is wrong with the event, if anything is. Either way it stands in the log, and is sealed.
    pub async fn checked(
        &mut self,
        event: &RecordedEvent,
    ) -> Result<(Digest, Option<Fault>), EventStoreError> {
        let is_linked = split(&event.metadata).1.is_some();
        let must_be_linked = !is_linked && self.first_seal.is_before(&self.store, event.position).await?;
        let found = found(event);
        if let Some(chain) = self.chains.get_mut(&event.stream) {
            let taken = chain.take(&found, must_be_linked);
            return Ok((leaf(&taken.link), taken.fault()));
        }
        let mut chain = chains::before(&self.store, &event.stream, event.revision).await?;
        let taken = chain.take(&found, must_be_linked);
        self.chains.put(event.stream.clone(), chain);
        Ok((leaf(&taken.link), taken.fault()))
    }
}
