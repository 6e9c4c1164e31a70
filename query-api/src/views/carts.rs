//! Carts as the read model has them.

use api::Amount;
use api::carts::{Cart, CartLine};
use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

/// A row of the list.
pub struct CartRow {
    pub cart_id: Uuid,
    pub status: String,
    pub currency: String,
    pub customer_id: Option<String>,
    pub order_id: Option<Uuid>,
    pub country: Option<String>,
    pub opened_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    pub revision: i64,
    pub line_count: i64,
    pub units: i64,
    pub shipping: Option<i64>,
    pub total: i64,
}

impl From<CartRow> for Cart {
    fn from(row: CartRow) -> Self {
        Self {
            shipping: row.shipping.map(|shipping| Amount::new(shipping, &row.currency)),
            total: Amount::new(row.total, &row.currency),
            cart_id: row.cart_id,
            status: row.status,
            currency: row.currency,
            customer_id: row.customer_id,
            order_id: row.order_id,
            country: row.country,
            line_count: row.line_count,
            units: row.units,
            opened_at: row.opened_at,
            changed_at: row.changed_at,
            revision: row.revision,
            lines: None,
        }
    }
}

/// A cart with its lines, from one snapshot.
pub async fn read(snapshot: &mut PgConnection, cart_id: Uuid) -> Result<Option<Cart>, sqlx::Error> {
    let cart = sqlx::query!(
        "SELECT status, currency, customer_id, order_id, country, shipping, total, opened_at, changed_at,
                revision
         FROM carts WHERE cart_id = $1",
        cart_id
    )
    .fetch_optional(&mut *snapshot)
    .await?;
    let Some(cart) = cart else { return Ok(None) };
    let lines = sqlx::query!(
        "SELECT line_id, sku, quantity, unit_price, agreed FROM cart_lines WHERE cart_id = $1 ORDER BY added",
        cart_id
    )
    .fetch_all(snapshot)
    .await?;
    let lines: Vec<CartLine> = lines
        .into_iter()
        .map(|line| CartLine {
            line_id: line.line_id,
            sku: line.sku,
            quantity: line.quantity,
            unit_price: Amount::new(line.unit_price, &cart.currency),
            amount: Amount::new(line.quantity.saturating_mul(line.unit_price), &cart.currency),
            agreed: line.agreed,
        })
        .collect();
    let sum =
        lines.iter().fold(cart.shipping.unwrap_or(0), |sum, line| sum.saturating_add(line.amount.amount));
    Ok(Some(Cart {
        cart_id,
        status: cart.status,
        shipping: cart.shipping.map(|shipping| Amount::new(shipping, &cart.currency)),
        total: Amount::new(cart.total.unwrap_or(sum), &cart.currency),
        currency: cart.currency,
        customer_id: cart.customer_id,
        order_id: cart.order_id,
        country: cart.country,
        line_count: i64::try_from(lines.len()).unwrap_or(i64::MAX),
        units: lines.iter().map(|line| line.quantity).sum(),
        opened_at: cart.opened_at,
        changed_at: cart.changed_at,
        revision: cart.revision,
        lines: Some(lines),
    }))
}
