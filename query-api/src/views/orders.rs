//! All that is known of one order.

use api::Amount;
use api::orders::{Order, OrderEvent, OrderLine, OrderStock, OrderSummary, Payment, Refund, Shipment};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use sqlx::PgConnection;
use sqlx::types::Json;
use std::collections::BTreeMap;
use uuid::Uuid;

/// A row of the list.
pub struct OrderRow {
    pub order_id: Uuid,
    pub cart_id: Uuid,
    pub customer_id: Option<String>,
    pub country: String,
    pub currency: String,
    pub status: String,
    pub shipping: Option<i64>,
    pub total: i64,
    pub paid: i64,
    pub refunded: i64,
    pub to_refund: i64,
    pub lines: i64,
    pub units: i64,
    pub cancel_reason: Option<serde_json::Value>,
    pub placed_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub revision: i64,
}

impl From<OrderRow> for OrderSummary {
    fn from(row: OrderRow) -> Self {
        Self {
            shipping: row.shipping.map(|shipping| Amount::new(shipping, &row.currency)),
            total: Amount::new(row.total, &row.currency),
            paid: Amount::new(row.paid, &row.currency),
            refunded: Amount::new(row.refunded, &row.currency),
            to_refund: (row.to_refund > 0).then(|| Amount::new(row.to_refund, &row.currency)),
            order_id: row.order_id,
            cart_id: row.cart_id,
            customer_id: row.customer_id,
            country: row.country,
            status: row.status,
            line_count: row.lines,
            units: row.units,
            cancel_reason: row.cancel_reason,
            placed_at: row.placed_at,
            changed_at: row.changed_at,
            revision: row.revision,
        }
    }
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
pub async fn read(snapshot: &mut PgConnection, order_id: Uuid) -> Result<Option<Order>, sqlx::Error> {
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
    Ok(Some(Order {
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
) -> Result<Vec<OrderLine>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT line_id, sku, merchant_id, name, quantity, given_up, unit_price
         FROM order_lines WHERE order_id = $1 ORDER BY number",
        order_id
    )
    .fetch_all(snapshot)
    .await?;
    let lines = rows.into_iter().map(|row| OrderLine {
        line_id: row.line_id,
        sku: row.sku,
        merchant_id: row.merchant_id,
        name: row.name,
        quantity: row.quantity,
        given_up: row.given_up,
        unit_price: Amount::new(row.unit_price, currency),
        amount: Amount::new(row.quantity.saturating_mul(row.unit_price), currency),
    });
    Ok(lines.collect())
}

async fn stock(
    snapshot: &mut PgConnection,
    order_id: Uuid,
    lines: &[OrderLine],
) -> Result<Vec<OrderStock>, sqlx::Error> {
    let mut stock: BTreeMap<&str, OrderStock> = BTreeMap::new();
    for line in lines {
        let of_sku = stock.entry(&line.sku).or_insert_with(|| OrderStock {
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

async fn payments(snapshot: &mut PgConnection, order_id: Uuid) -> Result<Vec<Payment>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT payment_id, amount, currency, method, reference, status, intent, failure, occurred_at,
                CASE status WHEN 'requires_action' THEN redirect_url END AS redirect_url
         FROM order_payments WHERE order_id = $1 ORDER BY revision",
        order_id
    )
    .fetch_all(snapshot)
    .await?;
    let payments = rows.into_iter().map(|row| Payment {
        payment_id: row.payment_id,
        amount: Amount::new(row.amount, &row.currency),
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

async fn refunds(snapshot: &mut PgConnection, order_id: Uuid) -> Result<Vec<Refund>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT refund_id, payment_id, amount, currency, reference, status, failure, occurred_at
         FROM order_refunds WHERE order_id = $1 ORDER BY revision",
        order_id
    )
    .fetch_all(snapshot)
    .await?;
    let refunds = rows.into_iter().map(|row| Refund {
        refund_id: row.refund_id,
        payment_id: row.payment_id,
        amount: Amount::new(row.amount, &row.currency),
        status: row.status,
        reference: row.reference,
        failure: row.failure,
        occurred_at: row.occurred_at,
    });
    Ok(refunds.collect())
}

async fn shipments(snapshot: &mut PgConnection, order_id: Uuid) -> Result<Vec<Shipment>, sqlx::Error> {
    sqlx::query_as!(
        Shipment,
        "SELECT shipment_id, merchant_id, lines, tracking, sent_at, delivered_at
         FROM order_shipments WHERE order_id = $1 ORDER BY revision",
        order_id
    )
    .fetch_all(snapshot)
    .await
}

async fn history(snapshot: &mut PgConnection, order_id: Uuid) -> Result<Vec<OrderEvent>, sqlx::Error> {
    sqlx::query_as!(
        OrderEvent,
        "SELECT revision, position, event_type, summary, actor, occurred_at
         FROM order_history WHERE order_id = $1 ORDER BY revision",
        order_id
    )
    .fetch_all(snapshot)
    .await
}
