use crate::Currency;
use thiserror::Error;

/// Why a product rejects a command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// No such product.
    #[error("there is no product with this SKU: define it first")]
    Undefined,
    /// The SKU is taken by another definition.
    #[error("this SKU already belongs to a product with another merchant, name or price")]
    AlreadyDefined,
    /// It is no longer sold.
    #[error("the product is retired: define a new SKU instead")]
    Retired,
    /// It was to be defined with a price in a currency that is not known.
    #[error("`{currency}` is not an active ISO 4217 currency: give a code such as GBP")]
    UnknownCurrency {
        /// Which.
        currency: Currency,
    },
    /// A product keeps its currency.
    #[error("the product is priced in {product}: its price cannot be set in {price}")]
    CurrencyMismatch {
        /// The product's currency.
        product: Currency,
        /// The price's currency.
        price: Currency,
    },
}
