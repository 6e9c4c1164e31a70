//! Subscriptions: first what is there already, then what comes, in order and without gaps.
//!
//! A subscription pulls pages and follows the newest position. In history the pages come from the disk, live they come
//! from the records that all subscribers share. It keeps no queue: a slow reader reads later, from the disk again.

use std::sync::Arc;
use std::time::Duration;

use async_stream::try_stream;
use futures::Stream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::read::{Direction, page_after, page_of_all};
use super::view::{StreamState, View};
use super::{EventFilter, From, PAGE_BYTES, PAGE_EVENTS, ReadError, Resolved, Store, links, on_disk};
use crate::log::Log;
use crate::log::record::TOMBSTONE_REVISION;

/// Live checkpoints of one subscription are at least this far apart.
const CHECKPOINT_PAUSE: Duration = Duration::from_millis(2);

/// What to subscribe to in the whole log.
#[derive(Debug, Clone)]
pub struct AllSubscription {
    /// Where to start: after this position; after everything for `End`.
    pub from: From,
    /// Which events, and after how many considered events a checkpoint is due; `None` for all events.
    pub filter: Option<(EventFilter, u64)>,
    /// Whether links are followed.
    pub resolve_links: bool,
}

/// What to subscribe to in one stream.
#[derive(Debug, Clone)]
pub struct StreamSubscription {
    /// The stream's name; it need not exist yet.
    pub stream: String,
    /// Where to start: after this revision; after everything for `End`.
    pub from: From,
    /// Whether links are followed.
    pub resolve_links: bool,
}

/// What a subscriber is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    /// An event.
    Event(Resolved),
    /// Every event up to this position was considered.
    Checkpoint(u64),
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
        Ok(all_messages(log, follower, after, subscription))
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

    /// Waits for a newer position, or until `deadline`.
    async fn moved(&mut self, deadline: Option<Instant>) -> Result<(), ReadError> {
        let pause = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.head.changed() => changed.map_err(|_| ReadError::Stopping),
            () = self.stopping.cancelled() => Err(ReadError::Stopping),
            () = pause => Ok(()),
        }
    }
}

/// Which checkpoints a filtered subscription still owes.
struct Checkpoints {
    every: u64,
    considered: u64,
    told: u64,
    last_at: Option<Instant>,
}

impl Checkpoints {
    /// Counts an event; true if a checkpoint is due at it.
    fn consider(&mut self) -> bool {
        self.considered += 1;
        self.considered.is_multiple_of(self.every)
    }

    fn tell(&mut self, position: u64) -> Message {
        self.told = position;
        self.last_at = Some(Instant::now());
        Message::Checkpoint(position)
    }

    /// When the reader may next be told that everything up to `head` was considered; `None` if it knows.
    fn owed(&self, head: u64) -> Option<Instant> {
        (self.told < head).then(|| self.last_at.map_or_else(Instant::now, |at| at + CHECKPOINT_PAUSE))
    }
}

fn all_messages(
    log: Arc<Log>,
    mut follower: Follower,
    after: u64,
    subscription: AllSubscription,
) -> impl Stream<Item = Result<Message, ReadError>> {
    try_stream! {
        let AllSubscription { filter, resolve_links, .. } = subscription;
        let (filter, every) = match filter {
            Some((filter, every)) => (Some(filter), every.max(1)),
            None => (None, u64::MAX),
        };
        let mut checkpoints = Checkpoints { every, considered: 0, told: after, last_at: None };
        let mut next = after + 1;
        let mut caught_up = false;
        loop {
            let head = follower.newest()?;
            while next <= head {
                if caught_up && !log.is_in_memory(next) {
                    caught_up = false;
                    yield Message::FellBehind { revision: None, position: Some(next - 1) };
                }
                let page = page_of_all(&log, (next, head), Direction::Forwards, PAGE_EVENTS).await?;
                next = page.last().map_or(next, |record| record.position() + 1);
                match &filter {
                    None => {
                        for resolved in links::resolve(&log, page, resolve_links).await? {
                            yield Message::Event(resolved);
                        }
                    }
                    Some(filter) => {
                        for record in page {
                            let position = record.position();
                            if filter.passes(&record)? {
                                for resolved in links::resolve(&log, vec![record], resolve_links).await? {
                                    yield Message::Event(resolved);
                                }
                                checkpoints.told = position;
                            }
                            if checkpoints.consider() {
                                yield checkpoints.tell(position);
                            }
                        }
                    }
                }
                if follower.stopping.is_cancelled() {
                    Err(ReadError::Stopping)?;
                }
            }
            let mut deadline = if filter.is_some() { checkpoints.owed(head) } else { None };
            if deadline.is_some_and(|due| !caught_up || due <= Instant::now()) {
                deadline = None;
                yield checkpoints.tell(head);
            }
            if !caught_up {
                caught_up = true;
                yield Message::CaughtUp { revision: None, position: Some(head).filter(|head| *head > 0) };
            }
            follower.moved(deadline).await?;
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
        let StreamSubscription { stream, resolve_links, .. } = subscription;
        let mut after = after;
        loop {
            let visible = follower.newest()?;
            loop {
                let Some(step) = page_after(&log, &stream, after, visible).await? else {
                    Err(ReadError::StreamDeleted { stream: stream.clone() })?;
                    break;
                };
                after = after.max(step.reached);
                for resolved in links::resolve(&log, step.page, resolve_links).await? {
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
                    if page.last().is_some_and(|record| record.revision() == TOMBSTONE_REVISION) {
                        Err(ReadError::StreamDeleted { stream: stream.clone() })?;
                    }
                    after = after.max(page.last().map(|record| record.revision()));
                    for resolved in links::resolve(&log, page, resolve_links).await? {
                        yield Message::Event(resolved);
                    }
                }
                follower.moved(None).await?;
            }
        }
    }
}

#[cfg(test)]
#[path = "subscribe_tests.rs"]
mod tests;
