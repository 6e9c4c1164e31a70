//! Revenue by time, and by merchant and country.

use super::figures::{no_revenue, revenue};
use super::filters::{Filters, checked};
use super::period::{Period, in_utc, spans};
use super::sales_rows::{self, By, SalesRow};
use crate::answer::Answer;
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::routes::Shared;
use api::analytics::{
    Bucket, RevenueBreakdown, RevenueBucket, RevenueFilter, RevenueKey, RevenueOf, RevenueSeries, Span,
};
use api::permission::ReadSales;
use axum::extract::State;
use http_boundary::Problem;
use http_routes::{Allowed, Routes};
use std::collections::{BTreeSet, HashMap};

pub fn routes() -> Routes<Shared> {
    Routes::new()
        .get("/analytics/revenue", by_time, "Revenue by time")
        .get("/analytics/revenue/merchants", by_merchant, "Revenue of a period by merchant")
        .get("/analytics/revenue/countries", by_country, "Revenue of a period by country")
}

async fn by_merchant(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    asked: Asked<RevenueFilter>,
) -> Result<Answer<RevenueBreakdown>, Problem> {
    by_key(By::Merchant, &shared, asked).await
}

async fn by_country(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    asked: Asked<RevenueFilter>,
) -> Result<Answer<RevenueBreakdown>, Problem> {
    by_key(By::Country, &shared, asked).await
}

async fn by_time(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    Asked { filter: asked, freshness }: Asked<RevenueFilter>,
) -> Result<Answer<RevenueSeries>, Problem> {
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let bucket = asked.bucket.unwrap_or_default();
    let bounds = period.bounds(bucket)?;
    let filters = checked(&asked.sku, &asked.merchant, &asked.country, &asked.currency)?;
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsSales, freshness).await?;
    let rows = sales_rows::read(&analytics.pool, &in_utc(&bounds), filters.selection(By::Nothing)).await?;
    let buckets = filled(spans(&bounds), &rows, &filters);
    Ok(Answer::new(RevenueSeries { period: period.view(), bucket, buckets }, position))
}

/// All buckets, those without sales too. Which currencies there are is known from the filter or from the sales.
fn filled(spans: impl Iterator<Item = Span>, rows: &[SalesRow], filters: &Filters) -> Vec<RevenueBucket> {
    let has_shipping = filters.sku.is_none() && filters.merchant.is_none();
    let mut currencies: BTreeSet<&str> = rows.iter().map(|row| row.currency.as_str()).collect();
    currencies.extend(filters.currency.as_deref());
    let sold: HashMap<(i32, &str), &SalesRow> =
        rows.iter().map(|row| ((row.bucket, row.currency.as_str()), row)).collect();
    let view = |(number, span)| {
        let revenue = currencies.iter().map(|currency| match sold.get(&(number, *currency)) {
            Some(row) => revenue(row, has_shipping),
            None => no_revenue(currency, has_shipping),
        });
        RevenueBucket { span, revenue: revenue.collect() }
    };
    (0..).zip(spans).map(view).collect()
}

/// Of the whole period, by currency, the largest gross first.
async fn by_key(
    by: By,
    shared: &Shared,
    Asked { filter: asked, freshness }: Asked<RevenueFilter>,
) -> Result<Answer<RevenueBreakdown>, Problem> {
    if asked.bucket.is_some_and(|bucket| bucket != Bucket::Period) {
        return Err(Problem::invalid(
            "This question is about the whole period: leave `bucket` out, or ask /analytics/revenue.",
        ));
    }
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let filters = checked(&asked.sku, &asked.merchant, &asked.country, &asked.currency)?;
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsSales, freshness).await?;
    let bounds = [period.start(), period.end()];
    let rows = sales_rows::read(&analytics.pool, &bounds, filters.selection(by)).await?;
    let has_shipping = by == By::Country && filters.sku.is_none() && filters.merchant.is_none();
    let items = rows.into_iter().map(|row| RevenueOf {
        revenue: revenue(&row, has_shipping),
        key: if by == By::Merchant { RevenueKey::MerchantId(row.key) } else { RevenueKey::Country(row.key) },
    });
    Ok(Answer::new(RevenueBreakdown { period: period.view(), items: items.collect() }, position))
}
