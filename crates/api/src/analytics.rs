//! What dashboards ask, for any period in any time zone. The terms are defined in `docs/analytics.md`.

use crate::Amount;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// A period, as the clocks of its time zone show it.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Period {
    pub from: String,
    /// Itself outside.
    pub to: String,
    pub time_zone: String,
}

/// What a period is divided into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Bucket {
    Minute,
    Hour,
    #[default]
    Day,
    /// From Monday on.
    Week,
    Month,
    Year,
    /// All of it at once.
    Period,
}

/// The start of a bucket, and its end, itself outside.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Span {
    pub start: String,
    pub end: String,
}

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

/// Which orders.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct OrdersFilter {
    /// The first day, or a moment at a whole minute.
    pub from: Option<String>,
    /// The last day, itself inside; or a moment, itself outside.
    pub to: Option<String>,
    /// IANA name, such as `Europe/London`; UTC if it is left out.
    pub time_zone: Option<String>,
    #[param(inline)]
    pub bucket: Option<Bucket>,
    pub country: Option<String>,
    pub currency: Option<String>,
}

/// Orders by the time at which they were placed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrdersSeries {
    #[serde(flatten)]
    pub period: Period,
    pub bucket: Bucket,
    pub buckets: Vec<OrdersBucket>,
}

/// The orders of a bucket.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrdersBucket {
    #[serde(flatten)]
    pub span: Span,
    pub orders: Vec<OrdersFigures>,
}

/// The orders of a bucket in one currency.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OrdersFigures {
    pub currency: String,
    pub placed: i64,
    /// How many of these have each status now.
    pub states: BTreeMap<String, i64>,
    /// How many of these were ever paid.
    pub paid: i64,
    /// What the paid ones cost, with the charge for shipping.
    pub paid_total: Amount,
    /// Of the paid ones; none if there are none.
    pub average_order_value: Option<Amount>,
    pub items_per_order: Option<f64>,
}

/// Of whose orders, placed or paid in which period.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct BuyersFilter {
    /// The first day, or a moment at a whole minute.
    pub from: Option<String>,
    /// The last day, itself inside; or a moment, itself outside.
    pub to: Option<String>,
    /// IANA name, such as `Europe/London`; UTC if it is left out.
    pub time_zone: Option<String>,
    pub country: Option<String>,
    pub currency: Option<String>,
}

/// How long orders stay in each status.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct TimeInState {
    #[serde(flatten)]
    pub period: Period,
    pub states: Vec<StateTimes>,
}

/// A status that orders pass through.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StateTimes {
    pub state: String,
    /// Orders that have left it.
    pub left: i64,
    /// Orders that are in it now.
    pub stay: i64,
    /// Of those that have left it; none if there are none.
    pub p50_seconds: Option<f64>,
    pub p95_seconds: Option<f64>,
}

/// Which carts.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct FunnelFilter {
    /// The first day, or a moment at a whole minute.
    pub from: Option<String>,
    /// The last day, itself inside; or a moment, itself outside.
    pub to: Option<String>,
    /// IANA name, such as `Europe/London`; UTC if it is left out.
    pub time_zone: Option<String>,
    pub currency: Option<String>,
}

/// Of the carts that were opened in a period, how many have come to each stage by now.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Funnel {
    #[serde(flatten)]
    pub period: Period,
    pub stages: Vec<FunnelStage>,
    /// Carts that somebody abandoned.
    pub abandoned: i64,
}

/// How many carts have come to a stage.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FunnelStage {
    /// `carts`, `checked_out`, `paid` or `delivered`.
    pub stage: String,
    pub count: i64,
    /// Of all carts, and of the stage before; none where there are none.
    pub share_of_carts: Option<f64>,
    pub share_of_previous: Option<f64>,
}

/// Who bought in a period, counted by paid orders. With a filter, only the orders that pass it are looked at.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Buyers {
    #[serde(flatten)]
    pub period: Period,
    /// Customers who paid an order in the period.
    pub buyers: i64,
    /// Those among them who had paid none before.
    pub new: i64,
    /// Those among them who have paid another one, in the period or before.
    pub repeat: i64,
    pub repeat_share: Option<f64>,
    /// Orders of these buyers in the period.
    pub orders: i64,
    /// Orders of guests: nobody knows whose they are.
    pub guest_orders: i64,
}

/// Who buys again, by the month of the first order.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Cohorts {
    #[serde(flatten)]
    pub period: Period,
    pub cohorts: Vec<Cohort>,
}

/// The customers whose first paid order fell into a month.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Cohort {
    #[serde(flatten)]
    pub month: Span,
    pub buyers: i64,
    /// This month and each later one of the period.
    pub months: Vec<CohortMonth>,
}

/// What a cohort bought in a month.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
pub struct CohortMonth {
    /// Months after the first.
    pub after: usize,
    /// Customers of the cohort who paid an order in it.
    pub buyers: i64,
    pub share: Option<f64>,
    pub orders: i64,
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
