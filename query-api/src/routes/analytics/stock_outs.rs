//! SKUs of which nothing was left, and for how long.

use super::period::{Period, PeriodView};
use crate::answer::{Answer, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::page::PageRequest;
use crate::routes::Shared;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use chrono::{DateTime, Utc};
use domain::Sku;
use http_boundary::{Caller, PathParams, Problem};
use serde::{Deserialize, Serialize};

pub fn routes() -> Router<Shared> {
    Router::new().route("/analytics/stock-outs", get(ranking)).route("/analytics/stock-outs/{sku}", get(one))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    from: Option<String>,
    to: Option<String>,
    time_zone: Option<String>,
    limit: Option<usize>,
}

#[derive(Serialize)]
struct StockOuts<T> {
    #[serde(flatten)]
    period: PeriodView,
    items: Vec<T>,
}

#[derive(Serialize)]
struct SkuView {
    sku: String,
    /// That fell into the period, wholly or in part.
    stock_outs: i64,
    /// In the period, up to now.
    seconds: f64,
    /// Whether nothing is left now.
    is_out: bool,
    /// Orders of the period that were refused for lack of it, and the units that these asked for.
    lost_orders: i64,
    lost_units: i64,
}

/// The longest without stock first.
async fn ranking(
    State(shared): State<Shared>,
    caller: Caller,
    Asked { filter: asked, freshness }: Asked<Filter>,
) -> Result<Answer<StockOuts<SkuView>>, Problem> {
    caller.require_operator()?;
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let limit = PageRequest::<()>::read(asked.limit, None)?.limit;
    let analytics = &shared.analytics;
    let stock = analytics.checkpoints.reach(ReadModel::AnalyticsStock, freshness).await?;
    let sales = analytics.checkpoints.reach(ReadModel::AnalyticsSales, freshness).await?;
    let items = sqlx::query_as!(
        SkuView,
        r#"WITH outs AS (
               SELECT sku, count(*) AS stock_outs, bool_or(ended_at IS NULL) AS is_out,
                      sum(extract(epoch FROM greatest(
                          least(coalesce(ended_at, 'infinity'), $2, now()) - greatest(began_at, $1),
                          interval '0'
                      )))::double precision AS seconds
               FROM analytics_stock_outs
               WHERE began_at < $2 AND (ended_at IS NULL OR ended_at >= $1)
               GROUP BY sku
           ), lost AS (
               SELECT sku, count(*) AS orders, sum(units)::bigint AS units
               FROM analytics_lost_sales WHERE refused_at >= $1 AND refused_at < $2 GROUP BY sku
           )
           SELECT sku AS "sku!", coalesce(o.stock_outs, 0) AS "stock_outs!", coalesce(o.seconds, 0) AS "seconds!",
                  coalesce(o.is_out, false) AS "is_out!", coalesce(l.orders, 0) AS "lost_orders!",
                  coalesce(l.units, 0) AS "lost_units!"
           FROM outs AS o FULL JOIN lost AS l USING (sku)
           ORDER BY 3 DESC, 6 DESC, sku LIMIT $3"#,
        period.start(),
        period.end(),
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(&analytics.pool)
    .await
    .map_err(failed_query)?;
    Ok(Answer::new(StockOuts { period: period.view(), items }, stock.and(sales)))
}

#[derive(Serialize)]
struct StockOutView {
    began_at: DateTime<Utc>,
    /// None while it lasts.
    ended_at: Option<DateTime<Utc>>,
}

/// The stock-outs of one SKU, the newest first.
async fn one(
    State(shared): State<Shared>,
    caller: Caller,
    PathParams(sku): PathParams<Sku>,
    Asked { filter: asked, freshness }: Asked<Filter>,
) -> Result<Answer<StockOuts<StockOutView>>, Problem> {
    caller.require_operator()?;
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let limit = PageRequest::<()>::read(asked.limit, None)?.limit;
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsStock, freshness).await?;
    let items = sqlx::query_as!(
        StockOutView,
        "SELECT began_at, ended_at FROM analytics_stock_outs
         WHERE sku = $1 AND began_at < $3 AND (ended_at IS NULL OR ended_at >= $2)
         ORDER BY began_at DESC, revision DESC LIMIT $4",
        sku.as_str(),
        period.start(),
        period.end(),
        i64::try_from(limit).unwrap_or(i64::MAX)
    )
    .fetch_all(&analytics.pool)
    .await
    .map_err(failed_query)?;
    Ok(Answer::new(StockOuts { period: period.view(), items }, position))
}
