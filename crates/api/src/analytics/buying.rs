//! Orders, carts on their way to them, and who buys.

use super::{Bucket, Period, Span};
use crate::Amount;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

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
