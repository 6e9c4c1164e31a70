use super::Shared;
use crate::answer::{Answer, MoneyView, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::page::{Page, PageRequest};
use crate::parameters::{day, given};
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use chrono::NaiveDate;
use domain::Currency;
use http_boundary::{Caller, Client, Problem};
use serde::{Deserialize, Serialize};

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/sales/days", get(days))
        .route(
            "/sales/skus",
            get(|shared, client, caller, filter| keys("sku", shared, client, caller, filter)),
        )
        .route(
            "/sales/merchants",
            get(|shared, client, caller, filter| keys("merchant", shared, client, caller, filter)),
        )
        .route(
            "/sales/countries",
            get(|shared, client, caller, filter| keys("country", shared, client, caller, filter)),
        )
}

/// Days (UTC), both inside.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    from: Option<String>,
    to: Option<String>,
    currency: Option<String>,
    limit: Option<usize>,
    cursor: Option<String>,
}

#[derive(Serialize)]
struct SalesView {
    #[serde(flatten)]
    key: Key,
    orders: i64,
    lines: i64,
    units: i64,
    revenue: MoneyView,
}

/// What the row is about, under its own name.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    Day(NaiveDate),
    Sku(String),
    MerchantId(String),
    Country(String),
}

struct Row {
    key: String,
    currency: String,
    orders: i64,
    lines: i64,
    units: i64,
    revenue: i64,
}

struct DayRow {
    day: NaiveDate,
    currency: String,
    orders: i64,
    lines: i64,
    units: i64,
    revenue: i64,
}

struct Period {
    from: Option<NaiveDate>,
    to: Option<NaiveDate>,
    currency: Option<Currency>,
}

impl Filter {
    fn period(&self) -> Result<Period, Problem> {
        let currency = given(self.currency.as_deref()).map(str::parse).transpose();
        Ok(Period {
            from: day("from", self.from.as_deref())?,
            to: day("to", self.to.as_deref())?,
            currency: currency
                .map_err(|error: domain::money::InvalidCurrency| Problem::invalid(error.to_string()))?,
        })
    }
}

/// By day, oldest first.
async fn days(
    State(shared): State<Shared>,
    client: Client,
    caller: Caller,
    Asked { filter, freshness }: Asked<Filter>,
) -> Result<Answer<Page<SalesView>>, Problem> {
    caller.require_operator()?;
    let period = filter.period()?;
    let page = PageRequest::<(NaiveDate, String)>::read(filter.limit, filter.cursor.as_deref())?;
    let reached = shared.checkpoints.reach(ReadModel::Sales, freshness).await?;
    let mut database = shared.database.connection(client).await?;
    let rows = sqlx::query_as!(
        DayRow,
        "SELECT day, currency, orders, lines, units, revenue FROM sales
         WHERE dimension = 'total' AND ($1::date IS NULL OR day >= $1) AND ($2::date IS NULL OR day <= $2)
           AND ($3::text IS NULL OR currency = $3)
           AND ($4::date IS NULL OR (day, currency) > ($4, $5::text))
         ORDER BY day, currency LIMIT $6",
        period.from,
        period.to,
        period.currency.map(String::from),
        page.after.as_ref().map(|(day, _)| *day),
        page.after.as_ref().map(|(_, currency)| currency.as_str()),
        page.fetch()
    )
    .fetch_all(&mut *database)
    .await
    .map_err(failed_query)?;
    let view = |row: DayRow| SalesView {
        key: Key::Day(row.day),
        orders: row.orders,
        lines: row.lines,
        units: row.units,
        revenue: MoneyView::new(row.revenue, &row.currency),
    };
    Ok(Answer::new(page.page(rows, |row| (row.day, row.currency.clone()), view), reached))
}

/// By key, the largest revenue first.
async fn keys(
    dimension: &'static str,
    State(shared): State<Shared>,
    client: Client,
    caller: Caller,
    Asked { filter, freshness }: Asked<Filter>,
) -> Result<Answer<Page<SalesView>>, Problem> {
    caller.require_operator()?;
    let period = filter.period()?;
    let page = PageRequest::<(i64, String, String)>::read(filter.limit, filter.cursor.as_deref())?;
    let reached = shared.checkpoints.reach(ReadModel::Sales, freshness).await?;
    let (revenue, key, currency) = match &page.after {
        Some((revenue, key, currency)) => (Some(*revenue), Some(key.as_str()), Some(currency.as_str())),
        None => (None, None, None),
    };
    let mut database = shared.database.connection(client).await?;
    let rows = sqlx::query_as!(
        Row,
        r#"SELECT key AS "key!", currency AS "currency!", orders AS "orders!", lines AS "lines!",
                  units AS "units!", revenue AS "revenue!"
           FROM (
               SELECT key, currency, sum(orders)::bigint AS orders, sum(lines)::bigint AS lines,
                      sum(units)::bigint AS units, sum(revenue)::bigint AS revenue
               FROM sales
               WHERE dimension = $1 AND ($2::date IS NULL OR day >= $2) AND ($3::date IS NULL OR day <= $3)
                 AND ($4::text IS NULL OR currency = $4)
               GROUP BY key, currency
           ) AS sold
           WHERE $5::bigint IS NULL OR revenue < $5 OR (revenue = $5 AND (key, currency) > ($6::text, $7::text))
           ORDER BY revenue DESC, key, currency LIMIT $8"#,
        dimension,
        period.from,
        period.to,
        period.currency.map(String::from),
        revenue,
        key,
        currency,
        page.fetch()
    )
    .fetch_all(&mut *database)
    .await
    .map_err(failed_query)?;
    let key_of = |row: &Row| (row.revenue, row.key.clone(), row.currency.clone());
    let view = |row: Row| SalesView {
        key: match dimension {
            "sku" => Key::Sku(row.key),
            "merchant" => Key::MerchantId(row.key),
            _ => Key::Country(row.key),
        },
        orders: row.orders,
        lines: row.lines,
        units: row.units,
        revenue: MoneyView::new(row.revenue, &row.currency),
    };
    Ok(Answer::new(page.page(rows, key_of, view), reached))
}
