//! Following the log, also over failures of the connection.

use super::translate::{delivered, theirs};
use super::{EventStore, backoff, pause};
use crate::{Position, SubscriptionItem};
use async_stream::stream;
use eventstore::{StreamPosition, SubscribeToAllOptions};
use futures::Stream;

impl EventStore {
    /// Every event of the log after a position (or from the start), and then every new one, for ever. The
    /// store's own events arrive as checkpoints.
    pub fn subscribe_all(
        &self,
        after: Option<Position>,
    ) -> impl Stream<Item = SubscriptionItem> + Send + 'static {
        let store = self.clone();
        stream! {
            let mut last = after;
            let mut delays = backoff();
            loop {
                let (generation, error) = match store.client() {
                    Err((generation, error)) => (generation, error),
                    Ok((generation, client)) => {
                        let start = last.map_or(StreamPosition::Start, |last| StreamPosition::Position(theirs(last)));
                        let options = SubscribeToAllOptions::default().position(start);
                        let mut subscription = client.subscribe_to_all(&options).await;
                        loop {
                            match subscription.next_subscription_event().await {
                                Ok(item) => {
                                    if let Some(item) = delivered(item) {
                                        delays = backoff();
                                        match &item {
                                            SubscriptionItem::Event(event) => last = Some(event.position),
                                            SubscriptionItem::Checkpoint(position) => last = Some(*position),
                                            SubscriptionItem::CaughtUp | SubscriptionItem::Disconnected { .. } => {}
                                        }
                                        yield item;
                                    }
                                }
                                Err(error) => break (generation, error.to_string()),
                            }
                        }
                    }
                };
                store.discard(generation);
                yield SubscriptionItem::Disconnected { error };
                pause(&mut delays).await;
            }
        }
    }
}
