use crate::money::InvalidMoney;
use crate::{Currency, LineId, Money, OrderId, Quantity, Sku};
use serde::Serialize;
use thiserror::Error;

/// Why a cart says no.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Nobody has opened it.
    #[error("there is no cart with this id: open one first")]
    NotFound,
    /// It is open with another currency or customer.
    #[error("the cart is already open with another currency or customer")]
    AlreadyOpen,
    /// It became an order.
    #[error("the cart is checked out for {total} and can no longer change: its order is {order_id}")]
    CheckedOut {
        /// The order.
        order_id: OrderId,
        /// What it was checked out for.
        total: Money,
    },
    /// It was given up.
    #[error("the cart is abandoned: open a new one")]
    Abandoned,
    /// There is nothing to buy.
    #[error("the cart is empty: put a line into it first")]
    Empty,
    /// It was to be opened in a currency that nobody knows.
    #[error("`{currency}` is no currency that can be paid with: give a code of ISO 4217, such as GBP")]
    UnknownCurrency {
        /// Which.
        currency: Currency,
    },
    /// A line or a charge in another currency.
    #[error("the cart is in {cart} and the amount in {line}: a cart has one currency")]
    CurrencyMismatch {
        /// The cart's.
        cart: Currency,
        /// The line's or the charge's.
        line: Currency,
    },
    /// The same line stands twice in one request.
    #[error("the line {line_id} stands twice in the request: give each line an id of its own")]
    LineTwice {
        /// Which.
        line_id: LineId,
    },
    /// The id belongs to another line.
    #[error("the line {line_id} is there with SKU {sku}: remove it, or use another id")]
    LineTaken {
        /// Which.
        line_id: LineId,
        /// What it is.
        sku: Sku,
    },
    /// Beyond what a line may have.
    #[error("the line {line_id} has too many units: at most {max} are allowed")]
    QuantityTooLarge {
        /// Which.
        line_id: LineId,
        /// The limit, in units.
        max: u32,
    },
    /// Beyond what a cart may have.
    #[error("a cart has at most {max} lines")]
    TooManyLines {
        /// The limit.
        max: usize,
    },
    /// It was changed as often as a cart may be.
    #[error("the cart was changed {max} times: check it out, take lines out, or begin another cart")]
    TooManyChanges {
        /// The limit.
        max: u32,
    },
    /// The lines of one SKU together are more than can be reserved.
    #[error("the cart has too many units of SKU {sku} in all its lines together")]
    TooManyUnits {
        /// Which SKU.
        sku: Sku,
    },
    /// The sum cannot be money.
    #[error("the cart's total is not possible: {0}")]
    Total(#[source] InvalidMoney),
    /// The cart changed while it was being priced: price it again.
    #[error("the cart changed while it was checked out: try again")]
    Changed,
    /// The shopper saw another total.
    #[error("the total is {total} and not {expected}: look at the new prices and confirm the new total")]
    PriceChanged {
        /// What the shopper saw.
        expected: Money,
        /// What it is now: all lines at their current prices, and the shipping charge.
        total: Money,
        /// The charge for sending, a part of the total; none if there is none.
        shipping: Option<Money>,
        /// All lines: what they come to at their new prices makes the total with the charge for sending.
        lines: Vec<LinePrice>,
    },
}

/// A line's price, then and now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinePrice {
    /// Which line.
    pub line_id: LineId,
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// For one unit, when it came in.
    pub old: Money,
    /// For one unit, now.
    pub new: Money,
}
