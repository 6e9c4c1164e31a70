//! Why an order of the files cannot be one of the shop.

use super::files::Unreadable;
use super::totals::Totals;
use crate::report::decimal;
use domain::text::InvalidText;
use domain::{Sku, cart, order};
use thiserror::Error;

/// An order that stays outside, whole.
#[derive(Debug)]
pub struct RefusedOrder {
    /// The marketplace's id.
    pub id: String,
    /// Why.
    pub refusal: Refusal,
    /// What its rows add up to.
    pub totals: Totals,
}

/// Why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A field of its rows.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A field that the domain does not take.
    #[error(transparent)]
    Text(#[from] InvalidText),
    /// An amount that the domain does not take.
    #[error(transparent)]
    Money(#[from] domain::money::InvalidMoney),
    /// A customer, product or seller that another file must have.
    #[error("the {what} {id} is not in its own file")]
    Unknown {
        /// Customer, product or seller.
        what: &'static str,
        /// Which.
        id: String,
    },
    /// A word that the files are not known to use.
    #[error("`{0}` is no status that is known here")]
    UnknownStatus(String),
    /// The shop has one price at a time.
    #[error("{sku} stands in it at two prices")]
    TwoPrices {
        /// Which.
        sku: Sku,
    },
    /// The files say that it happened, but not when.
    #[error("it was {0}, but the files do not say when")]
    NoTime(&'static str),
    /// Nothing was bought.
    #[error("its payments are {}: {rule}", decimal(*paid))]
    NoItems {
        /// What was paid all the same, in centavos.
        paid: i128,
        /// The cart's rule.
        rule: cart::Rejection,
    },
    /// Another rule of the cart.
    #[error(transparent)]
    Cart(cart::Rejection),
    /// More money than it costs.
    #[error("its payments are {}, its total is {}: {rule}", decimal(*paid), decimal(*total))]
    PaidTooMuch {
        /// All payments, in centavos.
        paid: i128,
        /// Items and freight, in centavos.
        total: i128,
        /// The order's rule.
        rule: order::Rejection,
    },
    /// Less money than it costs, and yet it went on.
    #[error("its payments are {}, its total is {}: it waits for money, but the files have it {status}", decimal(*paid), decimal(*total))]
    PaidTooLittle {
        /// All payments, in centavos.
        paid: i128,
        /// Items and freight, in centavos.
        total: i128,
        /// What the files say.
        status: String,
    },
    /// It had left the house by then.
    #[error("{0}")]
    CancelledAfterShipping(order::Rejection),
    /// Another rule of the order.
    #[error(transparent)]
    Order(order::Rejection),
}

impl Refusal {
    /// Its kind, for the report.
    #[must_use]
    pub fn heading(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "a row cannot be read",
            Self::Text(_) | Self::Money(_) => "a field does not have the form that the shop takes",
            Self::Unknown { .. } => "customer, product or seller is in no file",
            Self::UnknownStatus(_) => "status unknown",
            Self::TwoPrices { .. } => "one SKU at two prices",
            Self::NoTime(_) => "something happened at no time",
            Self::NoItems { .. } => "no items",
            Self::Cart(_) => "another rule of the cart",
            Self::PaidTooMuch { .. } => "payments above items and freight",
            Self::PaidTooLittle { .. } => "payments below items and freight",
            Self::CancelledAfterShipping(_) => "called off after it was shipped",
            Self::Order(_) => "another rule of the order",
        }
    }
}
