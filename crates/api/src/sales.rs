//! Sales by day, SKU, merchant and country, and at which prices.

use crate::Amount;
use chrono::{DateTime, NaiveDate, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Which sales: days in UTC, both inside.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct SalesFilter {
    /// The first day.
    pub from: Option<String>,
    /// The last day.
    pub to: Option<String>,
    /// In this currency only.
    pub currency: Option<String>,
    /// Rows of the page: 1 to 500, 50 if it does not say.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// What was sold of something in one currency.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Sales {
    #[serde(flatten)]
    pub key: SalesKey,
    pub orders: i64,
    pub lines: i64,
    pub units: i64,
    pub revenue: Amount,
}

/// What the row is about, under its own name.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SalesKey {
    Day(NaiveDate),
    Sku(String),
    MerchantId(String),
    Country(String),
}

/// The figures of a dashboard: what was sold today (UTC) and in all, in each currency.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SalesFigures {
    pub day: NaiveDate,
    pub today: Vec<SalesSum>,
    pub all: Vec<SalesSum>,
}

/// What was sold in one currency.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SalesSum {
    pub orders: i64,
    pub lines: i64,
    pub units: i64,
    pub revenue: Amount,
}

/// Which page of a list.
#[derive(Debug, Default, Serialize, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct PriceFilter {
    /// Rows of the page: 1 to 500, 50 if it does not say.
    pub limit: Option<usize>,
    /// The `next_cursor` of the page before.
    pub cursor: Option<String>,
}

/// A price of a product, from when to when it was asked for, who set it, and what was sold at it. Orders count by the
/// time at which they were placed, whatever became of them.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct PricePeriod {
    #[serde(flatten)]
    pub set: PriceSet,
    /// Business time, itself inside.
    pub from: DateTime<Utc>,
    /// Itself outside; none if it is the price now.
    pub until: Option<DateTime<Utc>>,
    /// At this price.
    pub orders: i64,
    pub units: i64,
    pub revenue: Amount,
    /// In the same time, at another one: agreed with the customer, or confirmed just when it changed.
    pub orders_at_other_prices: i64,
}

/// The event that set a price.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PriceSet {
    pub revision: u64,
    pub position: u64,
    pub event_id: Uuid,
    pub actor: String,
    pub command_id: Uuid,
    pub price: Amount,
}

/// A line of an order that was placed while a price was asked for.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SoldLine {
    pub order_id: Uuid,
    pub placed_at: DateTime<Utc>,
    pub status: String,
    pub customer_id: Option<String>,
    pub line_id: Uuid,
    pub quantity: i64,
    pub unit_price: Amount,
    /// Whether that was the product's price.
    pub at_this_price: bool,
}
