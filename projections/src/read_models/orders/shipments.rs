//! The parcels of orders, and what will be in none.

use super::OrderFacts;
use crate::projection::ApplyError;
use chrono::{DateTime, Utc};
use domain::order::Event;
use sqlx::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What the events of a batch do to parcels.
pub async fn apply_shipments(
    transaction: &mut PgConnection,
    facts: &OrderFacts<'_>,
) -> Result<(), ApplyError> {
    insert(transaction, facts).await?;
    deliver(transaction, facts).await?;
    give_up(transaction, facts).await
}

/// Units that will not be sent. A line may be given up twice in a batch, bit by bit.
async fn give_up(transaction: &mut PgConnection, facts: &OrderFacts<'_>) -> Result<(), ApplyError> {
    let mut units: BTreeMap<(Uuid, Uuid), i64> = BTreeMap::new();
    for (order_id, event, _) in facts {
        let Event::RestCancelled(rest) = event else { continue };
        for line in &rest.lines {
            *units.entry((order_id.0, line.line_id.0)).or_default() += i64::from(line.quantity.units());
        }
    }
    if units.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE order_lines AS l SET given_up = l.given_up + c.units
         FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[]) AS c (order_id, line_id, units)
         WHERE l.order_id = c.order_id AND l.line_id = c.line_id",
        &units.keys().map(|(order_id, _)| *order_id).collect::<Vec<_>>(),
        &units.keys().map(|(_, line_id)| *line_id).collect::<Vec<_>>(),
        &units.values().copied().collect::<Vec<_>>()
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn insert(transaction: &mut PgConnection, facts: &OrderFacts<'_>) -> Result<(), ApplyError> {
    let (mut orders, mut ids, mut merchants) = (vec![], vec![], vec![]);
    let (mut lines, mut trackings, mut times, mut revisions) = (vec![], vec![], vec![], vec![]);
    for (order_id, event, fact) in facts {
        let Event::ShipmentSent(sent) = event else { continue };
        orders.push(order_id.0);
        ids.push(sent.shipment_id.0);
        merchants.push(sent.merchant_id.as_str());
        lines.push(serde_json::to_value(&sent.lines)?);
        trackings.push(sent.tracking.as_ref().map(serde_json::to_value).transpose()?);
        times.push(fact.occurred_at);
        revisions.push(fact.revision);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO order_shipments (order_id, shipment_id, merchant_id, lines, tracking, sent_at, revision)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::jsonb[], $5::jsonb[], $6::timestamptz[],
                              $7::bigint[])",
        &orders,
        &ids,
        &merchants as _,
        &lines,
        &trackings as _,
        &times,
        &revisions
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn deliver(transaction: &mut PgConnection, facts: &OrderFacts<'_>) -> Result<(), ApplyError> {
    let delivered: Vec<(Uuid, Uuid, DateTime<Utc>)> = facts
        .iter()
        .filter_map(|(order_id, event, fact)| match event {
            Event::ShipmentDelivered(delivered) => {
                Some((order_id.0, delivered.shipment_id.0, fact.occurred_at))
            }
            Event::Placed(_)
            | Event::ReservationsAnswered(_)
            | Event::PaymentRecorded(_)
            | Event::PaymentRequested(_)
            | Event::PaymentStarted(_)
            | Event::PaymentAuthorized(_)
            | Event::PaymentDeclined(_)
            | Event::PaymentCaptured(_)
            | Event::PaymentVoided(_)
            | Event::Paid(_)
            | Event::StockCommitted(_)
            | Event::ProcessingStarted(_)
            | Event::ShipmentSent(_)
            | Event::Shipped(_)
            | Event::StockShipped(_)
            | Event::StockParted(_)
            | Event::RestCancelled(_)
            | Event::Delivered(_)
            | Event::Cancelled(_)
            | Event::StockReleased(_)
            | Event::RefundRequested(_)
            | Event::RefundRefused(_)
            | Event::RefundRecorded(_)
            | Event::RefundFound(_)
            | Event::RefundFailed(_)
            | Event::Refunded(_) => None,
        })
        .collect();
    if delivered.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE order_shipments AS s SET delivered_at = c.delivered_at
         FROM UNNEST($1::uuid[], $2::uuid[], $3::timestamptz[]) AS c (order_id, shipment_id, delivered_at)
         WHERE s.order_id = c.order_id AND s.shipment_id = c.shipment_id",
        &delivered.iter().map(|(order_id, ..)| *order_id).collect::<Vec<_>>(),
        &delivered.iter().map(|(_, shipment_id, _)| *shipment_id).collect::<Vec<_>>(),
        &delivered.iter().map(|(.., at)| *at).collect::<Vec<_>>()
    )
    .execute(transaction)
    .await?;
    Ok(())
}
