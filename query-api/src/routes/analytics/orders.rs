//! Orders by the time at which they were placed: their states, their average value, and how many items they have.

use super::filters::checked;
use super::period::{Period, in_utc, spans};
use crate::answer::{Answer, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::routes::Shared;
use api::Amount;
use api::analytics::{OrdersBucket, OrdersFigures, OrdersFilter, OrdersSeries};
use api::permission::ReadSales;
use axum::extract::State;
use http_boundary::Problem;
use http_routes::{Allowed, Routes};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// All states there are, so that one without orders is told too.
const STATES: [&str; 7] = ["pending", "paid", "processing", "shipped", "delivered", "cancelled", "refunded"];

pub fn routes() -> Routes<Shared> {
    Routes::new().get(
        "/analytics/orders",
        orders,
        "Orders by the time at which they were placed: their status, their average value, their items",
    )
}

/// Orders of one bucket, currency and state.
struct Row {
    bucket: i32,
    currency: String,
    status: String,
    placed: i64,
    paid: i64,
    paid_total: i64,
    paid_units: i64,
}

/// Orders of one bucket and currency.
#[derive(Default)]
struct Sums {
    states: BTreeMap<&'static str, i64>,
    placed: i64,
    paid: i64,
    paid_total: i64,
    paid_units: i64,
}

async fn orders(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    Asked { filter: asked, freshness }: Asked<OrdersFilter>,
) -> Result<Answer<OrdersSeries>, Problem> {
    let period = Period::read(asked.from.as_deref(), asked.to.as_deref(), asked.time_zone.as_deref())?;
    let bucket = asked.bucket.unwrap_or_default();
    let bounds = period.bounds(bucket)?;
    let filters = checked(&None, &None, &asked.country, &asked.currency)?;
    let analytics = &shared.analytics;
    let position = analytics.checkpoints.reach(ReadModel::AnalyticsOrders, freshness).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT width_bucket(placed_at, $1::timestamptz[]) - 1 AS "bucket!", currency, status,
                  count(*) AS "placed!", count(paid_at) AS "paid!",
                  coalesce(sum(total) FILTER (WHERE paid_at IS NOT NULL), 0)::bigint AS "paid_total!",
                  coalesce(sum(units) FILTER (WHERE paid_at IS NOT NULL), 0)::bigint AS "paid_units!"
           FROM analytics_orders
           WHERE placed_at >= $2 AND placed_at < $3 AND ($4::text IS NULL OR country = $4)
             AND ($5::text IS NULL OR currency = $5)
           GROUP BY 1, 2, 3"#,
        &in_utc(&bounds),
        period.start(),
        period.end(),
        filters.country,
        filters.currency
    )
    .fetch_all(&analytics.pool)
    .await
    .map_err(failed_query)?;
    let mut currencies: BTreeSet<String> = rows.iter().map(|row| row.currency.clone()).collect();
    currencies.extend(filters.currency);
    let sums = summed(&rows);
    let none = Sums::default();
    let view = |(number, span)| {
        let of = |currency: &String| sums.get(&(number, currency.as_str())).unwrap_or(&none).view(currency);
        OrdersBucket { span, orders: currencies.iter().map(of).collect() }
    };
    let buckets = (0..).zip(spans(&bounds)).map(view).collect();
    Ok(Answer::new(OrdersSeries { period: period.view(), bucket, buckets }, position))
}

fn summed(rows: &[Row]) -> HashMap<(i32, &str), Sums> {
    let mut all: HashMap<(i32, &str), Sums> = HashMap::new();
    for row in rows {
        let sums = all.entry((row.bucket, row.currency.as_str())).or_default();
        if let Some(state) = STATES.into_iter().find(|state| *state == row.status) {
            sums.states.insert(state, row.placed);
        }
        sums.placed += row.placed;
        sums.paid += row.paid;
        sums.paid_total += row.paid_total;
        sums.paid_units += row.paid_units;
    }
    all
}

impl Sums {
    fn view(&self, currency: &str) -> OrdersFigures {
        let has_paid = self.paid > 0;
        OrdersFigures {
            currency: currency.to_owned(),
            placed: self.placed,
            states: STATES
                .map(|state| (state.to_owned(), self.states.get(state).copied().unwrap_or(0)))
                .into(),
            paid: self.paid,
            paid_total: Amount::new(self.paid_total, currency),
            average_order_value: has_paid.then(|| Amount::new(rounded(self.paid_total, self.paid), currency)),
            items_per_order: has_paid.then(|| per(self.paid_units, self.paid)),
        }
    }
}

/// A share to the nearest minor unit, half of one upwards.
fn rounded(total: i64, count: i64) -> i64 {
    total.saturating_mul(2).saturating_add(count).div_euclid(count.saturating_mul(2))
}

#[expect(clippy::cast_precision_loss, reason = "two digits after the point are shown")]
fn per(units: i64, count: i64) -> f64 {
    (units as f64 / count as f64 * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn averages_are_rounded_to_the_nearest() {
        assert_eq!([rounded(10, 4), rounded(9, 4), rounded(11, 4), rounded(0, 7)], [3, 2, 3, 0]);
        assert!((per(10, 3) - 3.33).abs() < 1e-9);
    }
}
