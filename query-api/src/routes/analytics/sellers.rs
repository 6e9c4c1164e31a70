//! What sells best, and what does not sell.

use super::figures::revenue;
use super::filters::checked;
use super::period::Period;
use super::sales_rows::{self, By, Selection};
use crate::answer::{Answer, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::page::PageRequest;
use crate::routes::Shared;
use api::analytics::{
    BestBy, RankingFilter, SlowSeller, SlowSellers, TopSeller, TopSellers, TopSellersFilter,
};
use api::permission::ReadSales;
use axum::extract::State;
use http_boundary::Problem;
use http_routes::{Allowed, Routes};
use std::collections::HashMap;

pub fn routes() -> Routes<Shared> {
    Routes::new().get("/analytics/top-sellers", top, "What sells best").get(
        "/analytics/slow-sellers",
        slow,
        "What does not sell",
    )
}

/// So many of each currency: amounts of two currencies cannot be compared.
async fn top(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    Asked { filter: asked, freshness }: Asked<TopSellersFilter>,
) -> Result<Answer<TopSellers>, Problem> {
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let limit = PageRequest::<()>::read(asked.limit, None)?.limit;
    let filters = checked(&None, &asked.merchant, &asked.country, &asked.currency)?;
    let by = asked.by.unwrap_or_default();
    let best_by = match by {
        BestBy::Gross => "gross",
        BestBy::Net => "net",
        BestBy::Units => "units",
    };
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let selection = Selection { best_by, limit, ..filters.selection(By::Sku) };
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsSales, freshness).await?;
    let bounds = [period.start(), period.end()];
    let rows = sales_rows::read(&analytics.pool, &bounds, selection).await?;
    let items = rows.into_iter().map(|row| TopSeller { revenue: revenue(&row, false), sku: row.key });
    Ok(Answer::new(TopSellers { period: period.view(), by, items: items.collect() }, position))
}

/// Everything that was ever in stock, the fewest units first; of what sold equally few, the one of which most is there.
async fn slow(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    Asked { filter: asked, freshness }: Asked<RankingFilter>,
) -> Result<Answer<SlowSellers>, Problem> {
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
    let mut items: Vec<SlowSeller> = levels
        .into_iter()
        .map(|level| {
            let (units, orders) = sold.get(&level.sku).copied().unwrap_or_default();
            SlowSeller { sku: level.sku, units, orders, available: level.available }
        })
        .collect();
    items.sort_by_key(|item| (item.units, std::cmp::Reverse(item.available)));
    items.truncate(limit);
    Ok(Answer::new(SlowSellers { period: period.view(), items }, sales.and(stock)))
}
