//! How long orders stay in each state.

use super::filters::checked;
use super::period::{Period, PeriodView};
use crate::answer::{Answer, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::routes::Shared;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http_boundary::{Caller, Problem};
use serde::{Deserialize, Serialize};

pub fn routes() -> Router<Shared> {
    Router::new().route("/analytics/time-in-state", get(time_in_state))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    from: Option<String>,
    to: Option<String>,
    time_zone: Option<String>,
    country: Option<String>,
    currency: Option<String>,
}

#[derive(Serialize)]
struct TimeInState {
    #[serde(flatten)]
    period: PeriodView,
    states: Vec<StateView>,
}

/// A state that orders pass through.
#[derive(Serialize)]
struct StateView {
    state: String,
    /// Orders that have left it.
    left: i64,
    /// Orders that are in it now.
    stay: i64,
    /// Of those that have left it; none if there are none.
    p50_seconds: Option<f64>,
    p95_seconds: Option<f64>,
}

/// Of the orders that were placed in the period. What is recorded of the past need not come in its order: nobody stays
/// for less than no time.
async fn time_in_state(
    State(shared): State<Shared>,
    caller: Caller,
    Asked { filter: asked, freshness }: Asked<Filter>,
) -> Result<Answer<TimeInState>, Problem> {
    caller.require_operator()?;
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let filters = checked(&None, &None, &asked.country, &asked.currency)?;
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsOrders, freshness).await?;
    let states = sqlx::query_as!(
        StateView,
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
