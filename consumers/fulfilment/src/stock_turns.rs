//! Orders ask stock in turn. One with hundreds of SKUs would have hundreds of appends in work at once, and all who come after
//! it would wait for them: so it asks for a few of them at a time, and only a few such orders at once. Orders with few SKUs
//! never wait.

use futures::future::join_all;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::{Notify, Semaphore};

/// An order asks for so many SKUs at once.
const SKUS_AT_ONCE: usize = 32;
/// So many of the orders with more SKUs ask at once.
const LARGE_ORDERS_AT_ONCE: usize = 4;

/// Whose turn it is to ask. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct StockTurns(Arc<Turns>);

struct Turns {
    /// In order: one that has had its turn goes behind all that wait.
    large: Semaphore,
    waiting: AtomicUsize,
    one_more_waits: Notify,
}

impl Default for StockTurns {
    fn default() -> Self {
        let large = Semaphore::new(LARGE_ORDERS_AT_ONCE);
        Self(Arc::new(Turns { large, waiting: AtomicUsize::new(0), one_more_waits: Notify::new() }))
    }
}

impl StockTurns {
    /// Asks for all, and gives the answers in the same order.
    pub async fn ask<F: Future>(&self, asks: Vec<F>) -> Vec<F::Output> {
        if asks.len() <= SKUS_AT_ONCE {
            return join_all(asks).await;
        }
        let mut answers = Vec::with_capacity(asks.len());
        let mut asks = asks.into_iter();
        while asks.len() > 0 {
            let _turn = self.turn().await;
            answers.extend(join_all(asks.by_ref().take(SKUS_AT_ONCE)).await);
        }
        answers
    }

    /// How many orders wait for their turn: they do nothing meanwhile.
    pub fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Waits until one more order waits than at the last time.
    pub async fn one_more_waits(&self) {
        self.0.one_more_waits.notified().await;
    }

    /// A turn, until it is dropped.
    async fn turn(&self) -> impl Sized {
        if let Ok(turn) = self.0.large.try_acquire() {
            return Some(turn);
        }
        let _waiting = Waiting::begin(&self.0);
        // Nobody closes it.
        self.0.large.acquire().await.ok()
    }
}

/// One that waits, whatever becomes of it.
struct Waiting<'turns>(&'turns Turns);

impl<'turns> Waiting<'turns> {
    fn begin(turns: &'turns Turns) -> Self {
        turns.waiting.fetch_add(1, Ordering::Relaxed);
        turns.one_more_waits.notify_one();
        Self(turns)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use futures::FutureExt;

    /// Stock that answers when it may.
    struct Stock {
        asked: AtomicUsize,
        answers: Semaphore,
    }

    impl Stock {
        async fn ask(&self, sku: usize) -> usize {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let _answer = self.answers.acquire().await.unwrap();
            sku
        }

        fn order(&self, skus: usize) -> Vec<impl Future<Output = usize>> {
            (0..skus).map(|sku| self.ask(sku)).collect()
        }
    }

    #[tokio::test]
    async fn orders_with_many_skus_take_turns_and_those_with_few_pass_them() {
        let (turns, stock) = (StockTurns::default(), Stock { asked: 0.into(), answers: Semaphore::new(0) });
        let mut large: Vec<_> = (0..10).map(|_| Box::pin(turns.ask(stock.order(100)))).collect();
        assert!(large.iter_mut().all(|order| order.now_or_never().is_none()));
        assert_eq!(stock.asked.load(Ordering::Relaxed), LARGE_ORDERS_AT_ONCE * SKUS_AT_ONCE);
        assert_eq!(turns.waiting(), 10 - LARGE_ORDERS_AT_ONCE);
        turns.one_more_waits().now_or_never().expect("some have begun to wait");

        stock.answers.add_permits(3);
        let small = Box::pin(turns.ask(vec![std::future::ready(7); 3]));
        assert_eq!(small.now_or_never(), Some(vec![7; 3]));

        stock.answers.add_permits(1_000);
        let answers = join_all(large).await;
        assert!(answers.iter().all(|answers| *answers == (0..100).collect::<Vec<_>>()));
        assert_eq!(turns.waiting(), 0);
    }

    #[tokio::test]
    async fn one_that_is_given_up_while_it_waits_waits_no_longer() {
        let (turns, stock) = (StockTurns::default(), Stock { asked: 0.into(), answers: Semaphore::new(0) });
        let mut large: Vec<_> = (0..10).map(|_| Box::pin(turns.ask(stock.order(100)))).collect();
        assert!(large.iter_mut().all(|order| order.now_or_never().is_none()));
        drop(large);
        assert_eq!(turns.waiting(), 0);
        assert!(turns.0.large.available_permits() == LARGE_ORDERS_AT_ONCE);
    }
}
