//! What orders add up to: the figures that must agree between the files and the shop.

use std::collections::BTreeMap;

/// Sums over orders. Money is in centavos.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Totals {
    /// Orders.
    pub orders: u64,
    /// Units: the files have a row for each.
    pub items: u64,
    /// Their prices.
    pub goods: i128,
    /// For sending them.
    pub freight: i128,
    /// Payments by their method: how many and how much.
    pub payments: BTreeMap<String, (u64, i128)>,
    /// Payments of nothing: there is no money to book.
    pub empty_payments: u64,
}

impl Totals {
    /// Counts a payment.
    pub fn pay(&mut self, method: &str, amount: i64) {
        if amount == 0 {
            self.empty_payments += 1;
            return;
        }
        let known = self.payments.entry(method.to_owned()).or_default();
        known.0 += 1;
        known.1 += i128::from(amount);
    }

    /// Adds other orders.
    pub fn add(&mut self, other: &Self) {
        self.orders += other.orders;
        self.items += other.items;
        self.goods += other.goods;
        self.freight += other.freight;
        self.empty_payments += other.empty_payments;
        for (method, (count, amount)) in &other.payments {
            let known = self.payments.entry(method.clone()).or_default();
            known.0 += count;
            known.1 += amount;
        }
    }

    /// All payments together: how many and how much.
    #[must_use]
    pub fn paid(&self) -> (u64, i128) {
        self.payments.values().fold((0, 0), |sum, payment| (sum.0 + payment.0, sum.1 + payment.1))
    }
}
