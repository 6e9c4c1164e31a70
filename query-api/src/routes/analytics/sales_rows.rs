//! The question to the tables of revenue that all others are made of.

use super::cover::{Grain, Ranges};
use crate::answer::failed_query;
use chrono::{DateTime, Utc};
use http_boundary::Problem;
use sqlx::PgPool;

/// What rows are told apart by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// Only by bucket and currency.
    Nothing,
    Sku,
    Merchant,
    Country,
}

impl By {
    fn name(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Sku => "sku",
            Self::Merchant => "merchant",
            Self::Country => "country",
        }
    }
}

/// Which sales, told apart how, and how many of the best of each bucket and currency.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    pub by: By,
    pub sku: Option<&'a str>,
    pub merchant: Option<&'a str>,
    pub country: Option<&'a str>,
    pub currency: Option<&'a str>,
    /// `gross`, `net` or `units`.
    pub best_by: &'static str,
    pub limit: i64,
}

/// What was sold.
#[derive(Debug, Clone, Default)]
pub struct SalesRow {
    pub bucket: i32,
    pub key: String,
    pub currency: String,
    pub orders: i64,
    pub units: i64,
    pub gross: i64,
    pub refunded: i64,
    pub shipping: i64,
    pub shipping_refunded: i64,
}

/// What was sold in each bucket between the bounds, in the order of buckets, currencies and rank. Buckets without sales
/// have no row.
pub async fn read(
    pool: &PgPool,
    bounds: &[DateTime<Utc>],
    selection: Selection<'_>,
) -> Result<Vec<SalesRow>, Problem> {
    let is_about_sku = selection.by == By::Sku || selection.sku.is_some();
    let is_about_country = selection.by == By::Country || selection.country.is_some();
    let rows = match (is_about_sku, is_about_country) {
        (false, _) => read_sales(pool, Ranges::of(bounds, &Grain::ALL), selection, false).await,
        (true, true) => {
            read_sales(pool, Ranges::of(bounds, &Grain::OF_SKUS_BY_COUNTRY), selection, true).await
        }
        (true, false) => read_skus(pool, Ranges::of(bounds, &Grain::OF_SKUS), selection).await,
    };
    rows.map_err(failed_query)
}

/// `OFFSET 0` keeps the loop over the ranges outside: each of them is one short walk through an index.
async fn read_sales(
    pool: &PgPool,
    ranges: Ranges,
    selection: Selection<'_>,
    is_about_sku: bool,
) -> Result<Vec<SalesRow>, sqlx::Error> {
    let Selection { by, sku, merchant, country, currency, best_by, limit } = selection;
    // Rows are about a SKU, about a merchant's SKUs together, or about everything.
    let is_about_merchant = is_about_sku || by == By::Merchant || merchant.is_some();
    sqlx::query_as!(
        SalesRow,
        r#"WITH figures AS (
               SELECT r.bucket, s.key, s.currency, sum(s.orders)::bigint AS orders, sum(s.units)::bigint AS units,
                      sum(s.gross)::bigint AS gross, sum(s.refunded)::bigint AS refunded,
                      sum(s.shipping)::bigint AS shipping, sum(s.shipping_refunded)::bigint AS shipping_refunded
               FROM UNNEST($1::integer[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                        AS r (bucket, grain, first, last)
               CROSS JOIN LATERAL (
                   SELECT CASE $5 WHEN 'sku' THEN sku WHEN 'merchant' THEN merchant WHEN 'country' THEN country
                                  ELSE '' END AS key,
                          currency, orders, units, gross, refunded, shipping, shipping_refunded
                   FROM (
                       SELECT * FROM analytics_sales_minutes
                       WHERE r.grain = 'minute' AND starts >= r.first AND starts < r.last
                       UNION ALL
                       SELECT * FROM analytics_sales_quarters
                       WHERE r.grain = 'quarter' AND starts >= r.first AND starts < r.last
                       UNION ALL
                       SELECT * FROM analytics_sales_days
                       WHERE r.grain = 'day' AND starts >= r.first AND starts < r.last
                       UNION ALL
                       SELECT * FROM analytics_sales_months
                       WHERE r.grain = 'month' AND starts >= r.first AND starts < r.last
                   ) AS sold
                   WHERE (sku <> '') = $6::boolean AND (merchant <> '') = $7::boolean
                     AND ($8::text IS NULL OR sku = $8) AND ($9::text IS NULL OR merchant = $9)
                     AND ($10::text IS NULL OR country = $10) AND ($11::text IS NULL OR currency = $11)
                   OFFSET 0
               ) AS s
               GROUP BY 1, 2, 3
           ), ranked AS (
               SELECT *, row_number() OVER (
                             PARTITION BY bucket, currency
                             ORDER BY CASE $12 WHEN 'units' THEN units WHEN 'net' THEN gross - refunded
                                               ELSE gross END DESC, key
                         ) AS rank
               FROM figures
           )
           SELECT bucket AS "bucket!", key AS "key!", currency AS "currency!", orders AS "orders!",
                  units AS "units!", gross AS "gross!", refunded AS "refunded!", shipping AS "shipping!",
                  shipping_refunded AS "shipping_refunded!"
           FROM ranked WHERE rank <= $13 ORDER BY bucket, currency, rank"#,
        &ranges.buckets,
        &ranges.grains as _,
        &ranges.starts,
        &ranges.ends,
        by.name(),
        is_about_sku,
        is_about_merchant,
        sku,
        merchant,
        country,
        currency,
        best_by,
        limit
    )
    .fetch_all(pool)
    .await
}

/// The same for SKUs in all countries together, from tables that are made for it.
async fn read_skus(
    pool: &PgPool,
    ranges: Ranges,
    selection: Selection<'_>,
) -> Result<Vec<SalesRow>, sqlx::Error> {
    let Selection { by, sku, merchant, country: _, currency, best_by, limit } = selection;
    sqlx::query_as!(
        SalesRow,
        r#"WITH figures AS (
               SELECT r.bucket, s.key, s.currency, sum(s.orders)::bigint AS orders, sum(s.units)::bigint AS units,
                      sum(s.gross)::bigint AS gross, sum(s.refunded)::bigint AS refunded
               FROM UNNEST($1::integer[], $2::text[], $3::timestamptz[], $4::timestamptz[])
                        AS r (bucket, grain, first, last)
               CROSS JOIN LATERAL (
                   SELECT CASE $5 WHEN 'sku' THEN sku WHEN 'merchant' THEN merchant ELSE '' END AS key,
                          currency, orders, units, gross, refunded
                   FROM (
                       SELECT sku, merchant, currency, orders, units, gross, refunded FROM analytics_sales_minutes
                       WHERE r.grain = 'minute' AND starts >= r.first AND starts < r.last AND sku <> ''
                       UNION ALL
                       SELECT sku, merchant, currency, orders, units, gross, refunded FROM analytics_sku_days
                       WHERE r.grain = 'day' AND starts >= r.first AND starts < r.last
                       UNION ALL
                       SELECT sku, merchant, currency, orders, units, gross, refunded FROM analytics_sku_months
                       WHERE r.grain = 'month' AND starts >= r.first AND starts < r.last
                   ) AS sold
                   WHERE ($6::text IS NULL OR sku = $6) AND ($7::text IS NULL OR merchant = $7)
                     AND ($8::text IS NULL OR currency = $8)
                   OFFSET 0
               ) AS s
               GROUP BY 1, 2, 3
           ), ranked AS (
               SELECT *, row_number() OVER (
                             PARTITION BY bucket, currency
                             ORDER BY CASE $9 WHEN 'units' THEN units WHEN 'net' THEN gross - refunded
                                              ELSE gross END DESC, key
                         ) AS rank
               FROM figures
           )
           SELECT bucket AS "bucket!", key AS "key!", currency AS "currency!", orders AS "orders!",
                  units AS "units!", gross AS "gross!", refunded AS "refunded!", 0::bigint AS "shipping!",
                  0::bigint AS "shipping_refunded!"
           FROM ranked WHERE rank <= $10 ORDER BY bucket, currency, rank"#,
        &ranges.buckets,
        &ranges.grains as _,
        &ranges.starts,
        &ranges.ends,
        by.name(),
        sku,
        merchant,
        currency,
        best_by,
        limit
    )
    .fetch_all(pool)
    .await
}
