//! Holds the tables against the books.

use super::books::Books;
use super::checks::{order_stream, stock_stream};
use super::day_book::Day;
use super::report::{Evidence, Suspicions};
use super::sold::SoldIn;
use super::stock_book::Units;
use api::reconciliation::{Check, ReconciliationReport};
use chrono::NaiveDate;
use futures::TryStreamExt;
use sqlx::PgConnection;
use std::collections::{BTreeMap, BTreeSet};

/// Every row of `stock`, `orders` and `sales`, in one snapshot of the database.
pub async fn check_tables(
    snapshot: &mut PgConnection,
    books: &Books,
    report: &mut ReconciliationReport,
    found: &mut Suspicions,
) -> Result<(), sqlx::Error> {
    check_stock(snapshot, books, report, found).await?;
    check_orders(snapshot, books, report, found).await?;
    check_sales(snapshot, books, report, found).await
}

async fn check_stock(
    snapshot: &mut PgConnection,
    books: &Books,
    report: &mut ReconciliationReport,
    found: &mut Suspicions,
) -> Result<(), sqlx::Error> {
    let mut missing: BTreeSet<&str> = books.stock.keys().map(|sku| sku.as_str()).collect();
    let mut rows = sqlx::query!(
        "SELECT sku, received, adjusted, available, reserved, committed, shipped, revision FROM stock"
    )
    .fetch(&mut *snapshot);
    while let Some(row) = rows.try_next().await? {
        report.rows += 1;
        missing.remove(row.sku.as_str());
        let stored = Units {
            received: row.received,
            adjusted: row.adjusted,
            available: row.available,
            reserved: row.reserved,
            committed: row.committed,
            shipped: row.shipped,
        };
        let book = row.sku.parse().ok().and_then(|sku| books.stock.get(&sku));
        let counted = book.map(|book| (book.units(), book.revision));
        if counted != Some((stored, row.revision)) {
            let what = format!("{}: the table has {stored:?}, the events make {counted:?}", row.sku);
            found.add(Check::Units, what, Evidence::Streams(vec![format!("inventory-{}", row.sku)]));
        }
    }
    for sku in books.stock.keys().filter(|sku| missing.contains(sku.as_str())) {
        let what = format!("{sku}: the table has no row");
        found.add(Check::Units, what, Evidence::Streams(vec![stock_stream(sku)]));
    }
    Ok(())
}

async fn check_orders(
    snapshot: &mut PgConnection,
    books: &Books,
    report: &mut ReconciliationReport,
    found: &mut Suspicions,
) -> Result<(), sqlx::Error> {
    let mut missing: BTreeSet<_> = books.orders.keys().copied().collect();
    let mut rows = sqlx::query!("SELECT order_id, total, paid, refunded, lines, units, revision FROM orders")
        .fetch(&mut *snapshot);
    while let Some(row) = rows.try_next().await? {
        report.rows += 1;
        missing.remove(&row.order_id);
        let stored = (row.total, row.paid, row.refunded, row.lines, row.units, row.revision);
        let book = books.orders.get(&row.order_id).map(|book| {
            (book.total, book.money_in(), book.money_back, book.lines, book.units, book.revision)
        });
        if book != Some(stored) {
            let what = format!(
                "order {}: total, paid, refunded, lines, units and revision are {stored:?} in the table, and \
                 the events make {book:?}",
                row.order_id
            );
            found.add(Check::Money, what, Evidence::Streams(vec![order_stream(row.order_id)]));
        }
    }
    for id in missing {
        found.add(
            Check::Money,
            format!("order {id}: the table has no row"),
            Evidence::Streams(vec![order_stream(id)]),
        );
    }
    Ok(())
}

/// A day's sales add up to the same by SKU, by merchant, by country and in all.
async fn check_sales(
    snapshot: &mut PgConnection,
    books: &Books,
    report: &mut ReconciliationReport,
    found: &mut Suspicions,
) -> Result<(), sqlx::Error> {
    const DIMENSIONS: [&str; 4] = ["total", "sku", "merchant", "country"];
    let rows = sqlx::query!(
        r#"SELECT dimension, day, currency, count(*) AS "rows!", sum(orders)::bigint AS "orders!",
                  sum(lines)::bigint AS "lines!", sum(units)::bigint AS "units!", sum(revenue)::bigint AS "revenue!"
           FROM sales GROUP BY dimension, day, currency"#
    )
    .fetch_all(&mut *snapshot)
    .await?;
    let mut stored: BTreeMap<(NaiveDate, String), BTreeMap<String, [i64; 4]>> = BTreeMap::new();
    for row in rows {
        report.rows += row.rows.cast_unsigned();
        // Orders add up where an order has one key only.
        let orders = if matches!(row.dimension.as_str(), "total" | "country") { row.orders } else { 0 };
        let sums = [orders, row.lines, row.units, row.revenue];
        stored.entry((row.day, row.currency)).or_default().insert(row.dimension, sums);
    }
    let days: BTreeSet<_> = stored.keys().chain(books.days.days.keys()).cloned().collect();
    for (day, currency) in days {
        let key = (day, currency);
        let Day { orders, lines, units, goods, .. } = books.days.days.get(&key).copied().unwrap_or_default();
        for dimension in DIMENSIONS {
            let orders = if matches!(dimension, "total" | "country") { orders } else { 0 };
            let counted = [orders, lines, units, goods];
            let sums = stored.get(&key).and_then(|of_day| of_day.get(dimension)).copied().unwrap_or_default();
            if sums != counted {
                let what = format!(
                    "{day}: orders, lines, units and revenue by {dimension} are {sums:?} in the table, and the \
                     events make {counted:?} ({})",
                    key.1
                );
                found.add(Check::Day, what, Evidence::Sold(SoldIn::day(day)));
            }
        }
    }
    Ok(())
}
