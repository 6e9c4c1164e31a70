//! What the workers say of themselves: `/readyz`, metrics and the overview read it.

use crate::share::Share;
use crate::status::{State, Status};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// What the workers of all projections say of themselves. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Board {
    statuses: Arc<Mutex<Vec<watch::Receiver<Status>>>>,
    /// Counts up when a worker comes or goes.
    membership: Arc<watch::Sender<u64>>,
}

impl Board {
    /// The last word of each worker, in the order of names and versions.
    #[must_use]
    pub fn statuses(&self) -> Vec<Status> {
        let mut statuses: Vec<_> = self.lock().iter().map(last_word).collect();
        statuses.sort_by_key(|status| (status.name, status.version, status.shard));
        statuses
    }

    /// Waits until the workers have come to a state, and gives it.
    pub async fn wait_for(&self, is_so: impl Fn(&[Status]) -> bool) -> Vec<Status> {
        loop {
            let mut membership = self.membership.subscribe();
            let mut receivers: Vec<_> = self.lock().clone();
            receivers.iter_mut().for_each(watch::Receiver::mark_unchanged);
            let statuses = self.statuses();
            if is_so(&statuses) {
                return statuses;
            }
            let mut changes: FuturesUnordered<_> = receivers
                .iter_mut()
                .map(|receiver| async move { receiver.changed().await.is_ok() })
                .collect();
            tokio::select! {
                // A worker that has ended says nothing more.
                () = async { while changes.next().await == Some(false) {} }, if !changes.is_empty() => {}
                _ = membership.changed() => {}
            }
        }
    }

    pub(crate) fn add(&self, status: watch::Receiver<Status>) {
        let share = status.borrow().share();
        let mut statuses = self.lock();
        statuses.retain(|known| known.borrow().share() != share);
        statuses.push(status);
        drop(statuses);
        self.membership.send_modify(|count| *count += 1);
    }

    pub(crate) fn remove(&self, share: Share) {
        self.lock().retain(|known| known.borrow().share() != share);
        self.membership.send_modify(|count| *count += 1);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<watch::Receiver<Status>>> {
        // Nothing panics while it holds the lock.
        self.statuses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a worker last said. One that is gone without a word has panicked.
fn last_word(status: &watch::Receiver<Status>) -> Status {
    let is_gone = status.has_changed().is_err();
    let mut status = status.borrow().clone();
    if is_gone && !status.has_ended() {
        status.state = State::Failed { error: "it panicked; the log has the message".to_owned() };
    }
    status
}
