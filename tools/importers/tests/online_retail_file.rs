//! The real file, where it is there, must give the figures that everybody knows of it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

use domain::{Currency, Money};
use importers::Plan;
use importers::history::{History, PastOrder, SkipCount, SkipReason};
use importers::online_retail::read_file;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn real_file() -> Option<History> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/online-retail/online_retail.csv.zst");
    if !path.exists() {
        eprintln!("skipped: {} is not here", path.display());
        return None;
    }
    let gbp: Currency = "GBP".parse().unwrap();
    Some(read_file(&path, gbp).unwrap())
}

fn pennies(orders: &[PastOrder]) -> i64 {
    orders.iter().map(|order| order.total.amount()).sum()
}

#[test]
fn the_real_file_gives_its_known_figures() {
    let Some(history) = real_file() else { return };
    let whole = Plan::new(&history, None);
    assert_eq!((whole.orders.len(), whole.lines, whole.products.len()), (19_959, 530_099, 3_810));
    assert_eq!(history.products.iter().map(|product| product.units_sold).sum::<u64>(), 5_588_371);
    assert_eq!(pennies(whole.orders), 1_065_562_248);
    assert_eq!(whole.orders.iter().map(|order| order.lines.len()).max(), Some(1_114));

    let first = Plan::new(&history, Some(1_000));
    assert_eq!((first.orders.len(), first.lines, pennies(first.orders)), (1_000, 27_989, 54_293_642));

    let mut days = BTreeMap::<_, i64>::new();
    for order in whole.orders {
        *days.entry(order.occurred_at.date_naive().to_string()).or_default() += order.total.amount();
    }
    let busiest = days.iter().max_by_key(|(_, pennies)| **pennies).unwrap();
    assert_eq!(busiest, (&"2011-12-09".to_owned(), &20_092_060));

    assert_that_lines_add_up(&history);
    assert_skipped(&history);
}

/// Each order's total is that of its lines, and no two lines of an invoice have the same place.
fn assert_that_lines_add_up(history: &History) {
    for order in &history.orders {
        let sum = order.lines.iter().try_fold(Money::zero(order.total.currency()), |sum, line| {
            sum.plus(line.unit_price.times(line.quantity.units())?)
        });
        assert_eq!(sum.unwrap(), order.total, "{}", order.invoice);
        assert!(order.lines.is_sorted_by(|a, b| a.row < b.row), "{}", order.invoice);
    }
}

fn assert_skipped(history: &History) {
    let expected = BTreeMap::from([
        (SkipReason::Cancellation, SkipCount { invoices: 3_836, lines: 9_288 }),
        (SkipReason::Adjustment, SkipCount { invoices: 3, lines: 3 }),
        (SkipReason::QuantityNotPositive, SkipCount { invoices: 0, lines: 1_336 }),
        (SkipReason::PriceNotPositive, SkipCount { invoices: 0, lines: 1_183 }),
    ]);
    assert_eq!(history.skipped.by_reason, expected);
    assert_eq!(history.skipped.orders_without_lines, 2_102);
    assert_eq!(history.skipped.unreadable_rows, []);
}
