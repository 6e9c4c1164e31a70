//! What shoppers wanted and stock refused.

use super::filters::checked;
use super::period::{Bucket, Period, PeriodView, Span, in_utc, spans};
use crate::answer::{Answer, MoneyView, failed_query};
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
    Router::new().route("/analytics/lost-sales", get(lost_sales))
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

#[derive(Serialize)]
struct BucketView {
    #[serde(flatten)]
    span: Span,
    lost: Vec<LostView>,
}

#[derive(Serialize)]
struct LostView {
    currency: String,
    /// Orders that were called off for lack of stock.
    orders: i64,
    /// Units that were asked for of what was short.
    units: i64,
    /// The units among them that were not there.
    missing: i64,
    /// The price of all that were asked for.
    amount: MoneyView,
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
        BucketView { span, lost: currencies.iter().map(of).collect() }
    };
    let buckets = (0..).zip(spans(&bounds)).map(view).collect();
    Ok(Answer::new(Series { period: period.view(), bucket, buckets }, position))
}

impl Row {
    fn view(&self, currency: &str) -> LostView {
        LostView {
            currency: currency.to_owned(),
            orders: self.orders,
            units: self.units,
            missing: self.missing,
            amount: MoneyView::new(self.amount, currency),
        }
    }
}
