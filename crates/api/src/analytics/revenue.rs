//! Revenue, and what sells best and worst.

use super::{Bucket, Period, Span};
use crate::Amount;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which revenue.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RevenueFilter {
    /// The first day, or a moment at a whole minute.
    pub from: Option<String>,
    /// The last day, itself inside; or a moment, itself outside.
    pub to: Option<String>,
    /// IANA name, such as `Europe/London`; UTC if it is left out.
    pub time_zone: Option<String>,
    #[param(inline)]
    pub bucket: Option<Bucket>,
    pub sku: Option<String>,
    pub merchant: Option<String>,
    pub country: Option<String>,
    pub currency: Option<String>,
}

/// Revenue by time.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RevenueSeries {
    #[serde(flatten)]
    pub period: Period,
    pub bucket: Bucket,
    pub buckets: Vec<RevenueBucket>,
}

/// The revenue of a bucket: every bucket has every currency of the answer.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RevenueBucket {
    #[serde(flatten)]
    pub span: Span,
    pub revenue: Vec<Revenue>,
}

/// What was sold in one currency.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Revenue {
    pub currency: String,
    pub orders: i64,
    pub units: i64,
    pub gross: Amount,
    pub refunded: Amount,
    pub net: Amount,
    /// The charge for shipping: it belongs to no SKU and to no merchant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<ShippingRevenue>,
}

/// The charge for shipping.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ShippingRevenue {
    pub gross: Amount,
    pub refunded: Amount,
    pub net: Amount,
}

/// Revenue of a whole period by merchant or country, the largest gross first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RevenueBreakdown {
    #[serde(flatten)]
    pub period: Period,
    pub items: Vec<RevenueOf>,
}

/// The revenue of a merchant or a country.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RevenueOf {
    #[serde(flatten)]
    pub key: RevenueKey,
    #[serde(flatten)]
    pub revenue: Revenue,
}

/// What the row is about, under its own name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RevenueKey {
    MerchantId(String),
    Country(String),
}

/// Which best sellers.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct TopSellersFilter {
    /// The first day, or a moment at a whole minute.
    pub from: Option<String>,
    /// The last day, itself inside; or a moment, itself outside.
    pub to: Option<String>,
    /// IANA name, such as `Europe/London`; UTC if it is left out.
    pub time_zone: Option<String>,
    #[param(inline)]
    pub by: Option<BestBy>,
    pub merchant: Option<String>,
    pub country: Option<String>,
    pub currency: Option<String>,
    /// 1 to 500, 50 if it is left out.
    pub limit: Option<usize>,
}

/// What the best seller has most of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BestBy {
    #[default]
    Gross,
    Net,
    Units,
}

/// The SKUs that sell best, so many of each currency: amounts of two currencies cannot be compared.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TopSellers {
    #[serde(flatten)]
    pub period: Period,
    pub by: BestBy,
    pub items: Vec<TopSeller>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TopSeller {
    pub sku: String,
    #[serde(flatten)]
    pub revenue: Revenue,
}

/// Everything that was ever in stock, the fewest units sold first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SlowSellers {
    #[serde(flatten)]
    pub period: Period,
    pub items: Vec<SlowSeller>,
}

/// One of them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SlowSeller {
    pub sku: String,
    /// Sold in the period.
    pub units: i64,
    pub orders: i64,
    /// In stock now.
    pub available: i64,
}
