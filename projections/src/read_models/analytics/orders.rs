use crate::fact::{Fact, Subject};
use crate::pace::UNHURRIED;
use crate::projection::{ApplyError, Home, Projection};
use chrono::{DateTime, Utc};
use domain::OrderId;
use domain::order::{Event, Placed};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// One row for each order, with the time at which it came to each state.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnalyticsOrders;

/// What a batch does to an order.
#[derive(Default)]
struct Change<'a> {
    placed: Option<(&'a Placed, DateTime<Utc>)>,
    status: Option<&'static str>,
    times: Times,
}

/// When it came to each state after the first.
#[derive(Default)]
struct Times {
    paid: Option<DateTime<Utc>>,
    processing: Option<DateTime<Utc>>,
    shipped: Option<DateTime<Utc>>,
    delivered: Option<DateTime<Utc>>,
    cancelled: Option<DateTime<Utc>>,
    refunded: Option<DateTime<Utc>>,
}

type Changes<'a> = BTreeMap<Uuid, Change<'a>>;

impl Projection for AnalyticsOrders {
    const NAME: &'static str = "analytics_orders";
    const VERSION: i32 = 2;
    const WANTS: &'static [&'static str] = &[
        "order.placed",
        "order.paid",
        "order.processing_started",
        "order.shipped",
        "order.delivered",
        "order.cancelled",
        "order.refunded",
    ];
    const TABLES: &'static [&'static str] = &["analytics_orders"];
    const STREAM_COLUMN: Option<&'static str> = Some("order_id");
    const HOME: Home = Home::Analytics;
    const LEAST_REST: Duration = UNHURRIED;

    async fn apply(&self, transaction: &mut PgConnection, facts: &[Fact]) -> Result<(), ApplyError> {
        let mut changes = Changes::new();
        for fact in facts {
            if let Subject::Order(OrderId(order_id), event) = &fact.subject {
                changes.entry(*order_id).or_default().add(event, fact.occurred_at);
            }
        }
        insert_orders(transaction, &changes).await?;
        update_orders(transaction, &changes).await
    }
}

impl<'a> Change<'a> {
    fn add(&mut self, event: &'a Event, at: DateTime<Utc>) {
        let (status, time) = match event {
            Event::Placed(placed) => {
                self.placed = Some((placed, at));
                self.status = Some("pending");
                return;
            }
            Event::Paid(_) => ("paid", &mut self.times.paid),
            Event::ProcessingStarted(_) => ("processing", &mut self.times.processing),
            Event::Shipped(_) => ("shipped", &mut self.times.shipped),
            Event::Delivered(_) => ("delivered", &mut self.times.delivered),
            Event::Cancelled(_) => ("cancelled", &mut self.times.cancelled),
            Event::Refunded(_) => ("refunded", &mut self.times.refunded),
            Event::ReservationsAnswered(_)
            | Event::PaymentRecorded(_)
            | Event::PaymentRequested(_)
            | Event::PaymentStarted(_)
            | Event::PaymentAuthorized(_)
            | Event::PaymentDeclined(_)
            | Event::PaymentCaptured(_)
            | Event::PaymentVoided(_)
            | Event::StockCommitted(_)
            | Event::ShipmentSent(_)
            | Event::ShipmentDelivered(_)
            | Event::StockShipped(_)
            | Event::StockParted(_)
            | Event::RestCancelled(_)
            | Event::StockReleased(_)
            | Event::RefundRequested(_)
            | Event::RefundRefused(_)
            | Event::RefundRecorded(_)
            | Event::RefundFound(_)
            | Event::RefundFailed(_) => return,
        };
        *time = Some(at);
        // A refunded order that arrives stays refunded.
        if !(status == "delivered" && self.status == Some("refunded")) {
            self.status = Some(status);
        }
    }
}

/// The times of many orders as the arrays of a statement.
#[derive(Default)]
struct TimeColumns {
    paid: Vec<Option<DateTime<Utc>>>,
    processing: Vec<Option<DateTime<Utc>>>,
    shipped: Vec<Option<DateTime<Utc>>>,
    delivered: Vec<Option<DateTime<Utc>>>,
    cancelled: Vec<Option<DateTime<Utc>>>,
    refunded: Vec<Option<DateTime<Utc>>>,
}

impl TimeColumns {
    fn push(&mut self, times: &Times) {
        self.paid.push(times.paid);
        self.processing.push(times.processing);
        self.shipped.push(times.shipped);
        self.delivered.push(times.delivered);
        self.cancelled.push(times.cancelled);
        self.refunded.push(times.refunded);
    }
}

async fn insert_orders(transaction: &mut PgConnection, changes: &Changes<'_>) -> Result<(), ApplyError> {
    let (mut ids, mut customers, mut countries, mut currencies) = (vec![], vec![], vec![], vec![]);
    let (mut statuses, mut totals, mut lines, mut units) = (vec![], vec![], vec![], vec![]);
    let (mut placed_at, mut times) = (vec![], TimeColumns::default());
    for (order_id, change) in changes {
        let Some((placed, at)) = change.placed else { continue };
        ids.push(*order_id);
        customers.push(placed.customer_id.as_ref().map(|customer| customer.as_str()));
        countries.push(placed.country.code().as_str());
        currencies.push(placed.total.currency().to_string());
        statuses.push(change.status.unwrap_or("pending"));
        totals.push(placed.total.amount());
        lines.push(i64::try_from(placed.lines.len()).unwrap_or(i64::MAX));
        units.push(placed.lines.iter().map(|line| i64::from(line.quantity.units())).sum::<i64>());
        placed_at.push(at);
        times.push(&change.times);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO analytics_orders (order_id, customer_id, country, currency, status, total, lines, units,
                                       placed_at, paid_at, processing_at, shipped_at, delivered_at,
                                       cancelled_at, refunded_at)
         SELECT * FROM UNNEST($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[],
                              $7::bigint[], $8::bigint[], $9::timestamptz[], $10::timestamptz[],
                              $11::timestamptz[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[],
                              $15::timestamptz[])",
        &ids,
        &customers as _,
        &countries as _,
        &currencies,
        &statuses as _,
        &totals,
        &lines,
        &units,
        &placed_at,
        &times.paid as _,
        &times.processing as _,
        &times.shipped as _,
        &times.delivered as _,
        &times.cancelled as _,
        &times.refunded as _
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn update_orders(transaction: &mut PgConnection, changes: &Changes<'_>) -> Result<(), ApplyError> {
    let (mut ids, mut statuses, mut times) = (vec![], vec![], TimeColumns::default());
    for (order_id, change) in changes.iter().filter(|(_, change)| change.placed.is_none()) {
        ids.push(*order_id);
        statuses.push(change.status);
        times.push(&change.times);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE analytics_orders AS o
         SET status = CASE WHEN o.status = 'refunded' AND c.status = 'delivered' THEN o.status
                           ELSE coalesce(c.status, o.status) END,
             paid_at = coalesce(c.paid, o.paid_at), processing_at = coalesce(c.processing, o.processing_at),
             shipped_at = coalesce(c.shipped, o.shipped_at),
             delivered_at = coalesce(c.delivered, o.delivered_at),
             cancelled_at = coalesce(c.cancelled, o.cancelled_at),
             refunded_at = coalesce(c.refunded, o.refunded_at)
         FROM UNNEST($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[],
                     $6::timestamptz[], $7::timestamptz[], $8::timestamptz[])
              AS c (order_id, status, paid, processing, shipped, delivered, cancelled, refunded)
         WHERE o.order_id = c.order_id",
        &ids,
        &statuses as _,
        &times.paid as _,
        &times.processing as _,
        &times.shipped as _,
        &times.delivered as _,
        &times.cancelled as _,
        &times.refunded as _
    )
    .execute(transaction)
    .await?;
    Ok(())
}
