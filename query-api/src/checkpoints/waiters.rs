//! Requests that wait for a position. Each is woken when its own position is reached: a read model moves many times a
//! second, and to wake all of them each time cost more the more of them there were.

use event_store::Position;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Those who wait for one read model.
#[derive(Default)]
pub(super) struct Waiters(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// Tells apart those who wait for the same position.
    last: u64,
    by_position: BTreeMap<(Position, u64), oneshot::Sender<()>>,
}

/// One who waits, until this is dropped.
pub(super) struct Waiter<'waiters> {
    waiters: &'waiters Waiters,
    key: (Position, u64),
    call: oneshot::Receiver<()>,
}

impl Waiters {
    /// From now on, it is called when the position is reached. Whether it is reached already is looked for afterwards, so
    /// that nothing in between is missed.
    pub fn join(&self, wanted: Position) -> Waiter<'_> {
        let (caller, call) = oneshot::channel();
        let mut waiting = self.lock();
        waiting.last += 1;
        let key = (wanted, waiting.last);
        waiting.by_position.insert(key, caller);
        Waiter { waiters: self, key, call }
    }

    /// Wakes those whose position this is, or one before it.
    pub fn wake(&self, reached: Position) {
        let mut waiting = self.lock();
        while let Some(first) = waiting.by_position.first_entry() {
            if first.key().0 > reached {
                return;
            }
            // It may have gone.
            let _ = first.remove().send(());
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing panics while it holds the lock, and the map is valid at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiter<'_> {
    /// Waits for the call.
    pub async fn called(mut self) {
        // Nobody is taken off the list without a call.
        let _ = (&mut self.call).await;
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.waiters.lock().by_position.remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[test]
    fn those_are_woken_whose_position_is_reached_and_nobody_else() {
        let waiters = Waiters::default();
        let [early, first, second, late] = [3, 5, 5, 6].map(|at| waiters.join(Position::new(at)));
        waiters.wake(Position::new(5));
        for reached in [early, first, second] {
            assert!(reached.called().now_or_never().is_some());
        }
        let mut late = Box::pin(late.called());
        assert!((&mut late).now_or_never().is_none());
        waiters.wake(Position::new(9));
        assert!(late.now_or_never().is_some());
    }

    #[test]
    fn nothing_is_kept_of_those_who_have_gone() {
        let waiters = Waiters::default();
        let waiting = [1, 1, 2].map(|at| waiters.join(Position::new(at)));
        waiters.wake(Position::new(1));
        assert_eq!(waiters.lock().by_position.len(), 1);
        drop(waiting);
        assert!(waiters.lock().by_position.is_empty());
    }
}
