//! Following the log, also over failures of the connection.

use super::patience::{SILENCE, backoff, pause};
use super::tail::{Follower, Found};
use super::translate::{delivered, failed_read, theirs};
use super::{EventStore, Lost, NO_ANSWER};
use crate::{EventStoreError, Position, SubscriptionItem};
use async_stream::stream;
use eventstore::{StreamPosition, SubscribeToAllOptions, Subscription, SubscriptionEvent};
use futures::{Stream, StreamExt};
use std::pin::pin;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// How long a subscription may take to begin, at most.
const LONGEST_SILENCE: Duration = Duration::from_secs(16);

impl EventStore {
    /// Every event of the log after a position (or from the start), and then every new one, for ever. The
    /// store's own events come apart from all others.
    ///
    /// History comes through a subscription of its own, new events through one that all who follow the log with
    /// this `EventStore` or a clone of it share.
    pub fn subscribe_all(
        &self,
        after: Option<Position>,
    ) -> impl Stream<Item = SubscriptionItem> + Send + 'static {
        let store = self.clone();
        stream! {
            let mut follower = Follower::new(&store);
            let (mut last, mut last_id) = (after, None);
            loop {
                let mut is_live = false;
                {
                    let mut alone = pin!(store.subscribe_alone(last, last_id));
                    while let Some(item) = alone.next().await {
                        is_live |= matches!(item, SubscriptionItem::CaughtUp);
                        if let Some(position) = item.position() {
                            (last, last_id) = (Some(position), item.event_id());
                        }
                        yield item;
                        if is_live && follower.covers(last) {
                            break;
                        }
                    }
                }
                let Some(mut cursor) = follower.join(last) else { continue };
                while let Found::Items(items) = follower.next(&mut cursor).await {
                    for item in items {
                        // The tail may have been behind when it was joined.
                        let position = item.position();
                        if position.is_none_or(|position| last.is_none_or(|last| position > last)) {
                            if let Some(position) = position {
                                (last, last_id) = (Some(position), item.event_id());
                            }
                            yield item;
                        }
                    }
                }
                // Too slow for what is kept, or the tail's runtime has ended: from the log again.
                follower = Follower::new(&store);
            }
        }
    }

    /// The same through a subscription of its own from first to last, after the event with this id, if that is known.
    pub(super) fn subscribe_alone(
        &self,
        after: Option<Position>,
        after_id: Option<Uuid>,
    ) -> impl Stream<Item = SubscriptionItem> + Send + 'static {
        let store = self.clone();
        stream! {
            let (mut last, mut last_id) = (after, after_id);
            let mut delays = backoff();
            let mut silence = SILENCE;
            loop {
                // Behind the same address there may be another log by now, or one that was restored from a backup.
                if let Err(other) = store.is_the_same_log(last, last_id).await {
                    yield SubscriptionItem::Disconnected { error: other.why() };
                    pause(&mut delays).await;
                    continue;
                }
                let (generation, (lost, error)) = match store.client() {
                    Err((generation, error)) => (generation, (Lost::Failed, EventStoreError::Unavailable(error))),
                    Ok((generation, client)) => {
                        let start = last.map_or(StreamPosition::Start, |last| StreamPosition::Position(theirs(last)));
                        let options = SubscribeToAllOptions::default().position(start);
                        let mut subscription = client.subscribe_to_all(&options).await;
                        let mut found_silent = store.shared.silent.subscribe();
                        let mut is_silent = pin!(found_silent.wait_for(|silent| *silent >= Some(generation)));
                        let mut next = tokio::select! {
                            biased;
                            item = timeout(silence, following(&mut subscription)) => item,
                            _ = &mut is_silent => Ok(Err(silent())),
                        };
                        silence = (silence * 2).min(LONGEST_SILENCE);
                        loop {
                            match next {
                                Ok(Ok(item)) => {
                                    silence = SILENCE;
                                    if let Some(item) = delivered(item) {
                                        delays = backoff();
                                        if let Some(position) = item.position() {
                                            (last, last_id) = (Some(position), item.event_id());
                                            store.shared.log.saw(position);
                                        }
                                        yield item;
                                    }
                                }
                                Ok(Err(failed)) => break (generation, failed),
                                Err(_) => break (generation, silent()),
                            }
                            next = tokio::select! {
                                biased;
                                item = following(&mut subscription) => Ok(item),
                                // Somebody else got no answer over the same connection.
                                _ = &mut is_silent => Ok(Err(silent())),
                            };
                        }
                    }
                };
                store.discard(generation, lost, &error.to_string());
                yield SubscriptionItem::Disconnected { error };
                pause(&mut delays).await;
            }
        }
    }
}

async fn following(subscription: &mut Subscription) -> Result<SubscriptionEvent, (Lost, EventStoreError)> {
    let next = subscription.next_subscription_event().await;
    next.map_err(|error| (Lost::from(&error), failed_read(&error)))
}

fn silent() -> (Lost, EventStoreError) {
    (Lost::Silent, EventStoreError::Unavailable(NO_ANSWER.to_owned()))
}
