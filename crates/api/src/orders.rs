//! Orders: what became of a cart.

use crate::{Amount, schema};
use chrono::{DateTime, Utc};
use domain::order::CancelReason;
use domain::{MerchantId, Money, OrderId, Reason};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

pub use crate::payments::{Payment, Refund};
pub use crate::shipments::Shipment;

/// Cancels a whole order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelOrder {
    #[schema(value_type = schema::Reason)]
    pub reason: Reason,
}

/// Cancels what has not been shipped.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelUnshipped {
    #[schema(value_type = schema::Reason)]
    pub reason: Reason,
    /// Whose part; everybody's if it is left out.
    #[schema(value_type = Option<schema::MerchantId>)]
    pub merchant_id: Option<MerchantId>,
    /// What is refunded; the price of the units if it is left out.
    #[schema(value_type = Option<schema::Money>)]
    pub refund: Option<Money>,
}

/// How an order stands after a command.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderChanged {
    #[schema(value_type = schema::OrderId)]
    pub order_id: OrderId,
    pub status: String,
    /// Why it was cancelled, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cancel_reason: Option<CancelReason>,
}

/// Which orders a list has. `from` and `to` are about the time at which the order was placed: a day or a moment.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct OrderFilter {
    /// Orders of this status.
    pub status: Option<String>,
    /// Orders to this country.
    pub country: Option<String>,
    /// Orders of this customer.
    pub customer_id: Option<String>,
    /// The first day, or a moment.
    pub from: Option<String>,
    /// The last day, itself inside; or a moment, itself outside.
    pub to: Option<String>,
    /// Those that people must refund by hand, or all others.
    pub to_refund: Option<bool>,
    /// Rows of the page: 1 to 500, 50 if it does not say.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// An order in a list.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderSummary {
    pub order_id: Uuid,
    pub cart_id: Uuid,
    pub customer_id: Option<String>,
    pub country: String,
    /// `pending`, `paid`, `processing`, `shipped`, `delivered`, `cancelled` or `refunded`.
    pub status: String,
    /// For sending it, a part of the total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<Amount>,
    pub total: Amount,
    pub paid: Amount,
    pub refunded: Amount,
    /// What people must refund by hand: the payment gateway does not, or would not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_refund: Option<Amount>,
    pub line_count: i64,
    pub units: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cancel_reason: Option<serde_json::Value>,
    pub placed_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    /// Of its stream: one more with each change.
    pub revision: i64,
}

/// All that is known of one order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Order {
    #[serde(flatten)]
    pub order: OrderSummary,
    pub lines: Vec<OrderLine>,
    /// What stock last answered, for each SKU.
    pub stock: Vec<OrderStock>,
    pub payments: Vec<Payment>,
    pub refunds: Vec<Refund>,
    pub shipments: Vec<Shipment>,
    pub history: Vec<OrderEvent>,
}

/// A line of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderLine {
    pub line_id: Uuid,
    pub sku: String,
    pub merchant_id: String,
    pub name: String,
    pub quantity: i64,
    /// Units that were cancelled before they were shipped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub given_up: i64,
    pub unit_price: Amount,
    pub amount: Amount,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_zero(units: &i64) -> bool {
    *units == 0
}

/// What stock last answered for a SKU of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderStock {
    pub sku: String,
    pub quantity: i64,
    /// `unanswered`, `held`, `refused`, `at_payment`, `committed`, `shipped` or `released`.
    pub phase: String,
    /// What was there when it refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<u64>,
    /// Units that were shipped while others were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipped: Option<u64>,
    /// Units that were cancelled and that stock has back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub released: Option<u64>,
}

/// An event of an order, for people.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrderEvent {
    pub revision: i64,
    pub position: i64,
    #[serde(rename = "type")]
    pub event_type: String,
    /// One line.
    pub summary: String,
    pub actor: String,
    /// Business time.
    pub occurred_at: DateTime<Utc>,
}
