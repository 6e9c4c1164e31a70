//! Projecting without a subscription, and looking at everything that was written.

use event_store::RecordedEvent;
use projections::read_models::{
    AnalyticsCarts, AnalyticsOrders, AnalyticsSales, AnalyticsStock, Carts, Orders, Products, Sales, Stock,
    Trail,
};
use projections::{Batch, Fact, Projection, Share, StepError, load, step, versions};
use serde_json::Value;
use sqlx::{AssertSqlSafe, PgConnection};
use std::collections::BTreeMap;

const TABLES: [&str; 28] = [
    "projection_checkpoints",
    "products",
    "carts",
    "cart_lines",
    "orders",
    "order_lines",
    "order_history",
    "order_stock_answers",
    "order_payments",
    "order_refunds",
    "order_shipments",
    "stock",
    "sales",
    "sales_pending_orders",
    "analytics_sales_minutes",
    "analytics_sales_quarters",
    "analytics_sales_days",
    "analytics_sales_months",
    "analytics_sku_days",
    "analytics_sku_months",
    "analytics_sold_orders",
    "analytics_lost_sales",
    "analytics_orders",
    "analytics_carts",
    "analytics_stock_levels",
    "analytics_stock_outs",
    "trail",
    "trail_kinds",
];

/// Applies a part of the log as one batch of this projection, from its stored checkpoint on.
pub async fn project<P: Projection>(
    projection: &P,
    connection: &mut PgConnection,
    part: &[RecordedEvent],
) -> Result<(), StepError> {
    let from = checkpoint::<P>(connection).await?;
    project_from(projection, connection, from, part).await
}

/// The same, from where the caller believes the checkpoint to be.
pub async fn project_from<P: Projection>(
    projection: &P,
    connection: &mut PgConnection,
    from: Option<i64>,
    part: &[RecordedEvent],
) -> Result<(), StepError> {
    let Some(last) = part.last() else { return Ok(()) };
    let batch = Batch { facts: wanted::<P>(part), upto: position(last), ..Batch::default() };
    let parks = step(projection, connection, &share::<P>(), from, &batch).await?;
    assert_eq!(parks, [], "nothing is wrong with these events");
    Ok(())
}

/// The whole of the first version, whose tables are in `public`.
pub fn share<P: Projection>() -> Share {
    Share::whole(P::NAME, 1)
}

pub async fn checkpoint<P: Projection>(connection: &mut PgConnection) -> Result<Option<i64>, StepError> {
    versions::ensure::<P>(connection).await?;
    load(connection, &share::<P>()).await
}

pub fn wanted<P: Projection>(part: &[RecordedEvent]) -> Vec<Fact> {
    part.iter().filter(|event| P::wants(event)).map(|event| P::read(event).unwrap()).collect()
}

pub fn position(event: &RecordedEvent) -> i64 {
    i64::try_from(event.position.value()).unwrap()
}

/// Applies a part of the log to all of them.
pub async fn project_all(connection: &mut PgConnection, part: &[RecordedEvent]) -> Result<(), StepError> {
    project(&Products, connection, part).await?;
    project(&Carts, connection, part).await?;
    project(&Orders, connection, part).await?;
    project(&Stock, connection, part).await?;
    project(&Sales, connection, part).await?;
    project(&Trail, connection, part).await?;
    project_analytics(connection, part).await
}

/// Applies a part of the log to those of analytics.
pub async fn project_analytics(
    connection: &mut PgConnection,
    part: &[RecordedEvent],
) -> Result<(), StepError> {
    project(&AnalyticsSales, connection, part).await?;
    project(&AnalyticsOrders, connection, part).await?;
    project(&AnalyticsCarts, connection, part).await?;
    project(&AnalyticsStock, connection, part).await
}

/// Every row of every table, in an order of its own; without the time at which a checkpoint moved.
pub async fn dump(connection: &mut PgConnection) -> BTreeMap<&'static str, Value> {
    let mut tables = BTreeMap::new();
    for table in TABLES {
        let rows = format!(
            "SELECT coalesce(jsonb_agg(r ORDER BY r::text), '[]')
             FROM (SELECT to_jsonb(t) - 'updated_at' AS r FROM {table} AS t) AS rows"
        );
        let rows: Value = sqlx::query_scalar(AssertSqlSafe(rows)).fetch_one(&mut *connection).await.unwrap();
        tables.insert(table, rows);
    }
    tables
}

pub async fn empty(connection: &mut PgConnection) {
    let truncate = format!("TRUNCATE {}", TABLES.join(", "));
    sqlx::query(AssertSqlSafe(truncate)).execute(connection).await.unwrap();
}
