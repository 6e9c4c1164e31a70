use uuid::Uuid;

/// A payment to authorise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge<'a> {
    /// The order that it is for.
    pub order_id: Uuid,
    /// The payment. It names the request for ever: the same payment is authorised once.
    pub payment_id: Uuid,
    /// Minor units of the currency, above zero.
    pub amount: i64,
    /// The currency's ISO code, in capitals or not.
    pub currency: &'a str,
    /// The token that stands for the shopper's card or account.
    pub payment_method: &'a str,
    /// Where the shopper's browser comes back to, should the gateway send it elsewhere. Without one it sends nobody.
    pub return_url: Option<&'a str>,
}

/// A payment at the gateway, as it is now. Amounts are in minor units of the currency, whatever the gateway's own units
/// are; one that has no whole number of them is none, and was not made by us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// The gateway's name for it.
    pub id: String,
    /// How far it is.
    pub status: IntentStatus,
    /// What was asked for.
    pub amount: Option<i64>,
    /// What is held and can be taken.
    pub amount_capturable: Option<i64>,
    /// What was taken. Refunds do not lessen it.
    pub amount_received: Option<i64>,
    /// The currency's ISO code in capitals.
    pub currency: String,
    /// The order that it is for, when it was made by us.
    pub order_id: Option<Uuid>,
    /// The payment that it is, when it was made by us.
    pub payment_id: Option<Uuid>,
    /// Why the last attempt to pay failed, if it did.
    pub decline: Option<Decline>,
    /// Where the shopper must go, while it is [`IntentStatus::RequiresAction`] and the gateway has a page for that.
    pub redirect_url: Option<String>,
}

impl Intent {
    /// Whether it is this payment, for as much as was asked. Anybody who can write in the gateway's books can make one
    /// that only says so.
    #[must_use]
    pub fn is_of(&self, charge: &Charge<'_>) -> bool {
        self.order_id == Some(charge.order_id)
            && self.payment_id == Some(charge.payment_id)
            && self.amount == Some(charge.amount)
            && self.currency.eq_ignore_ascii_case(charge.currency)
    }
}

/// How far a payment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IntentStatus {
    /// It has none yet, or the last one was declined.
    RequiresPaymentMethod,
    /// Nobody has asked to pay yet.
    RequiresConfirmation,
    /// The shopper has to do something, as to prove who they are.
    RequiresAction,
    /// The outcome comes later.
    Processing,
    /// Authorised: the money is held and can be taken.
    RequiresCapture,
    /// The money is taken.
    Succeeded,
    /// Given up; nothing is held.
    Canceled,
    /// One that we do not know.
    Other(String),
}

/// Why a payment was declined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    /// For machines: the issuer's own reason, as `insufficient_funds`, or `card_declined` where it gives none.
    pub code: String,
    /// For the shopper.
    pub message: String,
}

/// Money to give back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefundRequest<'a> {
    /// The payment that it is taken from; it must be captured.
    pub intent_id: &'a str,
    /// The refund. It names the request for ever: the same refund is made once.
    pub refund_id: Uuid,
    /// Minor units of the payment's currency, above zero.
    pub amount: i64,
    /// The payment's currency: its ISO code, in capitals or not.
    pub currency: &'a str,
}

/// Money given back, as far as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refund {
    /// The gateway's name for it.
    pub id: String,
    /// How far it is.
    pub status: RefundStatus,
    /// Minor units of the payment's currency; none if it is no whole number of them, and so was not made by us.
    pub amount: Option<i64>,
    /// The currency's ISO code in capitals.
    pub currency: String,
    /// The payment that it is taken from.
    pub intent_id: Option<String>,
    /// The refund that it is, when it was made by us.
    pub refund_id: Option<Uuid>,
}

/// How far a refund is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefundStatus {
    /// On its way.
    Pending,
    /// Somebody has to do something.
    RequiresAction,
    /// Given back.
    Succeeded,
    /// It could not be given back.
    Failed,
    /// Given up.
    Canceled,
    /// One that we do not know.
    Other(String),
}

/// A part of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// What is in it.
    pub items: Vec<T>,
    /// Whether older ones follow.
    pub has_more: bool,
}

impl IntentStatus {
    pub(crate) fn read(name: &str) -> Self {
        match name {
            "requires_payment_method" => Self::RequiresPaymentMethod,
            "requires_confirmation" => Self::RequiresConfirmation,
            "requires_action" => Self::RequiresAction,
            "processing" => Self::Processing,
            "requires_capture" => Self::RequiresCapture,
            "succeeded" => Self::Succeeded,
            "canceled" => Self::Canceled,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl RefundStatus {
    pub(crate) fn read(name: &str) -> Self {
        match name {
            "pending" => Self::Pending,
            "requires_action" => Self::RequiresAction,
            "succeeded" => Self::Succeeded,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            other => Self::Other(other.to_owned()),
        }
    }
}
