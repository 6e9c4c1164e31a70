//! Whether everything that was acknowledged stands in the log.

use super::crowd::Acknowledged;
use crate::bench::error::BenchError;
use event_store::EventStore;
use futures::StreamExt;
use std::pin::pin;
use uuid::Uuid;

/// How many acknowledged orders and payments the log of this event store does not have.
pub async fn lost(event_store: &str, acknowledged: Acknowledged) -> Result<u64, BenchError> {
    let store = EventStore::connect(event_store)?;
    let Acknowledged { mut placed, mut paid } = acknowledged;
    let mut records = pin!(store.read_log(None));
    while let Some(record) = records.next().await {
        let record = record?;
        let order_id = record.stream.strip_prefix("order-").and_then(|id| id.parse::<Uuid>().ok());
        let Some(order_id) = order_id else { continue };
        if record.event.event_type.starts_with("order.placed.") {
            placed.remove(&order_id);
        } else if record.event.event_type.starts_with("order.paid.") {
            paid.remove(&order_id);
        }
    }
    Ok((placed.len() + paid.len()) as u64)
}
