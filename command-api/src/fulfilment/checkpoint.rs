//! How far the process has come, kept in the event store itself: Postgres may be away without harm to orders.
//!
//! A checkpoint holds the position up to which every order is settled, and the orders that must be looked at again
//! although nothing happens to them. They may be many: then a checkpoint has several parts, and counts when the last of
//! them is there.

use super::open_orders::Kept;
use chrono::Utc;
use event_store::{AppendError, EventStore, EventStoreError, ExpectedRevision, Metadata, NewEvent, Position};
use futures::{StreamExt, pin_mut};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const STREAM: &str = "process-order_fulfilment";
const TYPE: &str = "process.checkpoint_recorded.v1";
/// Orders in a part: about 100 bytes each, and an append has at most 900 KiB.
const ORDERS_IN_A_PART: usize = 5_000;

#[derive(Default, Serialize, Deserialize)]
struct Recorded {
    position: Option<Position>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    open_orders: Vec<Kept>,
    /// From 0; the last part is the newest event.
    #[serde(default)]
    part: u32,
    #[serde(default = "one")]
    parts: u32,
}

fn one() -> u32 {
    1
}

/// The last checkpoint, and where its stream stands.
pub struct Checkpoint {
    pub position: Option<Position>,
    pub open_orders: Vec<Kept>,
    expected: ExpectedRevision,
}

impl Checkpoint {
    /// Reads the last whole one. A checkpoint that cannot be read counts as none: the process then starts from the
    /// beginning, which takes longer and harms nobody.
    pub async fn read(store: &EventStore) -> Result<Self, EventStoreError> {
        let events = store.read_stream_backwards(STREAM, None, usize::MAX);
        pin_mut!(events);
        let mut checkpoint =
            Self { position: None, open_orders: vec![], expected: ExpectedRevision::NoStream };
        let mut newest = true;
        let mut wanted = None;
        while let Some(event) = events.next().await {
            let event = event?;
            if std::mem::take(&mut newest) {
                checkpoint.expected = ExpectedRevision::Exact(event.revision);
            }
            let recorded = match serde_json::from_slice::<Recorded>(&event.data) {
                Ok(recorded) => recorded,
                Err(error) => {
                    tracing::warn!(%error, "the process's checkpoint cannot be read: starting from the beginning");
                    break;
                }
            };
            let is_last = recorded.part + 1 == recorded.parts;
            match wanted {
                // The parts of a checkpoint that was not written to its end are passed over.
                None if !is_last => continue,
                None => checkpoint.position = recorded.position,
                Some(part) if part == recorded.part && checkpoint.position == recorded.position => {}
                Some(_) => {
                    tracing::warn!("the process's checkpoint lacks a part: starting from the beginning");
                    checkpoint = Self { position: None, open_orders: vec![], ..checkpoint };
                    break;
                }
            }
            checkpoint.open_orders.extend(recorded.open_orders);
            match recorded.part.checked_sub(1) {
                None => break,
                before => wanted = before,
            }
        }
        Ok(checkpoint)
    }

    /// Records that every order is settled up to here, and which must be looked at again.
    pub async fn record(
        &mut self,
        store: &EventStore,
        position: Option<Position>,
        open_orders: &[Kept],
    ) -> Result<(), AppendError> {
        let chunks: Vec<&[Kept]> = open_orders.chunks(ORDERS_IN_A_PART).collect();
        let parts = u32::try_from(chunks.len().max(1)).unwrap_or(u32::MAX);
        for part in 0..parts {
            let open_orders = chunks.get(part as usize).map_or(vec![], |chunk| chunk.to_vec());
            let event = new_event(&Recorded { position, open_orders, part, parts })?;
            let appended = store.append(STREAM, self.expected, vec![event]).await?;
            self.expected = ExpectedRevision::Exact(appended.revision);
        }
        self.position = position;
        Ok(())
    }
}

fn new_event(recorded: &Recorded) -> Result<NewEvent, AppendError> {
    let id = Uuid::now_v7();
    Ok(NewEvent {
        id,
        event_type: TYPE,
        data: serde_json::to_vec(recorded).map_err(|error| AppendError::Refused(error.to_string()))?,
        metadata: Metadata {
            correlation_id: id,
            causation_id: id,
            command_id: id,
            actor: super::settle::ACTOR.to_owned(),
            occurred_at: Utc::now(),
            fingerprint: String::new(),
        }
        .to_json(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use domain::OrderId;
    use embedded_event_store::{Config, EmbeddedEventStore};

    fn orders(count: u128) -> Vec<Kept> {
        (0..count)
            .map(|number| Kept {
                order_id: OrderId(Uuid::from_u128(number)),
                deadline: Some(1_790_000_000 + i64::try_from(number).unwrap()),
                paying_until: (number % 7 == 0).then_some(1_790_000_900),
                is_asking: number % 5 == 0,
            })
            .collect()
    }

    fn sorted(mut kept: Vec<Kept>) -> Vec<Kept> {
        kept.sort_by_key(|kept| kept.order_id.0);
        kept
    }

    #[tokio::test]
    async fn a_hundred_thousand_open_orders_are_kept_and_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
        let store = EventStore::connect(&server.connection_string()).unwrap();
        let mut checkpoint = Checkpoint::read(&store).await.unwrap();
        assert!(checkpoint.position.is_none() && checkpoint.open_orders.is_empty());

        let many = orders(100_000);
        checkpoint.record(&store, Some(Position::new(7)), &many).await.unwrap();
        let read = Checkpoint::read(&store).await.unwrap();
        assert_eq!(read.position, Some(Position::new(7)));
        assert_eq!(sorted(read.open_orders), many);

        // A new one that was not written to its end does not count.
        let torn = Recorded { position: Some(Position::new(9)), open_orders: orders(3), part: 0, parts: 2 };
        store.append(STREAM, read.expected, vec![new_event(&torn).unwrap()]).await.unwrap();
        let mut read = Checkpoint::read(&store).await.unwrap();
        assert_eq!((read.position, read.open_orders.len()), (Some(Position::new(7)), 100_000));

        // The next one counts, also after a torn one.
        read.record(&store, Some(Position::new(11)), &orders(2)).await.unwrap();
        let read = Checkpoint::read(&store).await.unwrap();
        assert_eq!((read.position, sorted(read.open_orders)), (Some(Position::new(11)), orders(2)));
        server.stop().await;
    }
}
