use crate::{MerchantId, Money, ProductName, Sku};

/// What can be asked of a product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Bring it into the catalogue.
    Define {
        /// The SKU, which is also the stream's id.
        sku: Sku,
        /// Who sells it.
        merchant_id: MerchantId,
        /// What it is called.
        name: ProductName,
        /// For one unit.
        price: Money,
    },
    /// Give it another price, in the currency that it has.
    Reprice {
        /// For one unit.
        price: Money,
    },
    /// Sell it no longer.
    Retire,
}
