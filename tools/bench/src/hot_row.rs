//! How fast one stream of stock takes reservations: the command side's writer and the embedded event store, without
//! HTTP and without orders around it. What an UPDATE of one row is for a database.

use super::error::BenchError;
use super::timing::{Laps, Measured, all_at_once};
use chrono::Utc;
use domain::inventory::Command;
use domain::{OrderId, Quantity, ReceiptId, Sku};
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::EventStore;
use executor::{Envelope, Executor, Writers};
use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// So many clients reserve one unit each, again and again.
pub async fn reservations(folder: &Path, clients: usize, span: Duration) -> Result<Measured, BenchError> {
    let server = EmbeddedEventStore::start(Config::on_any_port(folder)).await?;
    let store = EventStore::connect(&server.connection_string())?;
    let executor = Arc::new(Executor::new(&store, Writers::OnlyUs));
    let sku = Sku::new("HOT-1").map_err(|error| failed(&error))?;
    let one = Quantity::new(1).map_err(|error| failed(&error))?;
    let plenty = Quantity::new(i64::from(Quantity::MAX)).map_err(|error| failed(&error))?;
    let receive = Command::Receive { receipt_id: ReceiptId(Uuid::new_v4()), quantity: plenty };
    executor.stock.execute(&sku, receive, envelope(Uuid::new_v4())).await.map_err(|error| failed(&error))?;
    let measured = all_at_once((0..clients).map(|_| {
        let (executor, sku) = (Arc::clone(&executor), sku.clone());
        async move {
            let mut laps = Laps::start(span);
            while let Some(begun) = laps.next() {
                let order_id = OrderId(Uuid::new_v4());
                let command = Command::Reserve { order_id, quantity: one };
                let reserved = executor.stock.execute(&sku, command, envelope(order_id.0)).await;
                reserved.map_err(|error| failed(&error))?;
                laps.done(begun);
            }
            Ok::<_, BenchError>(laps.finish())
        }
    }))
    .await?;
    // Behind the last snapshot, which would otherwise meet a store that is gone.
    executor.stock.view(&sku, |_| ()).await.map_err(|error| failed(&error))?;
    server.stop().await;
    Ok(measured)
}

fn failed(error: &dyn Error) -> BenchError {
    BenchError::HotRow(error.to_string())
}

fn envelope(correlation_id: Uuid) -> Envelope {
    let command_id = Uuid::new_v4();
    Envelope {
        command_id,
        correlation_id,
        causation_id: command_id,
        actor: "bench".to_owned(),
        occurred_at: Utc::now(),
        fingerprint: executor::Fingerprint::none(),
    }
}
