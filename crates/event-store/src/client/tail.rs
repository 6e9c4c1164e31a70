//! The newest part of the log, read once for everybody in this process who follows it.
//!
//! Read models, processes and live pages all follow the same log. With a subscription each, every event crossed the
//! connection once for each of them, which cost more than what they did with it. So one task follows the log's end
//! and keeps what comes for a while; who has caught up reads here, and who falls behind what is kept goes back to a
//! subscription of its own.

use super::EventStore;
use super::patience::{backoff, pause};
use crate::{Position, SubscriptionItem};
use futures::StreamExt;
use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;
use tokio::task::AbortHandle;

/// Items that are kept at most.
const MAX_ITEMS: usize = 20_000;
/// Bytes of payload and metadata that are kept at most.
const MAX_BYTES: usize = 16 * 1024 * 1024;
/// Items that are published, or taken, at once.
const CHUNK: usize = 512;

/// What is kept, and who reads it.
#[derive(Default)]
pub(super) struct Tail {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    followers: usize,
    /// The task that fills it; there is one as long as anybody follows.
    source: Option<Source>,
    kept: Option<Kept>,
}

struct Source {
    task: AbortHandle,
    published: watch::Receiver<u64>,
}

/// An unbroken piece of the log, with what else a subscription tells in between.
struct Kept {
    /// Everything after this is in `items`, as far as it has come.
    after: Option<Position>,
    /// The running number of the first item.
    first: u64,
    bytes: usize,
    /// Each with the position up to which everything is delivered with it.
    items: VecDeque<(Option<Position>, SubscriptionItem)>,
}

/// Somebody who follows the log, wherever he reads it at the moment.
pub(super) struct Follower {
    tail: Arc<Tail>,
    published: watch::Receiver<u64>,
}

/// Where a follower stands in what is kept.
pub(super) struct Cursor(u64);

/// What a follower finds.
pub(super) enum Found {
    /// The next items, at least one.
    Items(Vec<SubscriptionItem>),
    /// What comes next is not kept any more, or nobody fills the tail any more.
    Gone,
}

impl Follower {
    /// One more follower; the first one starts the task.
    pub fn new(store: &EventStore) -> Self {
        let tail = Arc::clone(&store.shared.tail);
        let mut state = tail.lock();
        state.followers += 1;
        // A task ends before its last follower only with the runtime that it was started in.
        let source = state.source.take().filter(|source| !source.task.is_finished());
        let source = source.unwrap_or_else(|| {
            state.kept = None;
            let (publish, published) = watch::channel(0);
            let task = tokio::spawn(fill(store.clone(), Arc::clone(&tail), publish)).abort_handle();
            Source { task, published }
        });
        let published = state.source.insert(source).published.clone();
        drop(state);
        Self { tail, published }
    }

    /// Whether somebody who has everything up to `after` can go on from what is kept.
    pub fn covers(&self, after: Option<Position>) -> bool {
        self.tail.lock().kept.as_ref().is_some_and(|kept| kept.after <= after)
    }

    /// A place in the tail for somebody who has everything up to `after`; none if the tail begins later.
    pub fn join(&self, after: Option<Position>) -> Option<Cursor> {
        let state = self.tail.lock();
        let kept = state.kept.as_ref().filter(|kept| kept.after <= after)?;
        let behind = kept.items.partition_point(|(upto, _)| *upto <= after);
        Some(Cursor(kept.first + behind as u64))
    }

    /// Waits for the next items.
    pub async fn next(&mut self, cursor: &mut Cursor) -> Found {
        if self.published.wait_for(|end| *end > cursor.0).await.is_err() {
            return Found::Gone;
        }
        let state = self.tail.lock();
        let skipped = state.kept.as_ref().and_then(|kept| cursor.0.checked_sub(kept.first));
        let (Some(kept), Some(skipped)) =
            (&state.kept, skipped.and_then(|skipped| usize::try_from(skipped).ok()))
        else {
            return Found::Gone;
        };
        let items: Vec<_> =
            kept.items.iter().skip(skipped).take(CHUNK).map(|(_, item)| item.clone()).collect();
        cursor.0 += items.len() as u64;
        if items.is_empty() { Found::Gone } else { Found::Items(items) }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut state = self.tail.lock();
        state.followers -= 1;
        if state.followers == 0 {
            state.kept = None;
            if let Some(source) = state.source.take() {
                source.task.abort();
            }
        }
    }
}

impl Tail {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the log from its present end on, and publishes what comes.
async fn fill(store: EventStore, tail: Arc<Tail>, publish: watch::Sender<u64>) {
    let mut delays = backoff();
    let (after, after_id) = loop {
        if store.is_the_same_log(None, None).await.is_err() {
            pause(&mut delays).await;
            continue;
        }
        match store.newest().await {
            Ok(newest) => break newest.unzip(),
            // Whoever follows meets the same failure in a subscription of his own, and tells it.
            Err(_) => pause(&mut delays).await,
        }
    };
    tail.lock().kept = Some(Kept { after, first: 0, bytes: 0, items: VecDeque::new() });
    let mut chunks = pin!(store.subscribe_alone(after, after_id).ready_chunks(CHUNK));
    while let Some(chunk) = chunks.next().await {
        let mut state = tail.lock();
        let Some(kept) = &mut state.kept else { return };
        kept.add(chunk);
        let end = kept.first + kept.items.len() as u64;
        drop(state);
        publish.send_replace(end);
    }
}

impl Kept {
    fn add(&mut self, chunk: Vec<SubscriptionItem>) {
        let mut upto = self.items.back().map_or(self.after, |(upto, _)| *upto);
        for item in chunk {
            upto = item.position().or(upto);
            self.bytes += bytes_of(&item);
            self.items.push_back((upto, item));
        }
        while self.bytes > MAX_BYTES || self.items.len() > MAX_ITEMS {
            let Some((upto, item)) = self.items.pop_front() else { return };
            self.after = upto;
            self.first += 1;
            self.bytes -= bytes_of(&item);
        }
    }
}

fn bytes_of(item: &SubscriptionItem) -> usize {
    match item {
        SubscriptionItem::Event(event) | SubscriptionItem::StoresOwn(event) => {
            event.data.len() + event.metadata.len()
        }
        _ => 0,
    }
}
