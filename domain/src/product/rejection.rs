use crate::Currency;
use thiserror::Error;

/// Why a product says no.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// No such product.
    #[error("no product is defined under this SKU: define it first")]
    Undefined,
    /// The SKU is taken by another definition.
    #[error("a product is already defined under this SKU with another merchant, name or price")]
    AlreadyDefined,
    /// It is no longer sold.
    #[error("the product is retired: define a new SKU instead")]
    Retired,
    /// It was to be defined with a price in a currency that nobody knows.
    #[error("`{currency}` is no currency that can be paid with: give a code of ISO 4217, such as GBP")]
    UnknownCurrency {
        /// Which.
        currency: Currency,
    },
    /// A product keeps its currency.
    #[error("the product is priced in {product}: its price cannot be given in {price}")]
    CurrencyMismatch {
        /// The product's currency.
        product: Currency,
        /// The price's currency.
        price: Currency,
    },
}
