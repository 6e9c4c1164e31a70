use crate::fact::{Fact, Subject};
use crate::pace::UNHURRIED;
use crate::projection::{ApplyError, Home, Projection};
use chrono::{DateTime, Utc};
use domain::inventory::Event;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use std::time::Duration;

/// When each SKU was sold out: from the event that took its last unit to the one that brought some again.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnalyticsStock;

/// A SKU while a batch is applied.
#[derive(Default)]
struct Level {
    available: i64,
    /// The event that took the last unit, while there is none.
    empty_revision: Option<i64>,
}

/// SKU and revision of the event that took the last unit.
type StockOut<'a> = (&'a str, i64);

/// What a batch does to stock-outs.
#[derive(Default)]
struct StockOuts<'a> {
    /// When they began, and the end, if it came in this batch too.
    begun: BTreeMap<StockOut<'a>, (DateTime<Utc>, Option<DateTime<Utc>>)>,
    /// The ends of those that began in earlier batches.
    ended: BTreeMap<StockOut<'a>, DateTime<Utc>>,
}

type Levels<'a> = BTreeMap<&'a str, Level>;

impl Projection for AnalyticsStock {
    const NAME: &'static str = "analytics_stock";
    const VERSION: i32 = 1;
    const WANTS: &'static [&'static str] = &[
        "inventory.received",
        "inventory.adjusted",
        "inventory.reserved",
        "inventory.released",
        "inventory.units_released",
    ];
    const TABLES: &'static [&'static str] = &["analytics_stock_levels", "analytics_stock_outs"];
    const STREAM_COLUMN: Option<&'static str> = Some("sku");
    const HOME: Home = Home::Analytics;
    const LEAST_REST: Duration = UNHURRIED;

    async fn apply(&self, transaction: &mut PgConnection, facts: &[Fact]) -> Result<(), ApplyError> {
        let mut levels = read_levels(transaction, facts).await?;
        let mut outs = StockOuts::default();
        for fact in facts {
            let Subject::Inventory(sku, event) = &fact.subject else { continue };
            let level = levels.entry(sku.as_str()).or_default();
            level.available += change(event);
            match (level.available, level.empty_revision) {
                (0, None) => {
                    level.empty_revision = Some(fact.revision);
                    outs.begun.insert((sku.as_str(), fact.revision), (fact.occurred_at, None));
                }
                (1.., Some(revision)) => {
                    level.empty_revision = None;
                    outs.end((sku.as_str(), revision), fact.occurred_at);
                }
                _ => {}
            }
        }
        write_levels(transaction, &levels).await?;
        insert_stock_outs(transaction, &outs).await?;
        end_stock_outs(transaction, &outs).await
    }
}

impl<'a> StockOuts<'a> {
    fn end(&mut self, stock_out: StockOut<'a>, at: DateTime<Utc>) {
        match self.begun.get_mut(&stock_out) {
            // What is recorded of the past need not come in its order.
            Some((began, ended)) => *ended = Some(at.max(*began)),
            None => {
                self.ended.insert(stock_out, at);
            }
        }
    }
}

/// Units that can be reserved, more or fewer. Held units that are committed or leave were not available before.
fn change(event: &Event) -> i64 {
    match event {
        Event::Received(received) => i64::from(received.quantity.units()),
        Event::Adjusted(adjusted) => adjusted.delta,
        Event::Reserved(reserved) => -i64::from(reserved.quantity.units()),
        Event::Released(released) => i64::from(released.quantity.units()),
        Event::UnitsReleased(released) => i64::from(released.quantity.units()),
        Event::ReservationClosed(_) | Event::Committed(_) | Event::Shipped(_) | Event::UnitsShipped(_) => 0,
    }
}

async fn read_levels<'a>(
    transaction: &mut PgConnection,
    facts: &'a [Fact],
) -> Result<Levels<'a>, ApplyError> {
    let mut levels = Levels::new();
    for fact in facts {
        if let Subject::Inventory(sku, _) = &fact.subject {
            levels.entry(sku.as_str()).or_default();
        }
    }
    if levels.is_empty() {
        return Ok(levels);
    }
    let skus: Vec<&str> = levels.keys().copied().collect();
    let rows = sqlx::query!(
        "SELECT sku, available, empty_revision FROM analytics_stock_levels WHERE sku = ANY($1::text[])",
        &skus as _
    )
    .fetch_all(transaction)
    .await?;
    for row in rows {
        if let Some(level) = levels.get_mut(row.sku.as_str()) {
            *level = Level { available: row.available, empty_revision: row.empty_revision };
        }
    }
    Ok(levels)
}

async fn write_levels(transaction: &mut PgConnection, levels: &Levels<'_>) -> Result<(), ApplyError> {
    if levels.is_empty() {
        return Ok(());
    }
    let skus: Vec<&str> = levels.keys().copied().collect();
    let available: Vec<i64> = levels.values().map(|level| level.available).collect();
    let empty: Vec<Option<i64>> = levels.values().map(|level| level.empty_revision).collect();
    sqlx::query!(
        "INSERT INTO analytics_stock_levels (sku, available, empty_revision)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::bigint[])
         ON CONFLICT (sku) DO UPDATE
         SET available = excluded.available, empty_revision = excluded.empty_revision",
        &skus as _,
        &available,
        &empty as _
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn insert_stock_outs(transaction: &mut PgConnection, outs: &StockOuts<'_>) -> Result<(), ApplyError> {
    if outs.begun.is_empty() {
        return Ok(());
    }
    let skus: Vec<&str> = outs.begun.keys().map(|(sku, _)| *sku).collect();
    let revisions: Vec<i64> = outs.begun.keys().map(|(_, revision)| *revision).collect();
    let (began, ended): (Vec<_>, Vec<_>) = outs.begun.values().copied().unzip();
    sqlx::query!(
        "INSERT INTO analytics_stock_outs (sku, revision, began_at, ended_at)
         SELECT * FROM UNNEST($1::text[], $2::bigint[], $3::timestamptz[], $4::timestamptz[])",
        &skus as _,
        &revisions,
        &began,
        &ended as _
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn end_stock_outs(transaction: &mut PgConnection, outs: &StockOuts<'_>) -> Result<(), ApplyError> {
    if outs.ended.is_empty() {
        return Ok(());
    }
    let skus: Vec<&str> = outs.ended.keys().map(|(sku, _)| *sku).collect();
    let revisions: Vec<i64> = outs.ended.keys().map(|(_, revision)| *revision).collect();
    let ended: Vec<DateTime<Utc>> = outs.ended.values().copied().collect();
    sqlx::query!(
        "UPDATE analytics_stock_outs AS o SET ended_at = greatest(e.ended_at, o.began_at)
         FROM UNNEST($1::text[], $2::bigint[], $3::timestamptz[]) AS e (sku, revision, ended_at)
         WHERE o.sku = e.sku AND o.revision = e.revision",
        &skus as _,
        &revisions,
        &ended
    )
    .execute(transaction)
    .await?;
    Ok(())
}
