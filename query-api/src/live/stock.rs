use api::stock::StockLevel;
use domain::Aggregate;
use domain::inventory::Inventory;
use sqlx::PgConnection;
use std::collections::HashMap;

pub const CATEGORY: &str = Inventory::CATEGORY;

/// The stock of these SKUs, in one query, each with the position of the last event that changed it.
pub async fn read(
    connection: &mut PgConnection,
    skus: &[&str],
) -> Result<HashMap<String, (i64, StockLevel)>, sqlx::Error> {
    let rows = sqlx::query!(
        "SELECT sku, available, reserved, committed, shipped, received, adjusted, changed_at, revision, position
         FROM stock WHERE sku = ANY($1)",
        skus as _
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let view = StockLevel {
                sku: row.sku.clone(),
                available: row.available,
                reserved: row.reserved,
                committed: row.committed,
                shipped: row.shipped,
                received: row.received,
                adjusted: row.adjusted,
                changed_at: row.changed_at,
                revision: row.revision,
            };
            (row.sku, (row.position, view))
        })
        .collect())
}
