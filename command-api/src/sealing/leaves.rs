//! The leaves of the tree, from events as they come.

use crate::executor::link_of;
use audit_seal::Digest;
use audit_seal::chain::{START, split};
use audit_seal::merkle::leaf;
use event_store::{EventStore, EventStoreError, RecordedEvent};
use futures::TryStreamExt;
use lru::LruCache;
use std::num::NonZeroUsize;
use std::pin::pin;

/// Streams whose last event has no link of its own that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(100_000).expect("not zero");

/// Makes leaves. An event that was written since there are chains says its link itself. One from before them has the
/// link that follows from all events before it in its stream: the last ones are remembered, and what is not is read
/// again.
pub struct Leaves {
    store: EventStore,
    unlinked: LruCache<String, (u64, Digest)>,
}

impl Leaves {
    pub fn new(store: EventStore) -> Self {
        Self { store, unlinked: LruCache::new(REMEMBERED) }
    }

    pub async fn of(&mut self, event: &RecordedEvent) -> Result<Digest, EventStoreError> {
        if let (_, Some(link)) = split(&event.metadata) {
            return Ok(leaf(&link));
        }
        let before = event.revision.checked_sub(1);
        let remembered = self.unlinked.get(&event.stream).filter(|(revision, _)| Some(*revision) == before);
        let previous = match (before, remembered) {
            (None, _) => START,
            (Some(_), Some((_, link))) => *link,
            (Some(_), None) => self.read_link_before(event).await?,
        };
        let link = link_of(&previous, event);
        self.unlinked.put(event.stream.clone(), (event.revision, link));
        Ok(leaf(&link))
    }

    async fn read_link_before(&self, event: &RecordedEvent) -> Result<Digest, EventStoreError> {
        let count = usize::try_from(event.revision).unwrap_or(usize::MAX);
        let mut events = pin!(self.store.read_stream(&event.stream, 0, count));
        let mut link = START;
        while let Some(event) = events.try_next().await? {
            link = link_of(&link, &event);
        }
        Ok(link)
    }
}
