use crate::{Currency, LineId, MerchantId, Money};
use thiserror::Error;

/// Why an order says no.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// No such order.
    #[error("there is no order with this id")]
    NotFound,
    /// The id belongs to another order.
    #[error("another order was placed under this id")]
    AlreadyPlaced,
    /// It does not stand where it must.
    #[error("the order is {status}: to be {wanted} it must be {needed}")]
    WrongStatus {
        /// Where it stands.
        status: &'static str,
        /// What was asked for.
        wanted: &'static str,
        /// Where it must stand for that.
        needed: &'static str,
    },
    /// Money in another currency.
    #[error("the order is in {order}: an amount in {given} cannot be booked on it")]
    CurrencyMismatch {
        /// The order's.
        order: Currency,
        /// The amount's.
        given: Currency,
    },
    /// More than is owed, or nothing.
    #[error("{} are due: a payment of {given} cannot be booked", given.currency().written(*due))]
    PaymentNotDue {
        /// What is owed, in minor units.
        due: i64,
        /// What was given.
        given: Money,
    },
    /// Less than is owed, from somebody who must pay it at once.
    #[error(
        "{} are due: a payment of {given} is only a part, and this shop takes the whole of it at once",
        given.currency().written(*due)
    )]
    PaymentInPart {
        /// What is owed, in minor units.
        due: i64,
        /// What was given.
        given: Money,
    },
    /// It would be due if another payment were not under way.
    #[error(
        "{under_way} minor units wait for the payment gateway or the shopper's bank: wait for the outcome, or cancel the order and buy again"
    )]
    PaymentUnderWay {
        /// What is under way, in minor units.
        under_way: i64,
        /// What is owed beside it, in minor units.
        due: i64,
    },
    /// The payment's id is taken.
    #[error("this payment is already recorded with {recorded}, or with another means of payment")]
    PaymentDiffers {
        /// What is recorded.
        recorded: Money,
    },
    /// So many payments through the gateway are nobody's who wants to pay.
    #[error("an order takes {max} payments through the gateway, and this one had them: place a new order")]
    TooManyPayments {
        /// The limit.
        max: usize,
    },
    /// No such payment.
    #[error("the order has no payment with this id")]
    PaymentNotFound,
    /// A refund through the gateway that nobody asked for.
    #[error("the order has no refund with this id for this payment: ask for it first")]
    RefundNotRequested,
    /// A part of it left the house.
    #[error(
        "a part of the order has been shipped: only what has not been sent can be cancelled, or money refunded"
    )]
    PartlyShipped,
    /// Everything of this merchant left already, or nothing in the order is theirs.
    #[error("the order has nothing left that {merchant_id} could ship")]
    NothingToShip {
        /// Who.
        merchant_id: MerchantId,
    },
    /// The same line stands twice in one parcel.
    #[error("the line {line_id} stands twice in the shipment: give its whole quantity once")]
    LineTwice {
        /// Which.
        line_id: LineId,
    },
    /// A line of somebody else, or of no line of the order.
    #[error("the order has no line {line_id} of {merchant_id}")]
    NotTheirLine {
        /// Which.
        line_id: LineId,
        /// Who.
        merchant_id: MerchantId,
    },
    /// More than is left of a line.
    #[error("{left} units of the line {line_id} are left to ship, not {given}")]
    TooManyUnits {
        /// Which.
        line_id: LineId,
        /// Units that are left.
        left: u32,
        /// Units that were given.
        given: u32,
    },
    /// The shipment's id is taken.
    #[error("this shipment is already recorded with other contents")]
    ShipmentDiffers,
    /// No such shipment.
    #[error("the order has no shipment with this id")]
    ShipmentNotFound,
    /// More than was paid, or nothing.
    #[error(
        "{} can be given back: a refund of {given} cannot be booked; before anything is sent, all of the money goes back by \
         cancelling the order",
        given.currency().written(*left)
    )]
    RefundTooLarge {
        /// What can be given back, in minor units.
        left: i64,
        /// What was given.
        given: Money,
    },
    /// The refund's id is taken.
    #[error("this refund is already recorded with {recorded}")]
    RefundDiffers {
        /// What is recorded.
        recorded: Money,
    },
}
