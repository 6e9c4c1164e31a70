//! What an order sells, and which part of it each refund takes back.

use domain::{order, proration};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An order's lines, put together by SKU and merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sale {
    pub country: String,
    pub currency: String,
    pub lines: Vec<SoldLine>,
    /// The charge for sending.
    pub shipping: i64,
}

/// All lines of one SKU and merchant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SoldLine {
    pub sku: String,
    pub merchant: String,
    pub units: i64,
    pub amount: i64,
}

impl Sale {
    pub fn of(placed: &order::Placed) -> Self {
        let mut lines: BTreeMap<(&str, &str), (i64, i64)> = BTreeMap::new();
        for line in &placed.lines {
            let (units, amount) = lines.entry((line.sku.as_str(), line.merchant_id.as_str())).or_default();
            *units += i64::from(line.quantity.units());
            // The total of the order is money, and no line is more than the total.
            *amount += i64::from(line.quantity.units()) * line.unit_price.amount();
        }
        let lines = lines.into_iter().map(|((sku, merchant), (units, amount))| SoldLine {
            sku: sku.to_owned(),
            merchant: merchant.to_owned(),
            units,
            amount,
        });
        Self {
            country: placed.country.code().to_string(),
            currency: placed.total.currency().to_string(),
            lines: lines.collect(),
            shipping: placed.shipping.map_or(0, |shipping| shipping.amount()),
        }
    }

    /// The parts of a sum of refunds that fall to each line and, at the end, to the charge for sending: in proportion to
    /// the price, and together the sum to the last minor unit. All of the money back is the price of each line, and no
    /// part shrinks while the sum grows. Money that goes back for nothing goes off the charge for sending.
    pub fn parts(&self, refunded: i64) -> Vec<i64> {
        let weights: Vec<i64> = self.lines.iter().map(|line| line.amount).chain([self.shipping]).collect();
        proration::parts(refunded, &weights)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sale(amounts: &[i64], shipping: i64) -> Sale {
        let line = |amount: &i64| SoldLine {
            sku: format!("S{amount}"),
            merchant: "m".to_owned(),
            units: 1,
            amount: *amount,
        };
        let lines = amounts.iter().map(line).collect();
        Sale { country: "GB".to_owned(), currency: "GBP".to_owned(), lines, shipping }
    }

    #[test]
    fn parts_are_in_proportion_and_add_up() {
        assert_eq!(sale(&[100, 200], 100).parts(40), [10, 20, 10]);
        assert_eq!(sale(&[1, 1, 1], 0).parts(2), [1, 0, 1, 0]);
        for refunded in -5..=305 {
            let parts = sale(&[99, 1, 101, 0, 3], 101).parts(refunded);
            assert_eq!(parts.iter().sum::<i64>(), refunded, "{parts:?}");
        }
    }

    /// A refund by SKU was once -1: what a line has of the sum shrank while the sum grew.
    #[test]
    fn a_refund_takes_nothing_back_from_an_earlier_one() {
        let sale = sale(&[99, 1, 101, 0, 3], 101);
        for refunded in 0..305 {
            let (before, after) = (sale.parts(refunded), sale.parts(refunded + 1));
            assert!(before.iter().zip(&after).all(|(before, after)| before <= after), "{before:?} {after:?}");
        }
    }

    #[test]
    fn all_of_the_money_is_the_price_of_each_line() {
        assert_eq!(sale(&[99, 1, 101, 0, 3], 101).parts(305), [99, 1, 101, 0, 3, 101]);
        assert_eq!(sale(&[i64::MAX / 4, 7], 9).parts(i64::MAX / 4 + 16), [i64::MAX / 4, 7, 9]);
    }

    #[test]
    fn money_back_for_what_cost_nothing_goes_off_the_charge_for_sending() {
        assert_eq!(sale(&[0, 0], 0).parts(3), [0, 0, 3]);
        assert_eq!(sale(&[], 0).parts(0), [0]);
    }
}
