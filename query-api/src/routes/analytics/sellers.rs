//! What sells best, and what does not sell.

use super::figures::RevenueView;
use super::filters::checked;
use super::period::{Period, PeriodView};
use super::sales_rows::{self, By, Selection};
use crate::answer::{Answer, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::page::PageRequest;
use crate::routes::Shared;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http_boundary::{Caller, Problem};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

pub fn routes() -> Router<Shared> {
    Router::new().route("/analytics/top-sellers", get(top)).route("/analytics/slow-sellers", get(slow))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopFilter {
    from: Option<String>,
    to: Option<String>,
    time_zone: Option<String>,
    by: Option<Best>,
    merchant: Option<String>,
    country: Option<String>,
    currency: Option<String>,
    limit: Option<usize>,
}

/// What the best has most of.
#[derive(Debug, Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Best {
    #[default]
    Gross,
    Net,
    Units,
}

#[derive(Serialize)]
struct Top {
    #[serde(flatten)]
    period: PeriodView,
    by: Best,
    items: Vec<TopView>,
}

#[derive(Serialize)]
struct TopView {
    sku: String,
    #[serde(flatten)]
    revenue: RevenueView,
}

/// So many of each currency: amounts of two currencies cannot be compared.
async fn top(
    State(shared): State<Shared>,
    caller: Caller,
    Asked { filter: asked, freshness }: Asked<TopFilter>,
) -> Result<Answer<Top>, Problem> {
    caller.require_operator()?;
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let limit = PageRequest::<()>::read(asked.limit, None)?.limit;
    let filters = checked(&None, &asked.merchant, &asked.country, &asked.currency)?;
    let by = asked.by.unwrap_or_default();
    let best_by = match by {
        Best::Gross => "gross",
        Best::Net => "net",
        Best::Units => "units",
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let selection = Selection { best_by, limit, ..filters.selection(By::Sku) };
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsSales, freshness).await?;
    let bounds = [period.start(), period.end()];
    let rows = sales_rows::read(&analytics.pool, &bounds, selection).await?;
    let items = rows.into_iter().map(|row| TopView { revenue: RevenueView::new(&row, false), sku: row.key });
    Ok(Answer::new(Top { period: period.view(), by, items: items.collect() }, position))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SlowFilter {
    from: Option<String>,
    to: Option<String>,
    time_zone: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct Slow {
    #[serde(flatten)]
    period: PeriodView,
    items: Vec<SlowView>,
}

#[derive(Serialize)]
struct SlowView {
    sku: String,
    /// Sold in the period.
    units: i64,
    orders: i64,
    /// In stock now.
    available: i64,
}

/// Everything that was ever in stock, the fewest units first; of what sold equally few, the one of which most is there.
async fn slow(
    State(shared): State<Shared>,
    caller: Caller,
    Asked { filter: asked, freshness }: Asked<SlowFilter>,
) -> Result<Answer<Slow>, Problem> {
    caller.require_operator()?;
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let limit = PageRequest::<()>::read(asked.limit, None)?.limit;
    let filters = checked(&None, &None, &None, &None)?;
    let analytics = &shared.analytics;
    let sales = analytics.checkpoints.reach(ReadModel::AnalyticsSales, freshness).await?;
    let stock = analytics.checkpoints.reach(ReadModel::AnalyticsStock, freshness).await?;
    let bounds = [period.start(), period.end()];
    let rows = sales_rows::read(&analytics.pool, &bounds, filters.selection(By::Sku)).await?;
    let mut sold: HashMap<String, (i64, i64)> = HashMap::new();
    for row in rows {
        let (units, orders) = sold.entry(row.key).or_default();
        *units += row.units;
        *orders += row.orders;
    }
    let levels = sqlx::query!("SELECT sku, available FROM analytics_stock_levels ORDER BY sku")
        .fetch_all(&analytics.pool)
        .await
        .map_err(failed_query)?;
    let mut items: Vec<SlowView> = levels
        .into_iter()
        .map(|level| {
            let (units, orders) = sold.get(&level.sku).copied().unwrap_or_default();
            SlowView { sku: level.sku, units, orders, available: level.available }
        })
        .collect();
    items.sort_by_key(|item| (item.units, std::cmp::Reverse(item.available)));
    items.truncate(limit);
    Ok(Answer::new(Slow { period: period.view(), items }, sales.and(stock)))
}
