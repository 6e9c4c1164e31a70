use crate::{MerchantId, Money, ProductName, Sku};
use serde::{Deserialize, Serialize};

/// What can have happened to a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It came into the catalogue.
    Defined(Defined),
    /// It has another price.
    Repriced(Repriced),
    /// It is no longer sold.
    Retired(Retired),
}

/// The product came into the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Defined {
    /// The SKU.
    pub sku: Sku,
    /// Who sells it.
    pub merchant_id: MerchantId,
    /// What it is called.
    pub name: ProductName,
    /// For one unit.
    pub price: Money,
}

/// The product has another price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Repriced {
    /// For one unit, from now on.
    pub price: Money,
}

/// The product is no longer sold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retired {}
