//! Who changed the price of a product, and which orders were sold at it.

use super::{SNAPSHOT_OF_ORDERS, Shared};
use crate::answer::{Answer, failed_query, nothing};
use crate::asker::Asker;
use crate::checkpoints::ReadModel;
use crate::freshness::Asked;
use crate::history::{Priced, price_periods};
use crate::page::PageRequest;
use api::permission::ReadSales;
use api::sales::{PriceFilter, PricePeriod, SoldLine};
use api::{Amount, Page};
use axum::extract::State;
use chrono::{DateTime, Utc};
use domain::Sku;
use http_boundary::{Client, PathParams, Problem};
use http_routes::{Allowed, Routes};
use sqlx::PgConnection;
use std::collections::HashMap;
use uuid::Uuid;

pub fn routes() -> Routes<Shared> {
    Routes::new()
        .get("/products/{sku}/prices", list, "Every price that a product had at some moment, oldest first")
        .get(
            "/products/{sku}/prices/{revision}/orders",
            orders,
            "The orders that were placed while a price was asked for",
        )
}

#[derive(Clone, Copy, Default)]
struct Sold {
    orders: i64,
    units: i64,
    revenue: i64,
    others: i64,
}

/// Every price that the product had at some moment, oldest first.
async fn list(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    client: Client,
    PathParams(sku): PathParams<Sku>,
    Asked { filter: wanted, freshness }: Asked<PriceFilter>,
) -> Result<Answer<Page<PricePeriod>>, Problem> {
    let page = PageRequest::<u64>::read(wanted.limit, wanted.cursor.as_deref())?;
    let position = shared.checkpoints.reach(ReadModel::Orders, freshness).await?;
    let periods =
        periods(&shared, &sku, freshness.asker).await?.ok_or_else(|| nothing("product", &sku, position))?;
    let is_next = |period: &Priced| page.after.is_none_or(|after| period.set.revision > after);
    let periods: Vec<_> = periods.into_iter().filter(is_next).take(page.limit + 1).collect();
    let mut snapshot = shared.database.snapshot(client, SNAPSHOT_OF_ORDERS).await?;
    let sold = sold(&mut snapshot, &sku, &periods).await.map_err(failed_query)?;
    let view = |period: Priced| {
        let sold = sold.get(&period.set.revision).copied().unwrap_or_default();
        PricePeriod {
            orders: sold.orders,
            units: sold.units,
            revenue: Amount::new(sold.revenue, &period.set.price.currency),
            orders_at_other_prices: sold.others,
            set: period.set,
            from: period.from,
            until: period.until,
        }
    };
    Ok(Answer::new(page.page(periods, |period| period.set.revision, view), position))
}

async fn periods(shared: &Shared, sku: &Sku, asker: Asker) -> Result<Option<Vec<Priced>>, Problem> {
    let _reader = shared.readers.enter(asker).await?;
    Ok(price_periods(&shared.store, sku).await?)
}

async fn sold(
    snapshot: &mut PgConnection,
    sku: &Sku,
    periods: &[Priced],
) -> Result<HashMap<u64, Sold>, sqlx::Error> {
    let revisions: Vec<i64> = periods.iter().map(|period| period.set.revision.cast_signed()).collect();
    let prices: Vec<i64> = periods.iter().map(|period| period.set.price.amount).collect();
    let from: Vec<DateTime<Utc>> = periods.iter().map(|period| period.from).collect();
    let until: Vec<Option<DateTime<Utc>>> = periods.iter().map(|period| period.until).collect();
    let rows = sqlx::query!(
        r#"SELECT p.revision AS "revision!",
                  count(DISTINCT l.order_id) FILTER (WHERE l.unit_price = p.price) AS "orders!",
                  coalesce(sum(l.quantity) FILTER (WHERE l.unit_price = p.price), 0)::bigint AS "units!",
                  least(coalesce(sum(l.quantity::numeric * l.unit_price) FILTER (WHERE l.unit_price = p.price), 0),
                        9223372036854775807)::bigint AS "revenue!",
                  count(DISTINCT l.order_id) FILTER (WHERE l.unit_price <> p.price) AS "others!"
           FROM order_lines AS l JOIN orders AS o USING (order_id)
           JOIN UNNEST($2::bigint[], $3::bigint[], $4::timestamptz[], $5::timestamptz[])
                AS p (revision, price, since, until)
             ON o.placed_at >= p.since AND (p.until IS NULL OR o.placed_at < p.until)
           WHERE l.sku = $1 GROUP BY p.revision"#,
        sku.as_str(),
        &revisions,
        &prices,
        &from,
        &until as _
    )
    .fetch_all(snapshot)
    .await?;
    let of = |row: i64| u64::try_from(row).unwrap_or_default();
    Ok(rows
        .into_iter()
        .map(|row| {
            let sold =
                Sold { orders: row.orders, units: row.units, revenue: row.revenue, others: row.others };
            (of(row.revision), sold)
        })
        .collect())
}

/// The key of the last line of a page.
type Key = (DateTime<Utc>, Uuid, i64);

/// The orders of a price, in the order in which they were placed; those at another price in the same time among them.
async fn orders(
    _: Allowed<ReadSales>,
    State(shared): State<Shared>,
    client: Client,
    PathParams((sku, revision)): PathParams<(Sku, u64)>,
    Asked { filter: wanted, freshness }: Asked<PriceFilter>,
) -> Result<Answer<Page<SoldLine>>, Problem> {
    let page = PageRequest::<Key>::read(wanted.limit, wanted.cursor.as_deref())?;
    let position = shared.checkpoints.reach(ReadModel::Orders, freshness).await?;
    let mut periods = periods(&shared, &sku, freshness.asker).await?.unwrap_or_default().into_iter();
    let period = periods.find(|period| period.set.revision == revision).ok_or_else(|| {
        let id = format!("{sku}/{revision}");
        nothing("price", &id, position)
    })?;
    let mut snapshot = shared.database.snapshot(client, SNAPSHOT_OF_ORDERS).await?;
    let rows = sqlx::query!(
        "SELECT l.order_id, o.placed_at, o.status, o.customer_id, l.line_id, l.number, l.quantity, l.unit_price,
                o.currency
         FROM order_lines AS l JOIN orders AS o USING (order_id)
         WHERE l.sku = $1 AND o.placed_at >= $2 AND ($3::timestamptz IS NULL OR o.placed_at < $3)
           AND ($4::timestamptz IS NULL OR (o.placed_at, l.order_id, l.number) > ($4, $5::uuid, $6::bigint))
         ORDER BY o.placed_at, l.order_id, l.number LIMIT $7",
        sku.as_str(),
        period.from,
        period.until,
        page.after.map(|(placed_at, ..)| placed_at),
        page.after.map(|(_, order_id, _)| order_id),
        page.after.map(|(.., number)| number),
        page.fetch()
    )
    .fetch_all(&mut *snapshot)
    .await
    .map_err(failed_query)?;
    drop(snapshot);
    let price = period.set.price.amount;
    let page = page.page(
        rows,
        |row| (row.placed_at, row.order_id, row.number),
        |row| SoldLine {
            order_id: row.order_id,
            placed_at: row.placed_at,
            status: row.status,
            customer_id: row.customer_id,
            line_id: row.line_id,
            quantity: row.quantity,
            unit_price: Amount::new(row.unit_price, &row.currency),
            at_this_price: row.unit_price == price,
        },
    );
    Ok(Answer::new(page, position))
}
