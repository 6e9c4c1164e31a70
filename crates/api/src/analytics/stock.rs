//! What was out of stock, and what that cost.

use super::{Bucket, Period, Span};
use crate::Amount;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which slow sellers, or which stock-outs.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct RankingFilter {
    /// The first day, or a moment at a whole minute.
    pub from: Option<String>,
    /// The last day, itself inside; or a moment, itself outside.
    pub to: Option<String>,
    /// IANA name, such as `Europe/London`; UTC if it is left out.
    pub time_zone: Option<String>,
    /// 1 to 500, 50 if it is left out.
    pub limit: Option<usize>,
}

/// SKUs of which nothing was left, the longest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StockOutRanking {
    #[serde(flatten)]
    pub period: Period,
    pub items: Vec<StockOutsOfSku>,
}

/// The times at which nothing was left of a SKU, the newest first.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StockOuts {
    #[serde(flatten)]
    pub period: Period,
    pub items: Vec<StockOut>,
}

/// How long a SKU was without stock.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StockOutsOfSku {
    pub sku: String,
    /// That fell into the period, wholly or in part.
    pub stock_outs: i64,
    /// In the period, up to now.
    pub seconds: f64,
    /// Whether nothing is left now.
    pub is_out: bool,
    /// Orders of the period that were refused for lack of it, and the units that these asked for.
    pub lost_orders: i64,
    pub lost_units: i64,
}

/// A time without stock.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StockOut {
    pub began_at: DateTime<Utc>,
    /// None while it lasts.
    pub ended_at: Option<DateTime<Utc>>,
}

/// What shoppers wanted and stock refused, by time.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LostSalesSeries {
    #[serde(flatten)]
    pub period: Period,
    pub bucket: Bucket,
    pub buckets: Vec<LostSalesBucket>,
}

/// The lost sales of a bucket.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LostSalesBucket {
    #[serde(flatten)]
    pub span: Span,
    pub lost: Vec<LostSales>,
}

/// The lost sales of a bucket in one currency.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct LostSales {
    pub currency: String,
    /// Orders that were cancelled for lack of stock.
    pub orders: i64,
    /// Units that were asked for of what was short.
    pub units: i64,
    /// The units among them that were not there.
    pub missing: i64,
    /// The price of all that were asked for.
    pub amount: Amount,
}
