//! Orders of one SKU are checked out one after the other, because the price may change in between. Orders that share no
//! SKU do not wait for each other.

use super::plan::{PlannedLine, PlannedOrder};
use tokio::sync::watch;

/// For each product, how many of its orders are checked out or have failed.
pub struct Turns {
    passed: Vec<watch::Sender<u32>>,
}

/// An order whose turn it is. Dropped, it lets the next ones have theirs.
pub struct Turn<'a> {
    turns: &'a Turns,
    lines: &'a [PlannedLine],
}

impl Turns {
    pub fn new(products: usize) -> Self {
        Self { passed: (0..products).map(|_| watch::Sender::new(0)).collect() }
    }

    /// Waits until all earlier orders of the order's products have passed. Orders wait only for earlier ones, so
    /// that the earliest never waits.
    pub async fn wait<'a>(&'a self, order: &'a PlannedOrder) -> Turn<'a> {
        for line in &order.lines {
            let mut passed = self.passed[line.product].subscribe();
            // It fails only when the sender is gone, and that is here.
            let _ = passed.wait_for(|passed| *passed >= line.turn).await;
        }
        Turn { turns: self, lines: &order.lines }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for line in self.lines {
            self.turns.passed[line.product].send_modify(|passed| *passed = (*passed).max(line.turn + 1));
        }
    }
}
