//! What shoppers wanted and stock refused.

use super::filters::checked;
use super::period::{Period, in_utc, spans};
use crate::answer::{Answer, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::routes::Shared;
use api::Amount;
use api::analytics::{LostSales, LostSalesBucket, LostSalesSeries, RevenueFilter};
use api::permission::ReadSales;
use axum::extract::State;
use http_boundary::Problem;
use http_routes::{Allowed, Routes};
use std::collections::{BTreeSet, HashMap};

pub fn routes() -> Routes<Shared> {
    Routes::new().get("/analytics/lost-sales", lost_sales, "What shoppers wanted and stock refused")
}

#[derive(Default)]
struct Row {
    bucket: i32,
    currency: String,
    orders: i64,
    units: i64,
    missing: i64,
    amount: i64,
}

async fn lost_sales(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    Asked { filter: asked, freshness }: Asked<RevenueFilter>,
) -> Result<Answer<LostSalesSeries>, Problem> {
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let bucket = asked.bucket.unwrap_or_default();
    let bounds = period.bounds(bucket)?;
    let filters = checked(&asked.sku, &asked.merchant, &asked.country, &asked.currency)?;
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsSales, freshness).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT width_bucket(refused_at, $1::timestamptz[]) - 1 AS "bucket!", currency,
                  count(DISTINCT order_id) AS "orders!", sum(units)::bigint AS "units!",
                  sum(units - available)::bigint AS "missing!", sum(amount)::bigint AS "amount!"
           FROM analytics_lost_sales
           WHERE refused_at >= $2 AND refused_at < $3 AND ($4::text IS NULL OR sku = $4)
             AND ($5::text IS NULL OR merchant = $5) AND ($6::text IS NULL OR country = $6)
             AND ($7::text IS NULL OR currency = $7)
           GROUP BY 1, 2"#,
        &in_utc(&bounds),
        period.start(),
        period.end(),
        filters.sku,
        filters.merchant,
        filters.country,
        filters.currency
    )
    .fetch_all(&analytics.pool)
    .await
    .map_err(failed_query)?;
    let mut currencies: BTreeSet<String> = rows.iter().map(|row| row.currency.clone()).collect();
    currencies.extend(filters.currency);
    let lost: HashMap<(i32, &str), &Row> =
        rows.iter().map(|row| ((row.bucket, row.currency.as_str()), row)).collect();
    let none = Row::default();
    let view = |(number, span)| {
        let of = |currency: &String| {
            lost.get(&(number, currency.as_str())).copied().unwrap_or(&none).view(currency)
        };
        LostSalesBucket { span, lost: currencies.iter().map(of).collect() }
    };
    let buckets = (0..).zip(spans(&bounds)).map(view).collect();
    Ok(Answer::new(LostSalesSeries { period: period.view(), bucket, buckets }, position))
}

impl Row {
    fn view(&self, currency: &str) -> LostSales {
        LostSales {
            currency: currency.to_owned(),
            orders: self.orders,
            units: self.units,
            missing: self.missing,
            amount: Amount::new(self.amount, currency),
        }
    }
}
