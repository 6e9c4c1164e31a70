//! Which events of a stream the operator has had passed over.

use super::EventStore;
use crate::{EventStoreError, Skips};
use futures::TryStreamExt;
use std::pin::pin;

impl EventStore {
    /// The events of a stream that are passed over, by the markers from a revision on. It reads the stream to its end: for
    /// those who have met an event that they cannot read.
    ///
    /// # Errors
    /// When the store cannot be reached or refuses.
    pub async fn skips(&self, stream: &str, from: u64) -> Result<Skips, EventStoreError> {
        let mut events = pin!(self.read_stream(stream, from, usize::MAX));
        let mut skips = Skips::default();
        while let Some(event) = events.try_next().await? {
            skips.add(&event);
        }
        Ok(skips)
    }
}
