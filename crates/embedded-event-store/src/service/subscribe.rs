//! Subscriptions: first what is there already, then what comes, in order and without gaps.
//!
//! A subscription pulls pages and follows the newest position. In history the pages come from the disk, live they come
//! from the records that all subscribers share. It keeps no queue: a slow reader reads later, from the disk again.

use std::sync::Arc;

use async_stream::try_stream;
use futures::Stream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::checkpoints::{Checkpoints, Spacing};
use super::read::{Direction, page_after, page_of_all};
use super::view::{StreamState, View};
use super::{EventFilter, From, PAGE_BYTES, PAGE_EVENTS, ReadError, Resolved, Rights, Store, links, on_disk};
use crate::log::Log;
use crate::log::record::TOMBSTONE_REVISION;

/// What to subscribe to in the whole log.
#[derive(Clone)]
pub struct AllSubscription {
    /// Where to start: after this position; after everything for `End`.
    pub from: From,
    /// Which events, and how far apart checkpoints are; `None` for all events.
    pub filter: Option<(EventFilter, Spacing)>,
    /// Whether links are followed.
    pub resolve_links: bool,
    /// Who reads: links to what the reader may not read lead nowhere.
    pub reader: Rights,
}

/// What to subscribe to in one stream.
#[derive(Clone)]
pub struct StreamSubscription {
    /// The stream's name; it need not exist yet.
    pub stream: String,
    /// Where to start: after this revision; after everything for `End`.
    pub from: From,
    /// Whether links are followed.
    pub resolve_links: bool,
    /// Who reads: links to what the reader may not read lead nowhere.
    pub reader: Rights,
}

/// What a subscriber is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// An event.
    Event(Resolved),
    /// Every event up to this position was considered.
    Checkpoint(u64),
    /// Every event before this position was considered, and of those that were from there on none passed.
    Searched(u64),
    /// Everything that was there is told; from now on events come as they are written.
    CaughtUp {
        /// Up to this revision of the stream.
        revision: Option<u64>,
        /// Up to this position of the log.
        position: Option<u64>,
    },
    /// The reader was too slow for what is kept in memory. It goes on from the disk, and is told when it has caught up.
    FellBehind {
        /// It has been told everything up to this revision of the stream.
        revision: Option<u64>,
        /// It has been told everything up to this position of the log.
        position: Option<u64>,
    },
}

impl Store {
    /// Subscribes to the whole log.
    pub fn subscribe_to_all(
        &self,
        subscription: AllSubscription,
    ) -> Result<impl Stream<Item = Result<Message, ReadError>> + use<>, ReadError> {
        let log = Arc::clone(&self.log);
        let head = log.head();
        let after = match subscription.from {
            From::Start => 0,
            From::End | From::At(u64::MAX) => head,
            From::At(position) if position > head => return Err(ReadError::BeyondEnd { position, head }),
            From::At(position) => position,
        };
        let follower = Follower { head: log.watch_head(), stopping: self.stopping.clone() };
        Ok(all_messages(log, follower, (after, head), subscription))
    }

    /// Subscribes to one stream. Fails if it is closed for ever.
    pub async fn subscribe_to_stream(
        &self,
        subscription: StreamSubscription,
    ) -> Result<impl Stream<Item = Result<Message, ReadError>> + use<>, ReadError> {
        self.refuse_unprojected(&subscription.stream).await?;
        let log = Arc::clone(&self.log);
        let name = subscription.stream.clone();
        let reader = Arc::clone(&log);
        let state = on_disk(move || View::of(&reader, &name, reader.head())).await?;
        let newest = match state {
            StreamState::Deleted => return Err(ReadError::StreamDeleted { stream: subscription.stream }),
            StreamState::Missing => None,
            StreamState::Visible(view) => Some(view.last),
        };
        let after = match subscription.from {
            From::Start => None,
            From::End | From::At(u64::MAX) => newest,
            From::At(revision) => Some(revision),
        };
        let follower = Follower { head: log.watch_head(), stopping: self.stopping.clone() };
        Ok(stream_messages(log, follower, after, subscription))
    }
}

/// Follows the newest position until the store stops.
struct Follower {
    head: watch::Receiver<u64>,
    stopping: CancellationToken,
}

impl Follower {
    fn newest(&mut self) -> Result<u64, ReadError> {
        if self.stopping.is_cancelled() {
            return Err(ReadError::Stopping);
        }
        Ok(*self.head.borrow_and_update())
    }

    /// Waits for a newer position.
    async fn moved(&mut self) -> Result<(), ReadError> {
        tokio::select! {
            changed = self.head.changed() => changed.map_err(|_| ReadError::Stopping),
            () = self.stopping.cancelled() => Err(ReadError::Stopping),
        }
    }
}

fn all_messages(
    log: Arc<Log>,
    mut follower: Follower,
    (after, began_at): (u64, u64),
    subscription: AllSubscription,
) -> impl Stream<Item = Result<Message, ReadError>> {
    try_stream! {
        let AllSubscription { filter, resolve_links, reader, .. } = subscription;
        let mut searching =
            filter.map(|(filter, spacing)| (filter, Checkpoints::new(spacing, after, began_at)));
        let mut reached = after;
        let mut caught_up = false;
        loop {
            let head = follower.newest()?;
            // A search begins with the event that the client already has: that is how the pages are counted.
            let mut next = if searching.is_some() && !caught_up { reached.max(1) } else { reached + 1 };
            let was_behind = reached < head;
            while reached < head {
                if caught_up && !log.is_in_memory(next) {
                    caught_up = false;
                    yield Message::FellBehind { revision: None, position: Some(reached) };
                    if let Some((_, checkpoints)) = &mut searching {
                        if let Some(checkpoint) = checkpoints.at_last_passed() {
                            yield checkpoint;
                        }
                        checkpoints.start_page(reached);
                    }
                }
                let page = page_of_all(&log, (next, head), Direction::Forwards, PAGE_EVENTS).await?;
                next = page.last().map_or(next, |record| record.position() + 1);
                match &mut searching {
                    None => {
                        for resolved in links::resolve(&log, page, resolve_links, &reader).await? {
                            yield Message::Event(resolved);
                        }
                    }
                    Some((filter, checkpoints)) => {
                        for record in page {
                            let position = record.position();
                            let passes = filter.passes(&record)?;
                            if passes && position > after {
                                for resolved in links::resolve(&log, vec![record], resolve_links, &reader).await? {
                                    yield Message::Event(resolved);
                                }
                            }
                            let due = if caught_up {
                                checkpoints.consider_live(position, passes)
                            } else {
                                checkpoints.consider(position, passes, head)
                            };
                            if let Some(checkpoint) = due {
                                yield checkpoint;
                            }
                        }
                    }
                }
                reached = next - 1;
                if follower.stopping.is_cancelled() {
                    Err(ReadError::Stopping)?;
                }
            }
            if !caught_up {
                caught_up = true;
                let checkpoints = searching.as_mut().filter(|_| was_behind).map(|(_, checkpoints)| checkpoints);
                if let Some(checkpoint) = checkpoints.and_then(Checkpoints::at_end) {
                    yield checkpoint;
                }
                yield Message::CaughtUp { revision: None, position: Some(head).filter(|head| *head > 0) };
            }
            follower.moved().await?;
        }
    }
}

fn stream_messages(
    log: Arc<Log>,
    mut follower: Follower,
    after: Option<u64>,
    subscription: StreamSubscription,
) -> impl Stream<Item = Result<Message, ReadError>> {
    try_stream! {
        let StreamSubscription { stream, resolve_links, reader, .. } = subscription;
        let mut after = after;
        loop {
            let visible = follower.newest()?;
            let mut looked_at = after;
            loop {
                let Some(step) = page_after(&log, &stream, looked_at, visible).await? else {
                    Err(ReadError::StreamDeleted { stream: stream.clone() })?;
                    break;
                };
                looked_at = looked_at.max(step.reached);
                after = after.max(step.page.last().map(|record| record.revision()));
                for resolved in links::resolve(&log, step.page, resolve_links, &reader).await? {
                    yield Message::Event(resolved);
                }
                if follower.stopping.is_cancelled() {
                    Err(ReadError::Stopping)?;
                }
                if step.done {
                    break;
                }
            }
            yield Message::CaughtUp { revision: after, position: None };
            let mut next = visible + 1;
            'live: loop {
                let head = follower.newest()?;
                while next <= head {
                    // Too far behind for the shared records: catch up through the index again.
                    let Some(page) = log.page_in_memory(next, PAGE_EVENTS, PAGE_BYTES) else {
                        yield Message::FellBehind { revision: after, position: None };
                        break 'live;
                    };
                    next = page.last().map_or(next, |record| record.position() + 1);
                    let wanted = |revision| after.is_none_or(|after| revision > after);
                    let page: Vec<_> = page
                        .into_iter()
                        .filter(|record| record.stream() == stream.as_bytes() && wanted(record.revision()))
                        .collect();
                    let newest = page.last().map(|record| record.revision());
                    after = after.max(newest);
                    for resolved in links::resolve(&log, page, resolve_links, &reader).await? {
                        yield Message::Event(resolved);
                    }
                    if newest == Some(TOMBSTONE_REVISION) {
                        Err(ReadError::StreamDeleted { stream: stream.clone() })?;
                    }
                }
                follower.moved().await?;
            }
        }
    }
}

#[cfg(test)]
#[path = "subscribe_tests.rs"]
mod tests;
