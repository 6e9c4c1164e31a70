//! Whether everything that was acknowledged is in the log.

use super::crowd::Acknowledged;
use crate::error::BenchError;
use event_store::EventStore;
use futures::{StreamExt, TryStreamExt, stream};
use std::pin::pin;
use uuid::Uuid;

/// Orders that are read at once.
const AT_ONCE: usize = 16;

/// How many acknowledged orders and payments the log of this event store does not have.
pub async fn lost(event_store: &str, acknowledged: Acknowledged) -> Result<u64, BenchError> {
    let store = EventStore::connect(event_store)?;
    let Acknowledged { mut placed, mut paid } = acknowledged;
    let mut records = pin!(store.read_log(None));
    while let Some(record) = records.next().await {
        let record = record?;
        let order_id = record.stream.strip_prefix("order-").and_then(|id| id.parse::<Uuid>().ok());
        let Some(order_id) = order_id else { continue };
        if is_placement(&record.event.event_type) {
            placed.remove(&order_id);
        } else if is_payment(&record.event.event_type) {
            paid.remove(&order_id);
        }
    }
    Ok((placed.len() + paid.len()) as u64)
}

/// The same for few orders: their streams alone are read, and not the whole log.
pub async fn lost_of_few(event_store: &str, acknowledged: &Acknowledged) -> Result<u64, BenchError> {
    let store = EventStore::connect(event_store)?;
    let lost = stream::iter(acknowledged.placed.union(&acknowledged.paid)).map(|order_id| {
        let store = store.clone();
        let (placed, paid) = (acknowledged.placed.contains(order_id), acknowledged.paid.contains(order_id));
        let stream = format!("order-{order_id}");
        async move {
            let events = store.read_stream(&stream, 0, usize::MAX);
            let types: Vec<String> = events.map_ok(|event| event.event_type).try_collect().await?;
            let is_missing = |is_wanted: bool, is_it: fn(&str) -> bool| {
                u64::from(is_wanted && !types.iter().any(|name| is_it(name)))
            };
            Ok::<_, BenchError>(is_missing(placed, is_placement) + is_missing(paid, is_payment))
        }
    });
    lost.buffer_unordered(AT_ONCE).try_fold(0, async |lost, more| Ok::<u64, BenchError>(lost + more)).await
}

fn is_placement(event_type: &str) -> bool {
    event_type.starts_with("order.placed.")
}

fn is_payment(event_type: &str) -> bool {
    event_type.starts_with("order.paid.")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use embedded_event_store::{Config, EmbeddedEventStore};
    use event_store::{ExpectedRevision, NewEvent};

    #[tokio::test]
    async fn what_was_acknowledged_and_is_not_in_the_log_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
        let url = server.connection_string();
        let store = EventStore::connect(&url).unwrap();
        let [paid, placed, nothing] = [1, 2, 3].map(Uuid::from_u128);
        for (order_id, types) in
            [(paid, &["order.placed.v1", "order.paid.v1"][..]), (placed, &["order.placed.v1"])]
        {
            let event = |event_type| {
                let id = Uuid::new_v4();
                NewEvent { id, event_type, data: b"{}".into(), metadata: b"{}".into() }
            };
            let events = types.iter().copied().map(event).collect();
            store.append(&format!("order-{order_id}"), ExpectedRevision::NoStream, events).await.unwrap();
        }
        let of = |placed: &[Uuid], paid: &[Uuid]| Acknowledged {
            placed: placed.iter().copied().collect(),
            paid: paid.iter().copied().collect(),
        };
        for (acknowledged, expected) in [
            (of(&[], &[]), 0),
            (of(&[paid, placed], &[paid]), 0),
            (of(&[paid, placed], &[paid, placed]), 1),
            (of(&[paid, placed, nothing], &[placed, nothing]), 3),
        ] {
            assert_eq!(lost_of_few(&url, &acknowledged).await.unwrap(), expected, "{acknowledged:?}");
            assert_eq!(lost(&url, acknowledged).await.unwrap(), expected);
        }
        server.stop().await;
    }
}
