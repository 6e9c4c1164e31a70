//! How many carts come how far.

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
    Router::new().route("/analytics/funnel", get(funnel))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    from: Option<String>,
    to: Option<String>,
    time_zone: Option<String>,
    currency: Option<String>,
}

#[derive(Serialize)]
struct Funnel {
    #[serde(flatten)]
    period: PeriodView,
    stages: Vec<Stage>,
    /// Carts that somebody gave up.
    abandoned: i64,
}

#[derive(Serialize)]
struct Stage {
    stage: &'static str,
    count: i64,
    /// Of all carts, and of the stage before; none where there are none.
    share_of_carts: Option<f64>,
    share_of_previous: Option<f64>,
}

/// Of the carts that were opened in the period, how many have come to each stage by now.
async fn funnel(
    State(shared): State<Shared>,
    caller: Caller,
    Asked { filter: asked, freshness }: Asked<Filter>,
) -> Result<Answer<Funnel>, Problem> {
    caller.require_operator()?;
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let filters = checked(&None, &None, &None, &asked.currency)?;
    let analytics = &shared.analytics;
    let carts = analytics.checkpoints.reach(ReadModel::AnalyticsCarts, freshness).await?;
    let orders = analytics.checkpoints.reach(ReadModel::AnalyticsOrders, freshness).await?;
    let row = sqlx::query!(
        r#"SELECT count(*) AS "carts!", count(c.checked_out_at) AS "checked_out!", count(o.paid_at) AS "paid!",
                  count(o.delivered_at) AS "delivered!", count(c.abandoned_at) AS "abandoned!"
           FROM analytics_carts AS c LEFT JOIN analytics_orders AS o ON o.order_id = c.order_id
           WHERE c.opened_at >= $1 AND c.opened_at < $2 AND ($3::text IS NULL OR c.currency = $3)"#,
        period.start(),
        period.end(),
        filters.currency
    )
    .fetch_one(&analytics.pool)
    .await
    .map_err(failed_query)?;
    let counts = [
        ("carts", row.carts),
        ("checked_out", row.checked_out),
        ("paid", row.paid),
        ("delivered", row.delivered),
    ];
    let mut previous = row.carts;
    let stages = counts.into_iter().map(|(stage, count)| Stage {
        stage,
        count,
        share_of_carts: share(count, row.carts),
        share_of_previous: share(count, std::mem::replace(&mut previous, count)),
    });
    let funnel = Funnel { period: period.view(), stages: stages.collect(), abandoned: row.abandoned };
    Ok(Answer::new(funnel, carts.and(orders)))
}

/// To four digits: hundredths of a percent.
#[expect(clippy::cast_precision_loss, reason = "four digits are shown")]
pub fn share(part: i64, whole: i64) -> Option<f64> {
    (whole > 0).then(|| (part as f64 / whole as f64 * 10_000.0).round() / 10_000.0)
}
