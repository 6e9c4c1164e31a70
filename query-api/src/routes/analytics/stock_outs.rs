//! SKUs of which nothing was left, and for how long.

use super::period::Period;
use crate::answer::{Answer, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::page::PageRequest;
use crate::routes::Shared;
use api::analytics::{RankingFilter, StockOut, StockOutRanking, StockOuts, StockOutsOfSku};
use api::permission::ReadSales;
use axum::extract::State;
use domain::Sku;
use http_boundary::{PathParams, Problem};
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new()
        .get("/analytics/stock-outs", ranking, "SKUs of which nothing was left, the longest first")
        .get(
            "/analytics/stock-outs/{sku}",
            one,
            "The times at which nothing was left of a SKU, the newest first",
        )
}

/// The longest without stock first.
async fn ranking(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    Asked { filter: asked, freshness }: Asked<RankingFilter>,
) -> Result<Answer<StockOutRanking>, Problem> {
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let limit = PageRequest::<()>::read(asked.limit, None)?.limit;
    let analytics = &shared.analytics;
    let stock = analytics.checkpoints.reach(ReadModel::AnalyticsStock, freshness).await?;
    let sales = analytics.checkpoints.reach(ReadModel::AnalyticsSales, freshness).await?;
    let items = sqlx::query_as!(
        StockOutsOfSku,
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
    Ok(Answer::new(StockOutRanking { period: period.view(), items }, stock.and(sales)))
}

/// The stock-outs of one SKU, the newest first.
async fn one(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    PathParams(sku): PathParams<Sku>,
    Asked { filter: asked, freshness }: Asked<RankingFilter>,
) -> Result<Answer<StockOuts>, Problem> {
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let limit = PageRequest::<()>::read(asked.limit, None)?.limit;
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsStock, freshness).await?;
    let items = sqlx::query_as!(
        StockOut,
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
