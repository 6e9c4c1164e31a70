use super::event::Event;
use crate::{MerchantId, Money, ProductName, Sku};

/// The state of a product.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Product {
    /// Nobody has defined it yet.
    #[default]
    Undefined,
    /// On sale.
    Listed(Definition),
    /// Was on sale once.
    Retired(Definition),
}

/// What is known of a defined product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// The SKU.
    pub sku: Sku,
    /// Who sells it.
    pub merchant_id: MerchantId,
    /// What it is called.
    pub name: ProductName,
    /// For one unit, now.
    pub price: Money,
    /// For one unit, when it was defined.
    pub first_price: Money,
}

impl Product {
    pub(super) fn apply(self, event: &Event) -> Self {
        match (self, event) {
            (Self::Undefined, Event::Defined(defined)) => Self::Listed(Definition {
                sku: defined.sku.clone(),
                merchant_id: defined.merchant_id.clone(),
                name: defined.name.clone(),
                price: defined.price,
                first_price: defined.price,
            }),
            (Self::Listed(definition), Event::Repriced(repriced)) => {
                Self::Listed(Definition { price: repriced.price, ..definition })
            }
            (Self::Listed(definition), Event::Retired(_)) => Self::Retired(definition),
            (state, Event::Defined(_) | Event::Repriced(_) | Event::Retired(_)) => state,
        }
    }
}
