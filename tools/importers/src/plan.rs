//! Which orders go in, and which products they need first.

use super::history::{History, PastOrder, PastProduct};

/// What is to be sent.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Products to define and to fill with stock before any order, in the order in which they are needed.
    pub products: Vec<&'a PastProduct>,
    /// The orders.
    pub orders: &'a [PastOrder],
    /// Lines of all these orders.
    pub lines: u64,
}

impl<'a> Plan<'a> {
    /// The first `limit` orders, or all of them.
    ///
    /// The products keep the name, price and stock that the whole file gives them, whatever the limit: so a short
    /// import and a full one after it agree.
    #[must_use]
    pub fn new(history: &'a History, limit: Option<usize>) -> Self {
        let count = limit.unwrap_or(usize::MAX).min(history.orders.len());
        let orders = &history.orders[..count];
        let mut needed = vec![false; history.products.len()];
        let mut products = Vec::new();
        let mut lines = 0;
        for line in orders.iter().flat_map(|order| &order.lines) {
            lines += 1;
            if !std::mem::replace(&mut needed[line.product], true) {
                products.push(&history.products[line.product]);
            }
        }
        Self { products, orders, lines }
    }
}
