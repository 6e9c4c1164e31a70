//! All that is known of one order.

use super::orders::{OrderRow, OrderView};
use crate::answer::MoneyView;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;
use sqlx::types::Json;
use std::collections::BTreeMap;
use uuid::Uuid;

#[derive(Serialize)]
pub struct OrderPage {
    #[serde(flatten)]
    pub order: OrderView,
    pub lines: Vec<LineView>,
    /// What stock last answered, for each SKU.
    pub stock: Vec<StockView>,
    pub payments: Vec<PaymentView>,
    pub refunds: Vec<RefundView>,
    pub shipments: Vec<ShipmentView>,
    pub history: Vec<HistoryView>,
}

#[derive(Serialize)]
pub struct LineView {
    pub line_id: Uuid,
    pub sku: String,
    pub merchant_id: String,
    pub name: String,
    pub quantity: i64,
    /// Units that will not be sent.
    #[serde(skip_serializing_if = "is_zero")]
    pub given_up: i64,
    pub unit_price: MoneyView,
    pub amount: MoneyView,
}

#[derive(Serialize)]
pub struct StockView {
    pub sku: String,
    pub quantity: i64,
    /// unanswered, held, refused, committed, shipped, released
    pub phase: String,
    /// What was there when it refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<u64>,
    /// Units that left while others stayed, or were given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shipped: Option<u64>,
    /// Units that were given up and that stock has back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub released: Option<u64>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(units: &i64) -> bool {
    *units == 0
}

#[derive(Serialize)]
pub struct PaymentView {
    pub payment_id: Uuid,
    pub amount: MoneyView,
    /// recorded, requested, started, requires_action, authorized, declined, captured, voided
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How the payment gateway names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Where the shopper must go while it is `requires_action`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
    /// Why it was declined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    pub occurred_at: DateTime<Utc>,
}

#[derive(Serialize)]
pub struct RefundView {
    pub refund_id: Uuid,
    /// The payment that the gateway takes it from; none if people gave it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Uuid>,
    pub amount: MoneyView,
    /// requested, done, refused
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why the gateway would not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    pub occurred_at: DateTime<Utc>,
}

#[derive(Serialize)]
pub struct ShipmentView {
    pub shipment_id: Uuid,
    pub merchant_id: String,
    pub lines: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tracking: Option<serde_json::Value>,
    pub sent_at: DateTime<Utc>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<DateTime<Utc>>,
}

#[derive(Serialize)]
pub struct HistoryView {
    pub revision: i64,
    pub position: i64,
    #[serde(rename = "type")]
    pub event_type: String,
    pub summary: String,
    pub actor: String,
    pub occurred_at: DateTime<Utc>,
}

/// As the projection writes it.
#[derive(Deserialize)]
struct StockAnswer {
    sku: String,
    phase: String,
    available: Option<u64>,
    shipped: Option<u64>,
    released: Option<u64>,
}

/// Reads everything from one snapshot.
pub async fn read(snapshot: &mut PgConnection, order_id: Uuid) -> Result<Option<OrderPage>, sqlx::Error> {
    let order = sqlx::query_as!(
        OrderRow,
        r#"SELECT order_id, cart_id, customer_id, country, currency, status, shipping, total, paid, refunded, lines,
                units, cancel_reason, placed_at, changed_at, revision,
                CASE WHEN o.cancel_reason IS NOT NULL THEN greatest(o.paid - o.refunded - r.requested, 0)
                     ELSE greatest(least(o.owed_by_hand - r.by_hand, o.paid - o.refunded - r.requested), 0)
                END AS "to_refund!"
         FROM orders AS o
         CROSS JOIN LATERAL (
             SELECT coalesce(sum(amount) FILTER (WHERE status = 'requested'), 0)::bigint AS requested,
                    coalesce(sum(amount) FILTER (WHERE payment_id IS NULL AND status = 'done'), 0)::bigint AS by_hand
             FROM order_refunds WHERE order_id = o.order_id
         ) AS r
         WHERE order_id = $1"#,
        order_id
    )
    .fetch_optional(&mut *snapshot)
    .await?;
    let Some(order) = order else { return Ok(None) };
    let lines = lines(snapshot, order_id, &order.currency).await?;
    Ok(Some(OrderPage {
        stock: stock(snapshot, order_id, &lines).await?,
        payments: payments(snapshot, order_id).await?,
        refunds: refunds(snapshot, order_id).await?,
        shipments: shipments(snapshot, order_id).await?,
        history: history(snapshot, order_id).await?,
        order: order.into(),
        lines,
    }))
}

async fn lines(
    snapshot: &mut PgConnection,
    order_id: Uuid,
    currency: &str,
) -> Result<Vec<LineView>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT line_id, sku, merchant_id, name, quantity, given_up, unit_price
         FROM order_lines WHERE order_id = $1 ORDER BY number",
        order_id
    )
    .fetch_all(snapshot)
    .await?;
    let lines = rows.into_iter().map(|row| LineView {
        line_id: row.line_id,
        sku: row.sku,
        merchant_id: row.merchant_id,
        name: row.name,
        quantity: row.quantity,
        given_up: row.given_up,
        unit_price: MoneyView::new(row.unit_price, currency),
        amount: MoneyView::new(row.quantity.saturating_mul(row.unit_price), currency),
    });
    Ok(lines.collect())
}

async fn stock(
    snapshot: &mut PgConnection,
    order_id: Uuid,
    lines: &[LineView],
) -> Result<Vec<StockView>, sqlx::Error> {
    let mut stock: BTreeMap<&str, StockView> = BTreeMap::new();
    for line in lines {
        let of_sku = stock.entry(&line.sku).or_insert_with(|| StockView {
            sku: line.sku.clone(),
            quantity: 0,
            phase: "unanswered".to_owned(),
            available: None,
            shipped: None,
            released: None,
        });
        of_sku.quantity += line.quantity;
    }
    let answers = sqlx::query_scalar!(
        r#"SELECT answers AS "answers: Json<Vec<StockAnswer>>"
           FROM order_stock_answers WHERE order_id = $1 ORDER BY revision"#,
        order_id
    )
    .fetch_all(snapshot)
    .await?;
    for answer in answers.into_iter().flat_map(|answers| answers.0) {
        if let Some(of_sku) = stock.get_mut(answer.sku.as_str()) {
            of_sku.phase = answer.phase;
            (of_sku.available, of_sku.shipped, of_sku.released) =
                (answer.available, answer.shipped, answer.released);
        }
    }
    Ok(stock.into_values().collect())
}

async fn payments(snapshot: &mut PgConnection, order_id: Uuid) -> Result<Vec<PaymentView>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT payment_id, amount, currency, method, reference, status, intent, failure, occurred_at,
                CASE status WHEN 'requires_action' THEN redirect_url END AS redirect_url
         FROM order_payments WHERE order_id = $1 ORDER BY revision",
        order_id
    )
    .fetch_all(snapshot)
    .await?;
    let payments = rows.into_iter().map(|row| PaymentView {
        payment_id: row.payment_id,
        amount: MoneyView::new(row.amount, &row.currency),
        status: row.status,
        method: row.method,
        reference: row.reference,
        intent: row.intent,
        redirect_url: row.redirect_url,
        failure: row.failure,
        occurred_at: row.occurred_at,
    });
    Ok(payments.collect())
}

async fn refunds(snapshot: &mut PgConnection, order_id: Uuid) -> Result<Vec<RefundView>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT refund_id, payment_id, amount, currency, reference, status, failure, occurred_at
         FROM order_refunds WHERE order_id = $1 ORDER BY revision",
        order_id
    )
    .fetch_all(snapshot)
    .await?;
    let refunds = rows.into_iter().map(|row| RefundView {
        refund_id: row.refund_id,
        payment_id: row.payment_id,
        amount: MoneyView::new(row.amount, &row.currency),
        status: row.status,
        reference: row.reference,
        failure: row.failure,
        occurred_at: row.occurred_at,
    });
    Ok(refunds.collect())
}

async fn shipments(snapshot: &mut PgConnection, order_id: Uuid) -> Result<Vec<ShipmentView>, sqlx::Error> {
    sqlx::query_as!(
        ShipmentView,
        "SELECT shipment_id, merchant_id, lines, tracking, sent_at, delivered_at
         FROM order_shipments WHERE order_id = $1 ORDER BY revision",
        order_id
    )
    .fetch_all(snapshot)
    .await
}

async fn history(snapshot: &mut PgConnection, order_id: Uuid) -> Result<Vec<HistoryView>, sqlx::Error> {
    sqlx::query_as!(
        HistoryView,
        "SELECT revision, position, event_type, summary, actor, occurred_at
         FROM order_history WHERE order_id = $1 ORDER BY revision",
        order_id
    )
    .fetch_all(snapshot)
    .await
}
