//! Revenue by time, and by merchant and country.

use super::figures::RevenueView;
use super::filters::{Filters, checked};
use super::period::{Bucket, Period, PeriodView, Span, in_utc, spans};
use super::sales_rows::{self, By, SalesRow};
use crate::answer::Answer;
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::routes::Shared;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http_boundary::{Caller, Problem};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/analytics/revenue", get(by_time))
        .route(
            "/analytics/revenue/merchants",
            get(|shared, caller, asked| by_key(By::Merchant, shared, caller, asked)),
        )
        .route(
            "/analytics/revenue/countries",
            get(|shared, caller, asked| by_key(By::Country, shared, caller, asked)),
        )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    from: Option<String>,
    to: Option<String>,
    time_zone: Option<String>,
    bucket: Option<Bucket>,
    sku: Option<String>,
    merchant: Option<String>,
    country: Option<String>,
    currency: Option<String>,
}

#[derive(Serialize)]
struct Series {
    #[serde(flatten)]
    period: PeriodView,
    bucket: Bucket,
    buckets: Vec<BucketView>,
}

/// Every bucket has every currency of the answer.
#[derive(Serialize)]
struct BucketView {
    #[serde(flatten)]
    span: Span,
    revenue: Vec<RevenueView>,
}

async fn by_time(
    State(shared): State<Shared>,
    caller: Caller,
    Asked { filter: asked, freshness }: Asked<Filter>,
) -> Result<Answer<Series>, Problem> {
    caller.require_operator()?;
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let bucket = asked.bucket.unwrap_or_default();
    let bounds = period.bounds(bucket)?;
    let filters = checked(&asked.sku, &asked.merchant, &asked.country, &asked.currency)?;
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsSales, freshness).await?;
    let rows = sales_rows::read(&analytics.pool, &in_utc(&bounds), filters.selection(By::Nothing)).await?;
    let buckets = filled(spans(&bounds), &rows, &filters);
    Ok(Answer::new(Series { period: period.view(), bucket, buckets }, position))
}

/// All buckets, those without sales too. Which currencies there are is known from the filter or from the sales.
fn filled(spans: impl Iterator<Item = Span>, rows: &[SalesRow], filters: &Filters) -> Vec<BucketView> {
    let has_shipping = filters.sku.is_none() && filters.merchant.is_none();
    let mut currencies: BTreeSet<&str> = rows.iter().map(|row| row.currency.as_str()).collect();
    currencies.extend(filters.currency.as_deref());
    let sold: HashMap<(i32, &str), &SalesRow> =
        rows.iter().map(|row| ((row.bucket, row.currency.as_str()), row)).collect();
    let view = |(number, span)| {
        let revenue = currencies.iter().map(|currency| match sold.get(&(number, *currency)) {
            Some(row) => RevenueView::new(row, has_shipping),
            None => RevenueView::none(currency, has_shipping),
        });
        BucketView { span, revenue: revenue.collect() }
    };
    (0..).zip(spans).map(view).collect()
}

#[derive(Serialize)]
struct Breakdown {
    #[serde(flatten)]
    period: PeriodView,
    items: Vec<Item>,
}

#[derive(Serialize)]
struct Item {
    #[serde(flatten)]
    key: Key,
    #[serde(flatten)]
    revenue: RevenueView,
}

/// What the row is about, under its own name.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    MerchantId(String),
    Country(String),
}

/// Of the whole period, by currency, the largest gross first.
async fn by_key(
    by: By,
    State(shared): State<Shared>,
    caller: Caller,
    Asked { filter: asked, freshness }: Asked<Filter>,
) -> Result<Answer<Breakdown>, Problem> {
    caller.require_operator()?;
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
    let items = rows.into_iter().map(|row| Item {
        revenue: RevenueView::new(&row, has_shipping),
        key: if by == By::Merchant { Key::MerchantId(row.key) } else { Key::Country(row.key) },
    });
    Ok(Answer::new(Breakdown { period: period.view(), items: items.collect() }, position))
}
