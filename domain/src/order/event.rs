use super::refund_event::{
    RefundFailed, RefundFound, RefundRecorded, RefundRefused, RefundRequested, Refunded,
};
use crate::{
    Carrier, CartId, Country, CustomerId, DeclineCode, IntentId, LineId, MerchantId, Money, PaymentId,
    PaymentMethod, PaymentToken, ProductName, Quantity, Reason, Reference, ShipmentId, Sku, TrackingNumber,
    WebAddress,
};
use serde::{Deserialize, Serialize};

/// What can have happened to an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A cart became this order.
    Placed(Placed),
    /// Stock answered.
    ReservationsAnswered(ReservationsAnswered),
    /// Money came in beside the payment gateway.
    PaymentRecorded(PaymentRecorded),
    /// The shopper pays through the gateway.
    PaymentRequested(PaymentRequested),
    /// The gateway has it and has not decided.
    PaymentStarted(PaymentStarted),
    /// The gateway holds the money for us.
    PaymentAuthorized(PaymentAuthorized),
    /// The gateway said no.
    PaymentDeclined(PaymentDeclined),
    /// The money is ours.
    PaymentCaptured(PaymentCaptured),
    /// The gateway let go of the money, untaken.
    PaymentVoided(PaymentVoided),
    /// All stock is held and the total is covered.
    Paid(Paid),
    /// Stock belongs to the order.
    StockCommitted(StockCommitted),
    /// Every SKU is committed: it can be packed.
    ProcessingStarted(ProcessingStarted),
    /// A merchant sent a part of it.
    ShipmentSent(ShipmentSent),
    /// A parcel arrived.
    ShipmentDelivered(ShipmentDelivered),
    /// It left the house.
    Shipped(Shipped),
    /// Stock let the units out of its books.
    StockShipped(StockShipped),
    /// Stock did so with a part of the units, or took a part back.
    StockParted(StockParted),
    /// What was not sent is given up.
    RestCancelled(RestCancelled),
    /// It arrived.
    Delivered(Delivered),
    /// It was called off.
    Cancelled(Cancelled),
    /// Stock took back what it held.
    StockReleased(StockReleased),
    /// Money is to be given back through the gateway.
    RefundRequested(RefundRequested),
    /// The gateway would not give it back.
    RefundRefused(RefundRefused),
    /// Money was given back.
    RefundRecorded(RefundRecorded),
    /// The gateway gave money back that nobody here had asked it to.
    RefundFound(RefundFound),
    /// Money that the gateway had given back came again.
    RefundFailed(RefundFailed),
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
    /// For sending it, a part of the total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<Money>,
    /// What is owed.
    pub total: Money,
    /// How long it may wait for its money, in seconds from the moment this is recorded; for ever if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_seconds: Option<u32>,
    /// Whether nobody knows who placed it: then it holds stock unpaid only within the share for such orders.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anonymous: bool,
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
    /// SKUs of which the units are held only when the order's money is secured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub at_payment: Vec<Sku>,
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

/// The shopper pays through the gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentRequested {
    /// This payment; the gateway takes it once under this id.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// The means of payment, as the gateway knows it.
    pub token: PaymentToken,
    /// Where the shopper comes back to, should the gateway send them elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub return_url: Option<WebAddress>,
    /// As long as this payment is under way, the order waits for it so many seconds from the moment this is recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_seconds: Option<u32>,
}

/// The gateway has the payment and has not decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentStarted {
    /// Which payment.
    pub payment_id: PaymentId,
    /// How the gateway names it.
    pub intent: IntentId,
    /// Where the shopper must go before it decides; the gateway alone decides if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redirect_url: Option<WebAddress>,
}

/// The gateway holds the money for us.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentAuthorized {
    /// Which payment.
    pub payment_id: PaymentId,
    /// How the gateway names it.
    pub intent: IntentId,
}

/// The gateway said no, at once or when the money was to be taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentDeclined {
    /// Which payment.
    pub payment_id: PaymentId,
    /// Why, for programs.
    pub code: DeclineCode,
    /// Why, for people.
    pub message: Reason,
}

/// The money is ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentCaptured {
    /// Which payment.
    pub payment_id: PaymentId,
    /// How the gateway names it.
    pub intent: IntentId,
    /// How much.
    pub amount: Money,
}

/// The gateway let go of the money without taking it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentVoided {
    /// Which payment.
    pub payment_id: PaymentId,
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

/// A merchant sent a part of the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentSent {
    /// This parcel.
    pub shipment_id: ShipmentId,
    /// Who sent it.
    pub merchant_id: MerchantId,
    /// What is in it.
    pub lines: Vec<ShippedLine>,
    /// How it can be followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<Tracking>,
}

/// So many units of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippedLine {
    /// Which line.
    pub line_id: LineId,
    /// Units.
    pub quantity: Quantity,
}

/// How a parcel can be followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tracking {
    /// Who carries it.
    pub carrier: Carrier,
    /// How the carrier names it.
    pub number: TrackingNumber,
}

/// A parcel arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShipmentDelivered {
    /// Which.
    pub shipment_id: ShipmentId,
}

/// The order left the house.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {}

/// Stock let the units out of its books.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockShipped {
    /// Which SKUs.
    pub skus: Vec<Sku>,
}

/// Units of some SKUs went separate ways: stock let some out of its books, or took some back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StockParted {
    /// Which units.
    pub parts: Vec<PartedStock>,
}

/// How many of the units that an order has of a SKU went which way so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartedStock {
    /// Which SKU.
    pub sku: Sku,
    /// Units that left the house.
    pub shipped: u32,
    /// Units that stock has back.
    pub released: u32,
    /// Units that are still committed to the order.
    pub left: u32,
}

/// What was not sent, all of it or one merchant's, is given up, and its price goes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestCancelled {
    /// The units that will not be sent.
    pub lines: Vec<ShippedLine>,
    /// Why.
    pub reason: Reason,
    /// What goes back for them.
    pub refund: Money,
    /// The part of it that only people can give back, as it did not come through the gateway; none if nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_hand: Option<Money>,
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
    /// Its money did not come in time.
    Expired,
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
