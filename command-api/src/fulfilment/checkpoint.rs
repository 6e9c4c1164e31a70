//! How far the process has come, kept in the event store itself: Postgres may be away without harm to orders.

use chrono::Utc;
use event_store::{AppendError, EventStore, EventStoreError, ExpectedRevision, Metadata, NewEvent, Position};
use futures::{StreamExt, pin_mut};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

const STREAM: &str = "process-order_fulfilment";
const TYPE: &str = "process.checkpoint_recorded.v1";

#[derive(Serialize, Deserialize)]
struct Recorded {
    position: Position,
}

/// The last checkpoint, and where its stream stands.
pub struct Checkpoint {
    pub position: Option<Position>,
    expected: ExpectedRevision,
}

impl Checkpoint {
    /// Reads the last one. A checkpoint that cannot be read counts as none: the process then starts from the
    /// beginning, which takes longer and harms nobody.
    pub async fn read(store: &EventStore) -> Result<Self, EventStoreError> {
        let events = store.read_stream_backwards(STREAM, None, 1);
        pin_mut!(events);
        let Some(event) = events.next().await else {
            return Ok(Self { position: None, expected: ExpectedRevision::NoStream });
        };
        let event = event?;
        let position = match serde_json::from_slice::<Recorded>(&event.data) {
            Ok(recorded) => Some(recorded.position),
            Err(error) => {
                tracing::warn!(%error, "the process's checkpoint cannot be read: starting from the beginning");
                None
            }
        };
        Ok(Self { position, expected: ExpectedRevision::Exact(event.revision) })
    }

    /// Records that every order is settled up to here.
    pub async fn record(&mut self, store: &EventStore, position: Position) -> Result<(), AppendError> {
        let id = Uuid::now_v7();
        let event = NewEvent {
            id,
            event_type: TYPE,
            data: serde_json::to_vec(&Recorded { position })
                .map_err(|error| AppendError::Refused(error.to_string()))?,
            metadata: Metadata {
                correlation_id: id,
                causation_id: id,
                command_id: id,
                actor: super::settle::ACTOR.to_owned(),
                occurred_at: Utc::now(),
                fingerprint: String::new(),
            },
        };
        let appended = store.append(STREAM, self.expected, vec![event]).await?;
        self.position = Some(position);
        self.expected = ExpectedRevision::Exact(appended.revision);
        Ok(())
    }
}
