//! How many carts come how far.

use super::filters::checked;
use super::period::Period;
use crate::answer::{Answer, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::routes::Shared;
use api::analytics::{Funnel, FunnelFilter, FunnelStage};
use api::permission::ReadSales;
use axum::extract::State;
use http_boundary::Problem;
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new().get("/analytics/funnel", funnel, "How many carts come how far")
}

/// Of the carts that were opened in the period, how many have come to each stage by now.
async fn funnel(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    Asked { filter: asked, freshness }: Asked<FunnelFilter>,
) -> Result<Answer<Funnel>, Problem> {
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
    let stages = counts.into_iter().map(|(stage, count)| FunnelStage {
        stage: stage.to_owned(),
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
