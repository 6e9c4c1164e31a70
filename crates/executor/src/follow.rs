//! What other processes write, as soon as the log shows it.
//!
//! Without it, a state in memory is as old as its last read, and a request that waits for what another process does has to
//! read the stream again and again: with two processes, each purchase waited for such a look. Streams that are in use take the
//! events themselves; to read each of them again cost more than the looks.

use super::{Executor, Writers};
use event_store::{EventStore, EventStoreError, SubscriptionItem};
use futures::StreamExt;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

/// Before the log's end is asked for again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Executor {
    /// Follows the log, and lets the streams in memory know what was written to them. Without other writers, there is
    /// nothing to follow. It may be left at any time: states are as old as their last read then.
    pub async fn follow(&self, store: &EventStore) -> Infallible {
        if self.writers == Writers::OnlyUs {
            return std::future::pending().await;
        }
        loop {
            if let Err(error) = self.follow_from_the_end(store).await {
                tracing::debug!(%error, "what other processes write is not followed: trying again");
            }
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    async fn follow_from_the_end(&self, store: &EventStore) -> Result<(), EventStoreError> {
        let mut items = pin!(store.subscribe_all(store.head().await?));
        while let Some(item) = items.next().await {
            if let SubscriptionItem::Event(event) = item {
                self.was_written(&event);
            }
        }
        Ok(())
    }
}
