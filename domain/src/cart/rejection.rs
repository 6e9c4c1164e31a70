use crate::money::InvalidMoney;
use crate::{Currency, LineId, Money, OrderId, Quantity, Sku};
use serde::Serialize;
use thiserror::Error;

/// Why a cart rejects a command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Nobody has opened it.
    #[error("there is no cart with this id: open one first")]
    NotFound,
    /// It is open with another currency or customer.
    #[error("the cart is already open with another currency or customer")]
    AlreadyOpen,
    /// It became an order.
    #[error("the cart was checked out for {total} and can no longer change: see order {order_id}")]
    CheckedOut {
        /// The order.
        order_id: OrderId,
        /// What it was checked out for.
        total: Money,
    },
    /// It was abandoned.
    #[error("the cart is abandoned: open a new one")]
    Abandoned,
    /// There is nothing to buy.
    #[error("the cart is empty: add a line first")]
    Empty,
    /// It was to be opened in a currency that is not known.
    #[error("`{currency}` is not an active ISO 4217 currency: give a code such as GBP")]
    UnknownCurrency {
        /// Which.
        currency: Currency,
    },
    /// A line or a charge in another currency.
    #[error("the cart is in {cart} and the amount is in {line}: use {cart}, or open another cart")]
    CurrencyMismatch {
        /// The cart's.
        cart: Currency,
        /// The line's or the charge's.
        line: Currency,
    },
    /// The same line appears twice in one request.
    #[error("line id {line_id} appears twice in the request: give each line its own id")]
    LineTwice {
        /// Which.
        line_id: LineId,
    },
    /// The id belongs to another line.
    #[error("line id {line_id} is already used for SKU {sku}: remove that line, or use another id")]
    LineTaken {
        /// Which.
        line_id: LineId,
        /// What it is.
        sku: Sku,
    },
    /// Beyond what a line may have.
    #[error("line {line_id} has too many units: a line has at most {max}")]
    QuantityTooLarge {
        /// Which.
        line_id: LineId,
        /// The limit, in units.
        max: u32,
    },
    /// Beyond what a cart may have.
    #[error("the cart would have too many lines: a cart has at most {max}")]
    TooManyLines {
        /// The limit.
        max: usize,
    },
    /// It was changed as often as a cart may be.
    #[error(
        "the cart has reached the limit of {max} changes: check it out, remove lines, or open another cart"
    )]
    TooManyChanges {
        /// The limit.
        max: u32,
    },
    /// The lines of one SKU together are more than can be reserved.
    #[error("the lines of SKU {sku} together have too many units: remove some")]
    TooManyUnits {
        /// Which SKU.
        sku: Sku,
    },
    /// The sum cannot be money.
    #[error("the cart's total is too large: {0}")]
    Total(#[source] InvalidMoney),
    /// The cart changed while it was being priced: price it again.
    #[error("the cart changed during the checkout: look at the cart and check out again")]
    Changed,
    /// The shopper saw a different total.
    #[error("the total is now {total}, not {expected}: check the new prices and confirm the new total")]
    PriceChanged {
        /// The total that the shopper saw.
        expected: Money,
        /// What it is now: all lines at their current prices, and the shipping charge.
        total: Money,
        /// The shipping charge, which is included in the total; none if there is none.
        shipping: Option<Money>,
        /// All lines: their new prices and the shipping charge add up to the total.
        lines: Vec<LinePrice>,
    },
}

/// A line's price when it was added and now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LinePrice {
    /// The line.
    pub line_id: LineId,
    /// What it is.
    pub sku: Sku,
    /// Its units.
    pub quantity: Quantity,
    /// Of one unit, when the line was added.
    pub old: Money,
    /// Of one unit, now.
    pub new: Money,
}
