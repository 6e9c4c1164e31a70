//! Carts, from the first line to checkout.

use crate::{Amount, AtMost, schema};
use chrono::{DateTime, Utc};
use domain::order::CancelReason;
use domain::{CartId, CountryCode, Currency, CustomerId, LineId, Money, OrderId, Quantity, Sku};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Lines that one request may put or remove.
pub const MAX_LINES_OF_A_REQUEST: usize = 500;

/// Opens a cart.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenCart {
    #[schema(value_type = schema::Currency)]
    pub currency: Currency,
    /// A guest has none.
    #[schema(value_type = Option<schema::CustomerId>)]
    pub customer_id: Option<CustomerId>,
}

/// The cart that was opened or abandoned.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CartChanged {
    #[schema(value_type = schema::CartId)]
    pub cart_id: CartId,
}

/// Puts lines into a cart, or changes those that are there.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutLines {
    #[schema(value_type = Vec<PutLine>, max_items = 500)]
    pub lines: AtMost<MAX_LINES_OF_A_REQUEST, PutLine>,
}

/// One line. A line with the id of one that is there takes its place.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PutLine {
    /// A new one if it is left out.
    #[schema(value_type = Option<schema::LineId>)]
    pub line_id: Option<LineId>,
    #[schema(value_type = schema::Sku)]
    pub sku: Sku,
    #[schema(value_type = schema::Quantity)]
    pub quantity: Quantity,
    /// A price that was agreed with the customer; only the operator may give one.
    #[schema(value_type = Option<schema::Money>)]
    pub agreed_unit_price: Option<Money>,
}

/// Removes lines from a cart.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RemoveLines {
    #[schema(value_type = Vec<schema::LineId>, max_items = 500)]
    pub line_ids: AtMost<MAX_LINES_OF_A_REQUEST, LineId>,
}

/// The lines that were put or removed, in the order of the request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LinesChanged {
    #[schema(value_type = Vec<schema::LineId>)]
    pub line_ids: Vec<LineId>,
}

/// Sets what sending the cart costs.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SetShipping {
    #[schema(value_type = schema::Money)]
    pub charge: Money,
}

/// What sending the cart costs now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShippingSet {
    #[schema(value_type = schema::CartId)]
    pub cart_id: CartId,
    #[schema(value_type = schema::Money)]
    pub shipping: Money,
}

/// Makes an order of the cart.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckOut {
    /// What the shopper saw: where the cart comes to another total, nothing is ordered.
    #[schema(value_type = schema::Money)]
    pub total: Money,
    #[schema(value_type = schema::CountryCode)]
    pub country: CountryCode,
    /// How long the order may wait for its payment; the shop's own time if it is left out. Only an operator lets it wait
    /// longer than that.
    pub hold_seconds: Option<u32>,
}

/// The order that a cart became.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CheckedOut {
    #[schema(value_type = schema::OrderId)]
    pub order_id: OrderId,
    pub status: String,
    /// Why it was cancelled, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cancel_reason: Option<CancelReason>,
    /// SKUs that are held only when the payment is authorised.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<schema::Sku>)]
    pub held_at_payment: Vec<Sku>,
}

/// Which carts a list has.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct CartFilter {
    /// `open`, `checked_out` or `abandoned`.
    pub status: Option<String>,
    /// Rows of the page: 1 to 500, 50 if it does not say.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A cart. `total` is the sum of the lines at the prices that the shopper saw and of the charge for sending; from
/// checkout on, what was locked.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Cart {
    pub cart_id: Uuid,
    pub status: String,
    pub currency: String,
    pub customer_id: Option<String>,
    /// The order that it became.
    pub order_id: Option<Uuid>,
    pub country: Option<String>,
    pub line_count: i64,
    pub units: i64,
    /// For sending it, a part of the total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<Amount>,
    pub total: Amount,
    pub opened_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    /// Of its stream: one more with each change.
    pub revision: i64,
    /// Not in a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Vec<CartLine>>,
}

/// A line of a cart.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct CartLine {
    pub line_id: Uuid,
    pub sku: String,
    pub quantity: i64,
    pub unit_price: Amount,
    pub amount: Amount,
    /// Whether the price was agreed with the customer.
    pub agreed: bool,
}
