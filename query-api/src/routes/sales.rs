use super::Shared;
use crate::answer::{Answer, failed_query};
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::page::PageRequest;
use crate::parameters::{day, given};
use api::permission::ReadSales;
use api::sales::{Sales, SalesFilter, SalesKey};
use api::{Amount, Page};
use axum::extract::State;
use chrono::NaiveDate;
use domain::Currency;
use http_boundary::{Client, Problem};
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new()
        .get("/sales/days", days, "Sales by day, oldest first")
        .get("/sales/skus", skus, "Sales by SKU, the largest revenue first")
        .get("/sales/merchants", merchants, "Sales by merchant, the largest revenue first")
        .get("/sales/countries", countries, "Sales by country, the largest revenue first")
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

impl Period {
    fn read(asked: &SalesFilter) -> Result<Self, Problem> {
        let currency = given(asked.currency.as_deref()).map(str::parse).transpose();
        Ok(Self {
            from: day("from", asked.from.as_deref())?,
            to: day("to", asked.to.as_deref())?,
            currency: currency
                .map_err(|error: domain::money::InvalidCurrency| Problem::invalid(error.to_string()))?,
        })
    }
}

/// By day, oldest first.
async fn days(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    client: Client,
    Asked { filter, freshness }: Asked<SalesFilter>,
) -> Result<Answer<Page<Sales>>, Problem> {
    let period = Period::read(&filter)?;
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
    let view = |row: DayRow| Sales {
        key: SalesKey::Day(row.day),
        orders: row.orders,
        lines: row.lines,
        units: row.units,
        revenue: Amount::new(row.revenue, &row.currency),
    };
    Ok(Answer::new(page.page(rows, |row| (row.day, row.currency.clone()), view), reached))
}

macro_rules! by_key {
    ($($name:ident $dimension:literal),*) => {
        $(
            async fn $name(
                _: Allowed<ReadSales>,
                State(shared): State<Shared>,
                client: Client,
                asked: Asked<SalesFilter>,
            ) -> Result<Answer<Page<Sales>>, Problem> {
                by_key($dimension, &shared, client, asked).await
            }
        )*
    };
}

by_key!(skus "sku", merchants "merchant", countries "country");

async fn by_key(
    dimension: &'static str,
    shared: &Shared,
    client: Client,
    Asked { filter, freshness }: Asked<SalesFilter>,
) -> Result<Answer<Page<Sales>>, Problem> {
    let period = Period::read(&filter)?;
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
    let view = |row: Row| Sales {
        key: match dimension {
            "sku" => SalesKey::Sku(row.key),
            "merchant" => SalesKey::MerchantId(row.key),
            _ => SalesKey::Country(row.key),
        },
        orders: row.orders,
        lines: row.lines,
        units: row.units,
        revenue: Amount::new(row.revenue, &row.currency),
    };
    Ok(Answer::new(page.page(rows, key_of, view), reached))
}
