//! How far the process has come, kept in the event store itself: Postgres may be away without harm to orders.
//!
//! A checkpoint holds the position up to which every order is settled, and the orders that must be looked at again
//! although nothing happens to them. They may be many: then a checkpoint has several parts, and counts when the last of
//! them is there.

use super::open_orders::Kept;
use super::work::FEW_OPEN_ORDERS;
use crate::elsewhere::Reached;
use chrono::Utc;
use event_store::{
    AppendError, EventStore, EventStoreError, ExpectedRevision, Metadata, NewEvent, OwnStream, Position,
    RecordedEvent,
};
use futures::{StreamExt, pin_mut};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The stream of the checkpoints.
pub const CHECKPOINTS_STREAM: &str = "process-order_fulfilment";
const TYPE: &str = "process.checkpoint_recorded.v1";
/// Bytes of the orders in a part: an append has at most 900 KiB.
const BYTES_IN_A_PART: usize = 750_000;
/// What an open order takes of it at least.
const LEAST_BYTES_OF_AN_ORDER: usize = 50;

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
    pub stream: OwnStream,
    expected: ExpectedRevision,
}

impl Checkpoint {
    /// Reads the last whole one, from the newest event back. Without one, the process starts from the beginning, which
    /// takes longer and harms nobody.
    pub async fn read(store: &EventStore) -> Result<Self, EventStoreError> {
        let stream = store.own_stream(CHECKPOINTS_STREAM).await?;
        let events = store.read_stream_backwards(stream.name(), None, usize::MAX);
        pin_mut!(events);
        let mut checkpoint =
            Self { position: None, open_orders: vec![], stream, expected: ExpectedRevision::NoStream };
        let mut newest = true;
        let mut wanted = None;
        while let Some(event) = events.next().await {
            let event = event?;
            if std::mem::take(&mut newest) {
                checkpoint.expected = ExpectedRevision::Exact(event.revision);
            }
            let Some(recorded) = recorded(&event) else {
                tracing::warn!(
                    stream = event.stream,
                    revision = event.revision,
                    event_type = event.event_type,
                    "somebody else's event among the fulfilment's checkpoints is passed over"
                );
                continue;
            };
            let is_last = recorded.part + 1 == recorded.parts;
            match wanted {
                // The parts of a checkpoint that was not written to its end are passed over.
                None if !is_last => continue,
                None => checkpoint.position = recorded.position,
                Some(part) if part == recorded.part && checkpoint.position == recorded.position => {}
                Some(_) => {
                    tracing::warn!("the process's checkpoint lacks a part: starting from the beginning");
                    checkpoint.open_orders.clear();
                    checkpoint.position = None;
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
        let chunks = parts_of(open_orders);
        let parts = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        for (chunk, part) in chunks.into_iter().zip(0..parts) {
            let event = new_event(&Recorded { position, open_orders: chunk.to_vec(), part, parts })?;
            let appended = store.append(self.stream.name(), self.expected, vec![event]).await?;
            self.expected = ExpectedRevision::Exact(appended.revision);
        }
        self.position = position;
        Ok(())
    }
}

/// How far a checkpoint says that the process is. While many orders are open, the next one is due only when as many events
/// have come: the orders of one that has several parts are estimated.
pub fn reached(event: &RecordedEvent) -> Option<Reached> {
    let recorded = recorded(event)?;
    let open = match recorded.parts {
        1 => recorded.open_orders.len(),
        parts => (parts as usize).saturating_mul(BYTES_IN_A_PART / LEAST_BYTES_OF_AN_ORDER),
    };
    // Orders have come since, each with several events.
    let events = if open < FEW_OPEN_ORDERS { 0 } else { 2 * open as u64 };
    Some(Reached { position: recorded.position, events })
}

/// What a checkpoint says; none if the event is no checkpoint of this log: one names a place before its own.
fn recorded(event: &RecordedEvent) -> Option<Recorded> {
    of_some_log(event).filter(|recorded| recorded.position < Some(event.position))
}

/// Whether the event is a checkpoint, if only of the log that this one was copied from.
pub fn is_checkpoint(event: &RecordedEvent) -> bool {
    of_some_log(event).is_some()
}

fn of_some_log(event: &RecordedEvent) -> Option<Recorded> {
    if event.event_type != TYPE {
        return None;
    }
    let recorded: Recorded = serde_json::from_slice(&event.data).ok()?;
    (recorded.part < recorded.parts).then_some(recorded)
}

/// The orders in parts of which each fits into an append; one part at least.
fn parts_of(orders: &[Kept]) -> Vec<&[Kept]> {
    let mut parts = Vec::new();
    let (mut first, mut bytes) = (0, 0);
    for (index, kept) in orders.iter().enumerate() {
        bytes += kept.bytes();
        if bytes > BYTES_IN_A_PART {
            parts.push(&orders[first..index]);
            (first, bytes) = (index, kept.bytes());
        }
    }
    parts.push(&orders[first..]);
    parts
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
    use super::super::open_orders::Parked;
    use super::*;
    use domain::{CartId, OrderId};
    use embedded_event_store::{Config, EmbeddedEventStore};

    fn orders(count: u128) -> Vec<Kept> {
        (0..count)
            .map(|number| Kept {
                order_id: OrderId(Uuid::from_u128(number)),
                deadline: Some(1_790_000_000 + i64::try_from(number).unwrap()),
                paying_until: (number % 7 == 0).then_some(1_790_000_900),
                is_asking: number % 5 == 0,
                parked: (number % 3 == 0).then(|| Parked {
                    stream: format!("inventory-{}", "X".repeat(100)),
                    cart: (number % 6 == 0).then_some((CartId(Uuid::max()), u64::MAX)),
                }),
            })
            .collect()
    }

    fn sorted(mut kept: Vec<Kept>) -> Vec<Kept> {
        kept.sort_by_key(|kept| kept.order_id.0);
        kept
    }

    /// An event store with something in it.
    struct Store {
        server: EmbeddedEventStore,
        store: EventStore,
        _folder: tempfile::TempDir,
    }

    impl Store {
        /// With twenty events, so that there are places for checkpoints to name.
        async fn start() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let server = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await.unwrap();
            let store = EventStore::connect(&server.connection_string()).unwrap();
            let noise = (0..20).map(|_| foreign("noise.made.v1", "{}")).collect();
            store.append("noise-1", ExpectedRevision::NoStream, noise).await.unwrap();
            Self { server, store, _folder: folder }
        }

        async fn read(&self) -> Checkpoint {
            Checkpoint::read(&self.store).await.unwrap()
        }
    }

    fn foreign(event_type: &'static str, data: &str) -> NewEvent {
        NewEvent { id: Uuid::now_v7(), event_type, data: data.into(), metadata: b"{}".to_vec() }
    }

    #[tokio::test]
    async fn a_hundred_thousand_open_orders_are_kept_and_read_again() {
        let store = Store::start().await;
        let mut checkpoint = store.read().await;
        assert!(checkpoint.position.is_none() && checkpoint.open_orders.is_empty());

        let many = orders(100_000);
        checkpoint.record(&store.store, Some(Position::new(7)), &many).await.unwrap();
        let read = store.read().await;
        assert_eq!(read.position, Some(Position::new(7)));
        assert_eq!(sorted(read.open_orders), many);

        // A new one that was not written to its end does not count.
        let torn = Recorded { position: Some(Position::new(9)), open_orders: orders(3), part: 0, parts: 2 };
        store.store.append(CHECKPOINTS_STREAM, read.expected, vec![new_event(&torn).unwrap()]).await.unwrap();
        let mut read = store.read().await;
        assert_eq!((read.position, read.open_orders.len()), (Some(Position::new(7)), 100_000));

        // The next one counts, also after a torn one.
        read.record(&store.store, Some(Position::new(11)), &orders(2)).await.unwrap();
        let read = store.read().await;
        assert_eq!((read.position, sorted(read.open_orders)), (Some(Position::new(11)), orders(2)));
        // Those who only watch it know how many events may come before the next one.
        let events = store.store.read_stream(CHECKPOINTS_STREAM, 0, usize::MAX);
        let events: Vec<RecordedEvent> = events.map(Result::unwrap).collect().await;
        let said: Vec<Option<Reached>> = events.iter().map(reached).collect();
        let few = Reached { position: Some(Position::new(11)), events: 0 };
        assert_eq!(said.last(), Some(&Some(few)));
        assert!(said[0].unwrap().events >= 200_000);
        store.server.stop().await;
    }

    #[tokio::test]
    async fn what_others_wrote_among_the_checkpoints_is_passed_over() {
        let store = Store::start().await;
        let mut checkpoint = store.read().await;
        checkpoint.record(&store.store, Some(Position::new(7)), &orders(3)).await.unwrap();
        let foreign = vec![
            foreign("somebody.wrote.v1", r#"{"position":9}"#),
            foreign(TYPE, r#"["no checkpoint"]"#),
            // A place that is still to come: of another log, or nobody's.
            foreign(TYPE, r#"{"position":9000000000}"#),
            foreign(TYPE, r#"{"position":9,"part":3,"parts":2}"#),
        ];
        store.store.append(CHECKPOINTS_STREAM, checkpoint.expected, foreign).await.unwrap();
        let mut read = store.read().await;
        assert_eq!((read.position, read.open_orders.len()), (Some(Position::new(7)), 3));
        read.record(&store.store, Some(Position::new(8)), &orders(2)).await.unwrap();
        assert_eq!(store.read().await.position, Some(Position::new(8)));
        store.server.stop().await;
    }

    #[tokio::test]
    async fn a_deleted_stream_of_checkpoints_has_a_successor() {
        let store = Store::start().await;
        let mut checkpoint = store.read().await;
        checkpoint.record(&store.store, Some(Position::new(7)), &orders(3)).await.unwrap();
        store.store.tombstone(CHECKPOINTS_STREAM, checkpoint.expected).await.unwrap();
        assert!(checkpoint.record(&store.store, Some(Position::new(8)), &orders(3)).await.is_err());
        let mut read = store.read().await;
        assert_eq!((read.stream.name(), read.position), ("process-order_fulfilment-2", None));
        read.record(&store.store, Some(Position::new(9)), &orders(2)).await.unwrap();
        let read = store.read().await;
        assert_eq!((read.position, read.open_orders.len()), (Some(Position::new(9)), 2));
        store.server.stop().await;
    }
}
