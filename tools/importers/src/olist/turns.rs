//! Orders of one SKU are checked out one after the other, because the price may change in between. Orders that share no
//! SKU do not wait for each other.

use super::plan::PlannedLine;
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
    pub async fn wait<'a>(&'a self, lines: &'a [PlannedLine]) -> Turn<'a> {
        for line in lines {
            let mut passed = self.passed[line.product].subscribe();
            // It fails only when the sender is gone, and that is here.
            let _ = passed.wait_for(|passed| *passed >= line.turn).await;
        }
        Turn { turns: self, lines }
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        for line in self.lines {
            self.turns.passed[line.product].send_modify(|passed| *passed = (*passed).max(line.turn + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::{Money, Quantity};
    use futures::poll;
    use std::pin::pin;

    fn line(product: usize, turn: u32) -> PlannedLine {
        PlannedLine {
            number: 1,
            product,
            quantity: Quantity::new(1).unwrap(),
            unit_price: Money::zero("BRL".parse().unwrap()),
            turn,
            is_new_price: false,
        }
    }

    #[tokio::test]
    async fn an_order_waits_for_the_earlier_ones_of_its_products_and_for_no_others() {
        let turns = Turns::new(2);
        let orders = [vec![line(0, 0)], vec![line(1, 0)], vec![line(0, 1), line(1, 1)], vec![line(1, 2)]];
        let mut last = pin!(turns.wait(&orders[3]));
        let mut both = pin!(turns.wait(&orders[2]));
        assert!(poll!(&mut last).is_pending() && poll!(&mut both).is_pending());
        let second = turns.wait(&orders[1]).await;
        drop(turns.wait(&orders[0]).await);
        assert!(poll!(&mut both).is_pending(), "the second order is not through");
        drop(second);
        assert!(poll!(&mut last).is_pending(), "an order in between is not through");
        drop(both.await);
        last.await;
    }
}
