use super::lost_sales::LostSales;
use super::rollups::Rollups;
use super::sale::Sale;
use crate::fact::{Fact, Subject};
use crate::pace::UNHURRIED;
use crate::projection::{ApplyError, Home, Projection};
use domain::OrderId;
use domain::order::Event;
use sqlx::PgConnection;
use sqlx::types::Json;
use std::collections::BTreeMap;
use std::time::Duration;
use uuid::Uuid;

/// Revenue gross and refunded, by SKU, merchant, country and currency, from the minute to the month; and what stock
/// refused to sell.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnalyticsSales;

/// An order as this projection keeps it.
struct Sold {
    sale: Sale,
    is_paid: bool,
    /// Since it was paid.
    refunded: i64,
    was_known: bool,
    has_changed: bool,
}

type SoldOrders = BTreeMap<Uuid, Sold>;

impl Projection for AnalyticsSales {
    const NAME: &'static str = "analytics_sales";
    const VERSION: i32 = 2;
    const WANTS: &'static [&'static str] = &[
        "order.placed",
        "order.reservations_answered",
        "order.paid",
        "order.refund_recorded",
        "order.refund_found",
        "order.refund_failed",
    ];
    const TABLES: &'static [&'static str] = &[
        "analytics_sales_minutes",
        "analytics_sales_quarters",
        "analytics_sales_days",
        "analytics_sales_months",
        "analytics_sku_days",
        "analytics_sku_months",
        "analytics_sold_orders",
        "analytics_lost_sales",
    ];
    const STREAM_COLUMN: Option<&'static str> = None;
    const HOME: Home = Home::Analytics;
    const LEAST_REST: Duration = UNHURRIED;

    async fn apply(&self, transaction: &mut PgConnection, facts: &[Fact]) -> Result<(), ApplyError> {
        let mut orders = read_orders(transaction, facts).await?;
        let (mut rollups, mut lost) = (Rollups::default(), LostSales::default());
        for fact in facts {
            let Subject::Order(OrderId(order_id), event) = &fact.subject else { continue };
            if let Event::Placed(placed) = event {
                orders.insert(*order_id, Sold::of(Sale::of(placed)));
                continue;
            }
            if !concerns_sale(event) {
                continue;
            }
            let sold = orders
                .get_mut(order_id)
                .ok_or(ApplyError::UnknownOrder { order_id: OrderId(*order_id), position: fact.position })?;
            match event {
                Event::ReservationsAnswered(answered) => lost.add(*order_id, &sold.sale, answered, fact),
                Event::Paid(_) => {
                    sold.is_paid = true;
                    sold.has_changed = true;
                    rollups.sold(&sold.sale, fact.occurred_at);
                }
                Event::RefundRecorded(refund) => sold.give_back(refund.amount.amount(), fact, &mut rollups),
                Event::RefundFound(refund) => sold.give_back(refund.amount.amount(), fact, &mut rollups),
                Event::RefundFailed(refund) => sold.give_back(-refund.amount.amount(), fact, &mut rollups),
                Event::Placed(_)
                | Event::PaymentRecorded(_)
                | Event::PaymentRequested(_)
                | Event::PaymentStarted(_)
                | Event::PaymentAuthorized(_)
                | Event::PaymentDeclined(_)
                | Event::PaymentCaptured(_)
                | Event::PaymentVoided(_)
                | Event::StockCommitted(_)
                | Event::ProcessingStarted(_)
                | Event::ShipmentSent(_)
                | Event::ShipmentDelivered(_)
                | Event::Shipped(_)
                | Event::StockShipped(_)
                | Event::StockParted(_)
                | Event::RestCancelled(_)
                | Event::Delivered(_)
                | Event::Cancelled(_)
                | Event::StockReleased(_)
                | Event::RefundRequested(_)
                | Event::RefundRefused(_)
                | Event::Refunded(_) => {}
            }
        }
        rollups.write(transaction).await?;
        lost.write(transaction).await?;
        insert_orders(transaction, &orders).await?;
        update_orders(transaction, &orders).await
    }
}

impl Sold {
    fn of(sale: Sale) -> Self {
        Self { sale, is_paid: false, refunded: 0, was_known: false, has_changed: false }
    }

    /// Money of an order that was never paid was never revenue.
    fn give_back(&mut self, amount: i64, fact: &Fact, rollups: &mut Rollups) {
        if self.is_paid {
            let before = self.refunded;
            self.refunded += amount;
            self.has_changed = true;
            rollups.refunded(&self.sale, fact.occurred_at, before, self.refunded);
        }
    }
}

/// Whether it cannot be understood without knowing what the order sells. Most answers of stock are not about a refusal.
fn concerns_sale(event: &Event) -> bool {
    match event {
        Event::ReservationsAnswered(answered) => !answered.refused.is_empty(),
        Event::Paid(_) | Event::RefundRecorded(_) | Event::RefundFound(_) | Event::RefundFailed(_) => true,
        Event::Placed(_)
        | Event::PaymentRecorded(_)
        | Event::PaymentRequested(_)
        | Event::PaymentStarted(_)
        | Event::PaymentAuthorized(_)
        | Event::PaymentDeclined(_)
        | Event::PaymentCaptured(_)
        | Event::PaymentVoided(_)
        | Event::StockCommitted(_)
        | Event::ProcessingStarted(_)
        | Event::ShipmentSent(_)
        | Event::ShipmentDelivered(_)
        | Event::Shipped(_)
        | Event::StockShipped(_)
        | Event::StockParted(_)
        | Event::RestCancelled(_)
        | Event::Delivered(_)
        | Event::Cancelled(_)
        | Event::StockReleased(_)
        | Event::RefundRequested(_)
        | Event::RefundRefused(_)
        | Event::Refunded(_) => false,
    }
}

/// The orders of earlier batches that this one is about.
async fn read_orders(transaction: &mut PgConnection, facts: &[Fact]) -> Result<SoldOrders, ApplyError> {
    let mut ids: Vec<Uuid> = facts
        .iter()
        .filter_map(|fact| match &fact.subject {
            Subject::Order(OrderId(order_id), event) if concerns_sale(event) => Some(*order_id),
            _ => None,
        })
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(SoldOrders::new());
    }
    let rows = sqlx::query!(
        r#"SELECT order_id, sale AS "sale: Json<Sale>", is_paid, refunded
           FROM analytics_sold_orders WHERE order_id = ANY($1)"#,
        &ids
    )
    .fetch_all(transaction)
    .await?;
    let sold = rows.into_iter().map(|row| {
        let sold = Sold {
            sale: row.sale.0,
            is_paid: row.is_paid,
            refunded: row.refunded,
            was_known: true,
            has_changed: false,
        };
        (row.order_id, sold)
    });
    Ok(sold.collect())
}

async fn insert_orders(transaction: &mut PgConnection, orders: &SoldOrders) -> Result<(), ApplyError> {
    let (mut ids, mut sales, mut paid, mut refunded) = (vec![], vec![], vec![], vec![]);
    for (order_id, sold) in orders.iter().filter(|(_, sold)| !sold.was_known) {
        ids.push(*order_id);
        sales.push(serde_json::to_value(&sold.sale)?);
        paid.push(sold.is_paid);
        refunded.push(sold.refunded);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO analytics_sold_orders (order_id, sale, is_paid, refunded)
         SELECT * FROM UNNEST($1::uuid[], $2::jsonb[], $3::bool[], $4::bigint[])",
        &ids,
        &sales,
        &paid,
        &refunded
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn update_orders(transaction: &mut PgConnection, orders: &SoldOrders) -> Result<(), ApplyError> {
    let (mut ids, mut paid, mut refunded) = (vec![], vec![], vec![]);
    for (order_id, sold) in orders.iter().filter(|(_, sold)| sold.was_known && sold.has_changed) {
        ids.push(*order_id);
        paid.push(sold.is_paid);
        refunded.push(sold.refunded);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE analytics_sold_orders AS o SET is_paid = c.is_paid, refunded = c.refunded
         FROM UNNEST($1::uuid[], $2::bool[], $3::bigint[]) AS c (order_id, is_paid, refunded)
         WHERE o.order_id = c.order_id",
        &ids,
        &paid,
        &refunded
    )
    .execute(transaction)
    .await?;
    Ok(())
}
