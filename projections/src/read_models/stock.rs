use crate::fact::{Fact, Subject};
use crate::projection::{ApplyError, Projection};
use domain::{Quantity, Sku, inventory};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Units of each SKU.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stock;

/// What a batch adds to a SKU's figures.
struct Change<'a> {
    received: i64,
    adjusted: i64,
    available: i64,
    reserved: i64,
    committed: i64,
    shipped: i64,
    last: &'a Fact,
}

impl Projection for Stock {
    const NAME: &'static str = "stock";
    const VERSION: i32 = 1;
    const WANTS: &'static [&'static str] = &["inventory"];
    const TABLES: &'static [&'static str] = &["stock"];
    const STREAM_COLUMN: Option<&'static str> = Some("sku");

    async fn apply(&self, transaction: &mut PgConnection, facts: &[Fact]) -> Result<(), ApplyError> {
        let mut changes: BTreeMap<&Sku, Change<'_>> = BTreeMap::new();
        for fact in facts {
            let Subject::Inventory(sku, event) = &fact.subject else { continue };
            let change = changes.entry(sku).or_insert_with(|| Change::none(fact));
            change.last = fact;
            change.add(event);
        }
        if changes.is_empty() {
            return Ok(());
        }
        insert_new(transaction, &changes).await?;
        add(transaction, &changes).await
    }
}

impl<'a> Change<'a> {
    fn none(last: &'a Fact) -> Self {
        Self { received: 0, adjusted: 0, available: 0, reserved: 0, committed: 0, shipped: 0, last }
    }

    fn add(&mut self, event: &inventory::Event) {
        match event {
            inventory::Event::Received(received) => {
                let units = i64::from(received.quantity.units());
                self.received += units;
                self.available += units;
            }
            inventory::Event::Adjusted(adjusted) => {
                self.adjusted += adjusted.delta;
                self.available += adjusted.delta;
            }
            inventory::Event::Reserved(reserved) => {
                let units = i64::from(reserved.quantity.units());
                self.available -= units;
                self.reserved += units;
            }
            inventory::Event::Released(released) => {
                let units = i64::from(released.quantity.units());
                self.available += units;
                self.reserved -= units;
                if released.was_committed {
                    self.committed -= units;
                }
            }
            inventory::Event::ReservationClosed(_) => {}
            inventory::Event::Committed(committed) => {
                self.committed += i64::from(committed.quantity.units());
            }
            inventory::Event::Shipped(shipped) => self.ship(shipped.quantity),
            inventory::Event::UnitsShipped(shipped) => self.ship(shipped.quantity),
            inventory::Event::UnitsReleased(released) => {
                let units = i64::from(released.quantity.units());
                self.reserved -= units;
                self.committed -= units;
                self.available += units;
            }
        }
    }
}

impl Change<'_> {
    fn ship(&mut self, quantity: Quantity) {
        let units = i64::from(quantity.units());
        self.reserved -= units;
        self.committed -= units;
        self.shipped += units;
    }
}

/// Rows of zeros for SKUs that are new: the table's checks look at a row before they look for a conflict, so
/// negative differences cannot be given to an upsert. Only a stream's first event can make its row.
async fn insert_new(
    transaction: &mut PgConnection,
    changes: &BTreeMap<&Sku, Change<'_>>,
) -> Result<(), ApplyError> {
    let skus: Vec<&str> = changes.keys().map(|sku| sku.as_str()).collect();
    sqlx::query!(
        "INSERT INTO stock (sku, received, adjusted, available, reserved, committed, shipped, changed_at,
                            revision, position)
         SELECT c.sku, 0, 0, 0, 0, 0, 0, to_timestamp(0), 0, 0
         FROM UNNEST($1::text[]) AS c (sku)
         WHERE NOT EXISTS (SELECT FROM stock AS s WHERE s.sku = c.sku)",
        &skus as _
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn add(transaction: &mut PgConnection, changes: &BTreeMap<&Sku, Change<'_>>) -> Result<(), ApplyError> {
    let skus: Vec<&str> = changes.keys().map(|sku| sku.as_str()).collect();
    let column = |value: fn(&Change<'_>) -> i64| changes.values().map(value).collect::<Vec<i64>>();
    let changed_at: Vec<_> = changes.values().map(|change| change.last.occurred_at).collect();
    sqlx::query!(
        "UPDATE stock AS s
         SET received = s.received + c.received, adjusted = s.adjusted + c.adjusted,
             available = s.available + c.available, reserved = s.reserved + c.reserved,
             committed = s.committed + c.committed, shipped = s.shipped + c.shipped,
             changed_at = c.changed_at, revision = c.revision, position = c.position
         FROM UNNEST($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                     $7::bigint[], $8::timestamptz[], $9::bigint[], $10::bigint[])
              AS c (sku, received, adjusted, available, reserved, committed, shipped, changed_at, revision,
                    position)
         WHERE s.sku = c.sku",
        &skus as _,
        &column(|change| change.received),
        &column(|change| change.adjusted),
        &column(|change| change.available),
        &column(|change| change.reserved),
        &column(|change| change.committed),
        &column(|change| change.shipped),
        &changed_at,
        &column(|change| change.last.revision),
        &column(|change| change.last.position)
    )
    .execute(transaction)
    .await?;
    Ok(())
}
