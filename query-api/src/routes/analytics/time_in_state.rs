//! How long orders stay in each state.

use super::filters::checked;
use super::period::Period;
use crate::answer::{Answer, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::routes::Shared;
use api::analytics::{BuyersFilter, StateTimes, TimeInState};
use api::permission::ReadSales;
use axum::extract::State;
use http_boundary::Problem;
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new().get("/analytics/time-in-state", time_in_state, "How long orders stay in each status")
}

/// Of the orders that were placed in the period. What is recorded of the past need not come in its order: nobody stays
/// for less than no time.
async fn time_in_state(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    Asked { filter: asked, freshness }: Asked<BuyersFilter>,
) -> Result<Answer<TimeInState>, Problem> {
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let filters = checked(&None, &None, &asked.country, &asked.currency)?;
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsOrders, freshness).await?;
    let states = sqlx::query_as!(
        StateTimes,
        r#"WITH stays AS (
               SELECT s.number, s.entered,
                      CASE WHEN s.left_at IS NOT NULL
                           THEN greatest(extract(epoch FROM s.left_at - s.entered), 0)::double precision
                      END AS seconds
               FROM analytics_orders AS o
               CROSS JOIN LATERAL (VALUES
                   (1, placed_at, least(paid_at, cancelled_at)),
                   (2, paid_at, least(processing_at, cancelled_at)),
                   (3, processing_at, least(shipped_at, cancelled_at)),
                   (4, shipped_at, delivered_at)
               ) AS s (number, entered, left_at)
               WHERE o.placed_at >= $1 AND o.placed_at < $2 AND ($3::text IS NULL OR o.country = $3)
                 AND ($4::text IS NULL OR o.currency = $4)
           ), figures AS (
               SELECT number, count(seconds) AS left, count(*) - count(seconds) AS stay,
                      percentile_cont(ARRAY[0.5, 0.95]) WITHIN GROUP (ORDER BY seconds) AS percentiles
               FROM stays WHERE entered IS NOT NULL GROUP BY number
           )
           SELECT all_states.state AS "state!", coalesce(f.left, 0) AS "left!", coalesce(f.stay, 0) AS "stay!",
                  f.percentiles[1] AS p50_seconds, f.percentiles[2] AS p95_seconds
           FROM (VALUES (1, 'pending'), (2, 'paid'), (3, 'processing'), (4, 'shipped')) AS all_states (number, state)
           LEFT JOIN figures AS f USING (number) ORDER BY number"#,
        period.start(),
        period.end(),
        filters.country,
        filters.currency
    )
    .fetch_all(&analytics.pool)
    .await
    .map_err(failed_query)?;
    Ok(Answer::new(TimeInState { period: period.view(), states }, position))
}
