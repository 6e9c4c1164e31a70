use crate::{Currency, Money};
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
    #[error("{due} minor units are due: a payment of {given} cannot be booked")]
    PaymentNotDue {
        /// What is owed, in minor units.
        due: i64,
        /// What was given.
        given: Money,
    },
    /// The payment's id is taken.
    #[error("this payment is already recorded with {recorded}")]
    PaymentDiffers {
        /// What is recorded.
        recorded: Money,
    },
    /// More than was paid, or nothing.
    #[error("{left} minor units can be given back: a refund of {given} cannot be booked")]
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
