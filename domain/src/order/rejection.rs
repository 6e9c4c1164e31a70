use crate::{Currency, LineId, MerchantId, Money};
use thiserror::Error;

/// Why an order rejects a command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// No such order.
    #[error("there is no order with this id")]
    NotFound,
    /// The id belongs to another order.
    #[error("another order already has this id")]
    AlreadyPlaced,
    /// Its status does not allow the command.
    #[error("the order is {status}: it can be {wanted} only while it is {needed}")]
    WrongStatus {
        /// Its status.
        status: &'static str,
        /// The status that the command leads to.
        wanted: &'static str,
        /// The statuses that allow the command.
        needed: &'static str,
    },
    /// Money in another currency.
    #[error("the order is in {order}: an amount in {given} cannot be recorded for it")]
    CurrencyMismatch {
        /// The order's.
        order: Currency,
        /// The amount's.
        given: Currency,
    },
    /// More than is due, or nothing.
    #[error("only {} is due: a payment of {given} cannot be recorded", given.currency().written(*due))]
    PaymentNotDue {
        /// What is due, in minor units.
        due: i64,
        /// The amount that was given.
        given: Money,
    },
    /// Less than is due, from somebody who must pay it at once.
    #[error(
        "{} is due: a payment of {given} covers only a part, and this shop takes the whole amount at once",
        given.currency().written(*due)
    )]
    PaymentInPart {
        /// What is due, in minor units.
        due: i64,
        /// The amount that was given.
        given: Money,
    },
    /// It would be due if no other payment were in progress.
    #[error(
        "another payment is still in progress: wait for its outcome, or cancel the order and order again"
    )]
    PaymentUnderWay {
        /// The amount in progress, in minor units.
        under_way: i64,
        /// What is due in addition to it, in minor units.
        due: i64,
    },
    /// The payment's id is taken.
    #[error("this payment id is already used for a payment of {recorded} with other details: use a new id")]
    PaymentDiffers {
        /// What is recorded.
        recorded: Money,
    },
    /// No real shopper needs more payments through the gateway.
    #[error("this order has reached the limit of {max} payment attempts: place a new order")]
    TooManyPayments {
        /// The limit.
        max: usize,
    },
    /// No such payment.
    #[error("the order has no payment with this id")]
    PaymentNotFound,
    /// A refund through the gateway that nobody asked for.
    #[error("the order has no refund with this id for this payment: request it first")]
    RefundNotRequested,
    /// Part of it has been shipped.
    #[error("part of the order has been shipped: cancel the unshipped units, or refund money")]
    PartlyShipped,
    /// Everything of this merchant is shipped already, or nothing in the order is theirs.
    #[error("the order has nothing left for {merchant_id} to ship")]
    NothingToShip {
        /// Who.
        merchant_id: MerchantId,
    },
    /// The same line appears twice in one shipment.
    #[error("line {line_id} appears twice: list each line once, with its full quantity")]
    LineTwice {
        /// Which.
        line_id: LineId,
    },
    /// The line is of another merchant, or of another order.
    #[error("the order has no line {line_id} of {merchant_id}")]
    NotTheirLine {
        /// Which.
        line_id: LineId,
        /// Who.
        merchant_id: MerchantId,
    },
    /// More than is left of a line.
    #[error("line {line_id} has {left} units left to ship, not {given}")]
    TooManyUnits {
        /// Which.
        line_id: LineId,
        /// Units that are left.
        left: u32,
        /// Units that were given.
        given: u32,
    },
    /// The shipment's id is taken.
    #[error("this shipment is already recorded with other contents: use a new id for a new shipment")]
    ShipmentDiffers,
    /// No such shipment.
    #[error("the order has no shipment with this id")]
    ShipmentNotFound,
    /// More than was paid, or nothing.
    #[error(
        "only {} can be refunded: a refund of {given} cannot be recorded; to refund everything before anything is shipped, \
         cancel the order",
        given.currency().written(*left)
    )]
    RefundTooLarge {
        /// What can be refunded, in minor units.
        left: i64,
        /// The amount that was given.
        given: Money,
    },
    /// The refund's id is taken.
    #[error("this refund is already recorded with {recorded}: use a new id for a new refund")]
    RefundDiffers {
        /// What is recorded.
        recorded: Money,
    },
}
