use crate::fact::{Fact, Subject};
use crate::projection::{ApplyError, Projection};
use chrono::NaiveDate;
use domain::{OrderId, order};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// What was sold, by day and in all, by SKU, by merchant and by country. A sale is booked when its order is
/// paid, on the day (UTC) of the payment's business time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sales;

/// What is to be booked when an order is paid: kept from `placed` to `paid`, so that this projection needs no
/// other one's tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sale {
    country: String,
    currency: String,
    lines: Vec<SoldLine>,
}

/// All lines of one SKU and merchant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct SoldLine {
    sku: String,
    merchant: String,
    lines: i64,
    units: i64,
    revenue: i64,
}

/// What is booked under one key.
#[derive(Debug, Clone, Copy, Default)]
struct Booking {
    orders: i64,
    lines: i64,
    units: i64,
    revenue: i64,
}

/// Dimension, day, key and currency: the primary key, in its order.
type Account = (&'static str, NaiveDate, String, String);

/// What a batch leaves to do.
#[derive(Default)]
struct Batch {
    placed: BTreeMap<Uuid, Sale>,
    /// Paid in this batch, placed in an earlier one.
    paid: HashMap<Uuid, (NaiveDate, i64)>,
    /// Called off in this batch, placed in an earlier one: paid or not.
    cancelled: Vec<Uuid>,
    bookings: BTreeMap<Account, Booking>,
}

impl Projection for Sales {
    const NAME: &'static str = "sales";
    const VERSION: i32 = 2;
    const WANTS: &'static [&'static str] = &["order.placed", "order.paid", "order.cancelled"];
    const TABLES: &'static [&'static str] = &["sales", "sales_pending_orders"];
    const STREAM_COLUMN: Option<&'static str> = None;

    async fn apply(&self, transaction: &mut PgConnection, facts: &[Fact]) -> Result<(), ApplyError> {
        let mut batch = Batch::default();
        for fact in facts {
            let Subject::Order(OrderId(order_id), event) = &fact.subject else { continue };
            match event {
                order::Event::Placed(placed) => {
                    batch.placed.insert(*order_id, Sale::of(placed));
                }
                order::Event::Paid(_) => {
                    let day = fact.occurred_at.date_naive();
                    match batch.placed.remove(order_id) {
                        Some(sale) => batch.book(&sale, day),
                        None => {
                            batch.paid.insert(*order_id, (day, fact.position));
                        }
                    }
                }
                order::Event::Cancelled(_) => {
                    let was_placed_earlier = batch.placed.remove(order_id).is_none();
                    batch.cancelled.extend(was_placed_earlier.then_some(*order_id));
                }
                order::Event::ReservationsAnswered(_)
                | order::Event::PaymentRecorded(_)
                | order::Event::PaymentRequested(_)
                | order::Event::PaymentStarted(_)
                | order::Event::PaymentAuthorized(_)
                | order::Event::PaymentDeclined(_)
                | order::Event::PaymentCaptured(_)
                | order::Event::PaymentVoided(_)
                | order::Event::StockCommitted(_)
                | order::Event::ProcessingStarted(_)
                | order::Event::ShipmentSent(_)
                | order::Event::ShipmentDelivered(_)
                | order::Event::Shipped(_)
                | order::Event::StockShipped(_)
                | order::Event::StockParted(_)
                | order::Event::RestCancelled(_)
                | order::Event::Delivered(_)
                | order::Event::StockReleased(_)
                | order::Event::RefundRequested(_)
                | order::Event::RefundRefused(_)
                | order::Event::RefundRecorded(_)
                | order::Event::RefundFound(_)
                | order::Event::RefundFailed(_)
                | order::Event::Refunded(_) => {}
            }
        }
        settle_earlier(transaction, &mut batch).await?;
        keep_pending(transaction, &batch.placed).await?;
        book(transaction, &batch.bookings).await
    }
}

impl Sale {
    fn of(placed: &order::Placed) -> Self {
        let mut lines: BTreeMap<(&str, &str), SoldLine> = BTreeMap::new();
        for line in &placed.lines {
            let key = (line.sku.as_str(), line.merchant_id.as_str());
            let sold = lines.entry(key).or_insert_with(|| SoldLine {
                sku: key.0.to_owned(),
                merchant: key.1.to_owned(),
                lines: 0,
                units: 0,
                revenue: 0,
            });
            let units = i64::from(line.quantity.units());
            sold.lines += 1;
            sold.units += units;
            // The total of the order is money, and no line is more than the total.
            sold.revenue += units * line.unit_price.amount();
        }
        Self {
            country: placed.country.code().to_string(),
            currency: placed.total.currency().to_string(),
            lines: lines.into_values().collect(),
        }
    }
}

impl Batch {
    fn book(&mut self, sale: &Sale, day: NaiveDate) {
        let mut of_order: BTreeMap<(&'static str, &str), Booking> = BTreeMap::new();
        for line in &sale.lines {
            let keys = [
                ("total", ""),
                ("sku", line.sku.as_str()),
                ("merchant", line.merchant.as_str()),
                ("country", sale.country.as_str()),
            ];
            for key in keys {
                let booking = of_order.entry(key).or_default();
                booking.orders = 1;
                booking.lines += line.lines;
                booking.units += line.units;
                booking.revenue += line.revenue;
            }
        }
        for ((dimension, key), order) in of_order {
            let account = (dimension, day, key.to_owned(), sale.currency.clone());
            let booking = self.bookings.entry(account).or_default();
            booking.orders += order.orders;
            booking.lines += order.lines;
            booking.units += order.units;
            booking.revenue += order.revenue;
        }
    }
}

/// Takes the orders of earlier batches that are paid or called off now out of the pending ones, and books those
/// that are paid. An order that was paid before it was called off is pending no more.
async fn settle_earlier(transaction: &mut PgConnection, batch: &mut Batch) -> Result<(), ApplyError> {
    let mut ids: Vec<Uuid> = batch.paid.keys().copied().collect();
    ids.append(&mut batch.cancelled);
    if ids.is_empty() {
        return Ok(());
    }
    let sales = sqlx::query!(
        r#"DELETE FROM sales_pending_orders WHERE order_id = ANY($1)
           RETURNING order_id, sale AS "sale: Json<Sale>""#,
        &ids
    )
    .fetch_all(transaction)
    .await?;
    for row in sales {
        if let Some((day, _)) = batch.paid.remove(&row.order_id) {
            batch.book(&row.sale, day);
        }
    }
    match batch.paid.iter().next() {
        Some((order_id, (_, position))) => {
            Err(ApplyError::UnknownOrder { order_id: OrderId(*order_id), position: *position })
        }
        None => Ok(()),
    }
}

async fn keep_pending(
    transaction: &mut PgConnection,
    placed: &BTreeMap<Uuid, Sale>,
) -> Result<(), ApplyError> {
    if placed.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = placed.keys().copied().collect();
    let sales = placed.values().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
    sqlx::query!(
        "INSERT INTO sales_pending_orders (order_id, sale) SELECT * FROM UNNEST($1::uuid[], $2::jsonb[])",
        &ids,
        &sales
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn book(
    transaction: &mut PgConnection,
    bookings: &BTreeMap<Account, Booking>,
) -> Result<(), ApplyError> {
    if bookings.is_empty() {
        return Ok(());
    }
    let dimensions: Vec<&str> = bookings.keys().map(|account| account.0).collect();
    let days: Vec<NaiveDate> = bookings.keys().map(|account| account.1).collect();
    let keys: Vec<&str> = bookings.keys().map(|account| account.2.as_str()).collect();
    let currencies: Vec<&str> = bookings.keys().map(|account| account.3.as_str()).collect();
    let column = |value: fn(&Booking) -> i64| bookings.values().map(value).collect::<Vec<i64>>();
    sqlx::query!(
        "INSERT INTO sales AS s (dimension, day, key, currency, orders, lines, units, revenue)
         SELECT * FROM UNNEST($1::text[], $2::date[], $3::text[], $4::text[], $5::bigint[], $6::bigint[],
                              $7::bigint[], $8::bigint[])
         ON CONFLICT (dimension, day, key, currency) DO UPDATE
         SET orders = s.orders + excluded.orders, lines = s.lines + excluded.lines,
             units = s.units + excluded.units, revenue = s.revenue + excluded.revenue",
        &dimensions as _,
        &days,
        &keys as _,
        &currencies as _,
        &column(|booking| booking.orders),
        &column(|booking| booking.lines),
        &column(|booking| booking.units),
        &column(|booking| booking.revenue)
    )
    .execute(transaction)
    .await?;
    Ok(())
}
