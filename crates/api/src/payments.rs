//! Money of an order: payments and refunds.

use crate::{Amount, schema};
use chrono::{DateTime, Utc};
use domain::order::CancelReason;
use domain::{
    DeclineCode, Money, OrderId, PaymentId, PaymentMethod, PaymentToken, Reason, Reference, RefundId,
    WebAddress,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

/// Pays an order: through the payment gateway with `payment_method`, or recorded by an operator with `method` and
/// `reference`.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Pay {
    #[schema(value_type = schema::Money)]
    pub amount: Money,
    /// A token of the payment gateway.
    #[schema(value_type = Option<schema::PaymentToken>)]
    pub payment_method: Option<PaymentToken>,
    /// Where the shopper's browser comes back to, should the gateway send it to a page of the shopper's bank.
    #[schema(value_type = Option<schema::WebAddress>)]
    pub return_url: Option<WebAddress>,
    #[schema(value_type = Option<schema::PaymentMethod>)]
    pub method: Option<PaymentMethod>,
    #[schema(value_type = Option<schema::Reference>)]
    pub reference: Option<Reference>,
    /// Names the payment: a second one with the same id is the same one.
    #[schema(value_type = Option<schema::PaymentId>)]
    pub payment_id: Option<PaymentId>,
}

/// What became of a payment request.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Paid {
    /// Through the payment gateway.
    ThroughGateway(PaymentOutcome),
    /// An operator recorded it.
    Recorded(PaymentRecorded),
}

/// How a payment through the payment gateway stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PaymentOutcome {
    #[schema(value_type = schema::OrderId)]
    pub order_id: OrderId,
    #[schema(value_type = schema::PaymentId)]
    pub payment_id: PaymentId,
    /// `requested`, `started`, `requires_action`, `authorized`, `declined`, `captured` or `voided`.
    pub payment_status: Option<String>,
    /// Where the shopper must go while it is `requires_action`.
    #[schema(value_type = Option<schema::WebAddress>)]
    pub redirect_url: Option<WebAddress>,
    /// Of the order.
    pub status: String,
    /// What is still to be paid.
    #[schema(value_type = Option<schema::Money>)]
    pub due: Option<Money>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cancel_reason: Option<CancelReason>,
    /// Why it was declined, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub decline_code: Option<DeclineCode>,
    /// Why it was declined, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub failure: Option<Reason>,
}

/// A payment that an operator recorded, and how the order stands.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PaymentRecorded {
    #[schema(value_type = schema::PaymentId)]
    pub payment_id: PaymentId,
    #[schema(value_type = schema::OrderId)]
    pub order_id: OrderId,
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cancel_reason: Option<CancelReason>,
}

/// Refunds money of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RefundOrder {
    #[schema(value_type = schema::Money)]
    pub amount: Money,
    /// With it people refunded the money; without it the payment gateway is asked to.
    #[schema(value_type = Option<schema::Reference>)]
    pub reference: Option<Reference>,
    /// Names the refund: a second one with the same id is the same one.
    #[schema(value_type = Option<schema::RefundId>)]
    pub refund_id: Option<RefundId>,
}

/// How a refund and its order stand after a command.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RefundChanged {
    #[schema(value_type = schema::OrderId)]
    pub order_id: OrderId,
    /// Of the order.
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub cancel_reason: Option<CancelReason>,
    /// None where nothing is refunded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::RefundId>)]
    pub refund_id: Option<RefundId>,
    /// `requested`, `done`, `refused` or `failed`: of the part that needs somebody most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_status: Option<String>,
    /// Each payment that the refund takes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refunds: Option<Vec<RefundPart>>,
}

/// What a refund takes from one payment.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RefundPart {
    #[schema(value_type = Option<schema::PaymentId>)]
    pub payment_id: Option<PaymentId>,
    #[schema(value_type = schema::Money)]
    pub amount: Money,
    pub status: String,
}

/// A payment of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Payment {
    pub payment_id: Uuid,
    pub amount: Amount,
    /// `recorded`, `requested`, `started`, `requires_action`, `authorized`, `declined`, `captured` or `voided`.
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// How the payment gateway names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<String>,
    /// Where the shopper must go while it is `requires_action`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<String>,
    /// Why it was declined.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    pub occurred_at: DateTime<Utc>,
}

/// A refund of an order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Refund {
    pub refund_id: Uuid,
    /// The payment that the gateway takes it from; none if people refunded it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<Uuid>,
    pub amount: Amount,
    /// `requested`, `done`, `refused` or `failed`.
    pub status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Why the gateway would not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    pub occurred_at: DateTime<Utc>,
}
