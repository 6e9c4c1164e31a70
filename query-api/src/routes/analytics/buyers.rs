//! Who buys again: repeat buyers of a period, and cohorts by the month of the first order.

use super::filters::checked;
use super::funnel::share;
use super::period::{Period, in_utc, spans};
use crate::answer::{Answer, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::routes::Shared;
use api::analytics::{Bucket, Buyers, BuyersFilter, Cohort, CohortMonth, Cohorts};
use api::permission::ReadSales;
use axum::extract::State;
use http_boundary::Problem;
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new().get("/analytics/buyers", buyers, "Who bought in a period, and who bought again").get(
        "/analytics/cohorts",
        cohorts,
        "Who buys again, by the month of the first order",
    )
}

async fn buyers(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    Asked { filter: asked, freshness }: Asked<BuyersFilter>,
) -> Result<Answer<Buyers>, Problem> {
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let filters = checked(&None, &None, &asked.country, &asked.currency)?;
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsOrders, freshness).await?;
    let row = sqlx::query!(
        r#"WITH bought AS (
               SELECT customer_id, count(*) FILTER (WHERE paid_at >= $1) AS orders, count(*) AS orders_ever
               FROM analytics_orders
               WHERE paid_at < $2 AND ($3::text IS NULL OR country = $3) AND ($4::text IS NULL OR currency = $4)
                 AND (customer_id IS NOT NULL OR paid_at >= $1)
               GROUP BY customer_id
           )
           SELECT count(customer_id) FILTER (WHERE orders > 0) AS "buyers!",
                  count(customer_id) FILTER (WHERE orders > 0 AND orders = orders_ever) AS "new!",
                  count(customer_id) FILTER (WHERE orders > 0 AND orders_ever > 1) AS "repeat!",
                  coalesce(sum(orders) FILTER (WHERE customer_id IS NOT NULL), 0)::bigint AS "orders!",
                  coalesce(sum(orders) FILTER (WHERE customer_id IS NULL), 0)::bigint AS "guest_orders!"
           FROM bought"#,
        period.start(),
        period.end(),
        filters.country,
        filters.currency
    )
    .fetch_one(&analytics.pool)
    .await
    .map_err(failed_query)?;
    let buyers = Buyers {
        period: period.view(),
        buyers: row.buyers,
        new: row.new,
        repeat: row.repeat,
        repeat_share: share(row.repeat, row.buyers),
        orders: row.orders,
        guest_orders: row.guest_orders,
    };
    Ok(Answer::new(buyers, position))
}

async fn cohorts(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    Asked { filter: asked, freshness }: Asked<BuyersFilter>,
) -> Result<Answer<Cohorts>, Problem> {
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let bounds = period.bounds(Bucket::Month)?;
    let filters = checked(&None, &None, &asked.country, &asked.currency)?;
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsOrders, freshness).await?;
    let rows = sqlx::query!(
        r#"WITH paid AS (
               SELECT customer_id, paid_at FROM analytics_orders
               WHERE paid_at < $3 AND customer_id IS NOT NULL AND ($4::text IS NULL OR country = $4)
                 AND ($5::text IS NULL OR currency = $5)
           ), firsts AS (
               SELECT customer_id, min(paid_at) AS first FROM paid GROUP BY customer_id
           )
           SELECT width_bucket(f.first, $1::timestamptz[]) - 1 AS "cohort!",
                  width_bucket(p.paid_at, $1::timestamptz[]) - 1 AS "month!",
                  count(DISTINCT p.customer_id) AS "buyers!", count(*) AS "orders!"
           FROM firsts AS f JOIN paid AS p USING (customer_id)
           WHERE f.first >= $2
           GROUP BY 1, 2"#,
        &in_utc(&bounds),
        period.start(),
        period.end(),
        filters.country,
        filters.currency
    )
    .fetch_all(&analytics.pool)
    .await
    .map_err(failed_query)?;
    let months = bounds.len() - 1;
    let mut cohorts: Vec<Cohort> = spans(&bounds)
        .enumerate()
        .map(|(number, month)| {
            let later = (0..months - number).map(|after| CohortMonth { after, ..CohortMonth::default() });
            Cohort { month, buyers: 0, months: later.collect() }
        })
        .collect();
    for row in rows {
        // Nobody buys before the first time, and all of it is inside the period.
        let (cohort, after) = (usize::try_from(row.cohort), usize::try_from(row.month - row.cohort));
        let (Ok(cohort), Ok(after)) = (cohort, after) else { continue };
        let Some(cohort) = cohorts.get_mut(cohort) else { continue };
        if after == 0 {
            cohort.buyers = row.buyers;
        }
        if let Some(month) = cohort.months.get_mut(after) {
            (month.buyers, month.orders) = (row.buyers, row.orders);
        }
    }
    for cohort in &mut cohorts {
        let all = cohort.buyers;
        cohort.months.iter_mut().for_each(|month| month.share = share(month.buyers, all));
    }
    Ok(Answer::new(Cohorts { period: period.view(), cohorts }, position))
}
