//! The same figures by the minute, the quarter of an hour, the day and the month; and those of SKUs in all countries
//! together.

use super::sale::Sale;
use crate::projection::ApplyError;
use chrono::{DateTime, Datelike, DurationRound, NaiveTime, TimeDelta, Utc};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::ops::AddAssign;

/// SKU, start, merchant, country and currency: the primary key, in its order.
type Key = (String, DateTime<Utc>, String, String, String);
/// The same without the country.
type SkuKey = (String, DateTime<Utc>, String, String);

/// What is added to a row.
#[derive(Debug, Clone, Copy, Default)]
pub struct Figures {
    orders: i64,
    units: i64,
    gross: i64,
    refunded: i64,
    shipping: i64,
    shipping_refunded: i64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, more: Self) {
        self.orders += more.orders;
        self.units += more.units;
        self.gross += more.gross;
        self.refunded += more.refunded;
        self.shipping += more.shipping;
        self.shipping_refunded += more.shipping_refunded;
    }
}

/// What a batch adds to the tables.
#[derive(Debug, Default)]
pub struct Rollups {
    minutes: BTreeMap<Key, Figures>,
    quarters: BTreeMap<Key, Figures>,
    days: BTreeMap<Key, Figures>,
    months: BTreeMap<Key, Figures>,
    sku_days: BTreeMap<SkuKey, Figures>,
    sku_months: BTreeMap<SkuKey, Figures>,
}

impl Rollups {
    /// An order was paid.
    pub fn sold(&mut self, sale: &Sale, at: DateTime<Utc>) {
        let lines = sale.lines.iter().map(|line| {
            let figures = Figures { orders: 1, units: line.units, gross: line.amount, ..Figures::default() };
            ((line.sku.as_str(), line.merchant.as_str()), figures)
        });
        let whole = Figures { orders: 1, shipping: sale.shipping, ..Figures::default() };
        self.book(sale, at, lines, whole);
    }

    /// Of a paid order, the money that went back was `before`, and is `after` now.
    pub fn refunded(&mut self, sale: &Sale, at: DateTime<Utc>, before: i64, after: i64) {
        let mut parts: Vec<i64> = sale
            .parts(after)
            .into_iter()
            .zip(sale.parts(before))
            .map(|(after, before)| after - before)
            .collect();
        let shipping_refunded = parts.pop().unwrap_or_default();
        let lines =
            sale.lines.iter().zip(parts).filter(|(_, refunded)| *refunded != 0).map(|(line, refunded)| {
                ((line.sku.as_str(), line.merchant.as_str()), Figures { refunded, ..Figures::default() })
            });
        self.book(sale, at, lines, Figures { shipping_refunded, ..Figures::default() });
    }

    /// Books the lines under their SKUs, their merchants and all together. An order counts once in each of them.
    fn book<'a>(
        &mut self,
        sale: &Sale,
        at: DateTime<Utc>,
        lines: impl Iterator<Item = ((&'a str, &'a str), Figures)>,
        mut whole: Figures,
    ) {
        let mut merchants: BTreeMap<&str, Figures> = BTreeMap::new();
        for ((sku, merchant), figures) in lines {
            self.add(sale, at, (sku, merchant), figures);
            let of_merchant = merchants.entry(merchant).or_default();
            *of_merchant += Figures { orders: 0, ..figures };
            of_merchant.orders = figures.orders;
            whole += Figures { orders: 0, ..figures };
        }
        for (merchant, figures) in merchants {
            self.add(sale, at, ("", merchant), figures);
        }
        self.add(sale, at, ("", ""), whole);
    }

    fn add(&mut self, sale: &Sale, at: DateTime<Utc>, (sku, merchant): (&str, &str), figures: Figures) {
        let key = |starts| {
            (sku.to_owned(), starts, merchant.to_owned(), sale.country.clone(), sale.currency.clone())
        };
        let sku_key = |starts| (sku.to_owned(), starts, merchant.to_owned(), sale.currency.clone());
        let day = at.date_naive();
        let month = day.with_day(1).unwrap_or(day).and_time(NaiveTime::MIN).and_utc();
        let day = day.and_time(NaiveTime::MIN).and_utc();
        *self.minutes.entry(key(floor(at, TimeDelta::minutes(1)))).or_default() += figures;
        *self.months.entry(key(month)).or_default() += figures;
        if sku.is_empty() {
            *self.quarters.entry(key(floor(at, TimeDelta::minutes(15)))).or_default() += figures;
            *self.days.entry(key(day)).or_default() += figures;
        } else {
            *self.sku_days.entry(sku_key(day)).or_default() += figures;
            *self.sku_months.entry(sku_key(month)).or_default() += figures;
        }
    }

    /// Adds all of it to what the tables have.
    pub async fn write(&self, transaction: &mut PgConnection) -> Result<(), ApplyError> {
        self.write_sales(transaction).await?;
        self.write_skus(transaction).await
    }

    async fn write_sales(&self, transaction: &mut PgConnection) -> Result<(), ApplyError> {
        // A statement's text must be known to the compiler, and so its table.
        macro_rules! add_to {
            ($table:literal, $rows:expr) => {
                if !$rows.is_empty() {
                    let columns = Columns::of($rows);
                    sqlx::query!(
                        "INSERT INTO " + $table + " AS t
                             (sku, starts, merchant, country, currency, orders, units, gross, refunded, shipping,
                              shipping_refunded)
                         SELECT * FROM UNNEST($1::text[], $2::timestamptz[], $3::text[], $4::text[], $5::text[],
                                              $6::bigint[], $7::bigint[], $8::bigint[], $9::bigint[],
                                              $10::bigint[], $11::bigint[])
                         ON CONFLICT (sku, starts, merchant, country, currency) DO UPDATE
                         SET orders = t.orders + excluded.orders, units = t.units + excluded.units,
                             gross = t.gross + excluded.gross, refunded = t.refunded + excluded.refunded,
                             shipping = t.shipping + excluded.shipping,
                             shipping_refunded = t.shipping_refunded + excluded.shipping_refunded",
                        &columns.skus as _,
                        &columns.starts,
                        &columns.merchants as _,
                        &columns.countries as _,
                        &columns.currencies as _,
                        &columns.orders,
                        &columns.units,
                        &columns.gross,
                        &columns.refunded,
                        &columns.shipping,
                        &columns.shipping_refunded
                    )
                    .execute(&mut *transaction)
                    .await?;
                }
            };
        }
        add_to!("analytics_sales_minutes", &self.minutes);
        add_to!("analytics_sales_quarters", &self.quarters);
        add_to!("analytics_sales_days", &self.days);
        add_to!("analytics_sales_months", &self.months);
        Ok(())
    }

    async fn write_skus(&self, transaction: &mut PgConnection) -> Result<(), ApplyError> {
        macro_rules! add_to {
            ($table:literal, $rows:expr) => {
                if !$rows.is_empty() {
                    let rows = $rows;
                    let figures = |value: fn(&Figures) -> i64| rows.values().map(value).collect::<Vec<i64>>();
                    sqlx::query!(
                        "INSERT INTO " + $table + " AS t
                             (sku, starts, merchant, currency, orders, units, gross, refunded)
                         SELECT * FROM UNNEST($1::text[], $2::timestamptz[], $3::text[], $4::text[],
                                              $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[])
                         ON CONFLICT (sku, starts, merchant, currency) DO UPDATE
                         SET orders = t.orders + excluded.orders, units = t.units + excluded.units,
                             gross = t.gross + excluded.gross, refunded = t.refunded + excluded.refunded",
                        &rows.keys().map(|key| key.0.as_str()).collect::<Vec<_>>() as _,
                        &rows.keys().map(|key| key.1).collect::<Vec<_>>(),
                        &rows.keys().map(|key| key.2.as_str()).collect::<Vec<_>>() as _,
                        &rows.keys().map(|key| key.3.as_str()).collect::<Vec<_>>() as _,
                        &figures(|row| row.orders),
                        &figures(|row| row.units),
                        &figures(|row| row.gross),
                        &figures(|row| row.refunded)
                    )
                    .execute(&mut *transaction)
                    .await?;
                }
            };
        }
        add_to!("analytics_sku_days", &self.sku_days);
        add_to!("analytics_sku_months", &self.sku_months);
        Ok(())
    }
}

/// Rows as the arrays of a statement.
struct Columns<'a> {
    skus: Vec<&'a str>,
    starts: Vec<DateTime<Utc>>,
    merchants: Vec<&'a str>,
    countries: Vec<&'a str>,
    currencies: Vec<&'a str>,
    orders: Vec<i64>,
    units: Vec<i64>,
    gross: Vec<i64>,
    refunded: Vec<i64>,
    shipping: Vec<i64>,
    shipping_refunded: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(rows: &'a BTreeMap<Key, Figures>) -> Self {
        let figures = |value: fn(&Figures) -> i64| rows.values().map(value).collect();
        Self {
            skus: rows.keys().map(|key| key.0.as_str()).collect(),
            starts: rows.keys().map(|key| key.1).collect(),
            merchants: rows.keys().map(|key| key.2.as_str()).collect(),
            countries: rows.keys().map(|key| key.3.as_str()).collect(),
            currencies: rows.keys().map(|key| key.4.as_str()).collect(),
            orders: figures(|row| row.orders),
            units: figures(|row| row.units),
            gross: figures(|row| row.gross),
            refunded: figures(|row| row.refunded),
            shipping: figures(|row| row.shipping),
            shipping_refunded: figures(|row| row.shipping_refunded),
        }
    }
}

/// The start of the minute, or of whatever span of time counts from the epoch on.
fn floor(at: DateTime<Utc>, span: TimeDelta) -> DateTime<Utc> {
    // Fails only for years that no column could hold.
    at.duration_trunc(span).unwrap_or(at)
}
