//! What can have happened to money that goes back.

use crate::{Money, PaymentId, Reason, Reference, RefundId};
use serde::{Deserialize, Serialize};

/// Money of one payment is to be given back through the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRequested {
    /// This refund. One refund may take from several payments.
    pub refund_id: RefundId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
}

/// The gateway would not give the money back: people must.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRefused {
    /// Which refund.
    pub refund_id: RefundId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// Why, for people.
    pub message: Reason,
}

/// Money was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRecorded {
    /// This refund.
    pub refund_id: RefundId,
    /// The payment that the gateway took it from; none if people gave it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_id: Option<PaymentId>,
    /// How much.
    pub amount: Money,
    /// What the bank's books call it.
    pub reference: Reference,
}

/// The gateway gave money back that nobody here had asked it to: people did so at the gateway itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundFound {
    /// What we call it.
    pub refund_id: RefundId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// How the gateway names it.
    pub reference: Reference,
}

/// Money that the gateway had given back did not arrive and came again: people must give it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundFailed {
    /// Which refund.
    pub refund_id: RefundId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How much came again.
    pub amount: Money,
    /// Why, for people.
    pub message: Reason,
}

/// All that was paid is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// The sum of the refunds.
    pub amount: Money,
}
