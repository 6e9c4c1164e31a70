//! Products: what can be bought, and at which price.

use crate::{Amount, schema};
use chrono::{DateTime, Utc};
use domain::{MerchantId, Money, ProductName, Sku};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Puts a product on sale.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DefineProduct {
    #[schema(value_type = schema::Sku)]
    pub sku: Sku,
    #[schema(value_type = schema::MerchantId)]
    pub merchant_id: MerchantId,
    #[schema(value_type = schema::ProductName)]
    pub name: ProductName,
    /// Of one unit.
    #[schema(value_type = schema::Money)]
    pub price: Money,
}

/// The product that was defined or retired.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ProductChanged {
    #[schema(value_type = schema::Sku)]
    pub sku: Sku,
}

/// Changes the price of a product.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reprice {
    /// Of one unit.
    #[schema(value_type = schema::Money)]
    pub price: Money,
}

/// The new price of a product.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Repriced {
    #[schema(value_type = schema::Sku)]
    pub sku: Sku,
    /// Of one unit.
    #[schema(value_type = schema::Money)]
    pub price: Money,
}

/// Which products a list has.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct ProductFilter {
    /// Of this merchant only.
    pub merchant_id: Option<String>,
    /// Only those that are no longer sold, or only those that are.
    pub retired: Option<bool>,
    /// Rows of the page.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A product.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Product {
    pub sku: String,
    pub merchant_id: String,
    pub name: String,
    /// Of one unit.
    pub price: Amount,
    /// Whether it is no longer sold.
    pub retired: bool,
    pub defined_at: DateTime<Utc>,
    pub changed_at: DateTime<Utc>,
    /// Of its stream: one more with each change.
    pub revision: i64,
}
