use crate::{
    CartId, Country, CustomerId, LineId, MerchantId, Money, PaymentId, PaymentMethod, ProductName, Quantity,
    Reason, Reference, RefundId, Sku,
};
use serde::{Deserialize, Serialize};

/// What can have happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A cart became this order.
    Placed(Placed),
    /// Stock answered.
    ReservationsAnswered(ReservationsAnswered),
    /// Money came in.
    PaymentRecorded(PaymentRecorded),
    /// All stock is held and the total is covered.
    Paid(Paid),
    /// Stock belongs to the order.
    StockCommitted(StockCommitted),
    /// Every SKU is committed: it can be packed.
    ProcessingStarted(ProcessingStarted),
    /// It left the house.
    Shipped(Shipped),
    /// Stock let the units out of its books.
    StockShipped(StockShipped),
    /// It arrived.
    Delivered(Delivered),
    /// It was called off.
    Cancelled(Cancelled),
    /// Stock took back what it held.
    StockReleased(StockReleased),
    /// Money was given back.
    RefundRecorded(RefundRecorded),
    /// All that was paid is given back.
    Refunded(Refunded),
}

/// A cart became this order, at locked prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// The cart.
    pub cart_id: CartId,
    /// Who buys; a guest has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// Where it goes.
    pub country: Country,
    /// What is bought.
    pub lines: Vec<OrderLine>,
    /// What is owed.
    pub total: Money,
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// The id that it had in the cart.
    pub line_id: LineId,
    /// What.
    pub sku: Sku,
    /// Who sells it.
    pub merchant_id: MerchantId,
    /// What it was called.
    pub name: ProductName,
    /// How many.
    pub quantity: Quantity,
    /// For one unit, locked.
    pub unit_price: Money,
}

/// Stock answered to reservations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationsAnswered {
    /// SKUs of which all units are held.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Sku>,
    /// SKUs of which too few were there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<RefusedReservation>,
}

/// A SKU of which too few units were there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedReservation {
    /// Which.
    pub sku: Sku,
    /// Units that were available.
    pub available: u64,
}

/// Money came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRecorded {
    /// This payment.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// How.
    pub method: PaymentMethod,
    /// What the payer's or the bank's books call it.
    pub reference: Reference,
}

/// All stock is held and the total is covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paid {
    /// The sum of the payments.
    pub amount: Money,
}

/// Stock belongs to the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockCommitted {
    /// Which SKUs.
    pub skus: Vec<Sku>,
}

/// Every SKU is committed: the order can be packed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessingStarted {}

/// The order left the house.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {}

/// Stock let the units out of its books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockShipped {
    /// Which SKUs.
    pub skus: Vec<Sku>,
}

/// The order arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {}

/// The order was called off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancelled {
    /// Why.
    pub reason: CancelReason,
}

/// Why an order was called off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum CancelReason {
    /// Stock could not hold every line.
    OutOfStock {
        /// What was short.
        refused: Vec<RefusedReservation>,
    },
    /// Somebody asked for it.
    Requested {
        /// In their words.
        reason: Reason,
    },
}

/// Stock took back what it held for the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockReleased {
    /// Which SKUs.
    pub skus: Vec<Sku>,
}

/// Money was given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefundRecorded {
    /// This refund.
    pub refund_id: RefundId,
    /// How much.
    pub amount: Money,
    /// What the bank's books call it.
    pub reference: Reference,
}

/// All that was paid is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refunded {
    /// The sum of the refunds.
    pub amount: Money,
}
