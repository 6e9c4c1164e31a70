//! How far the process has come, kept in the event store itself: Postgres may be away without harm to orders.
//!
//! A checkpoint holds the position up to which every order is settled, and the orders that must be looked at again
//! although nothing happens to them. They may be many: then a checkpoint has several parts, and counts when the last of
//! them is there.
//!
//! A position is a place in one log. So a checkpoint names the log, and the event at the position by its stream and
//! revision: in a log that the history was copied to, the process goes on at the same event.

use super::open_orders::Kept;
use super::work::FEW_OPEN_ORDERS;
use chrono::Utc;
use consumer_runner::OwnForm;
use consumer_runner::elsewhere::Reached;
use event_store::{
    AppendError, EventStore, EventStoreError, ExpectedRevision, LogId, LogIdentity, Metadata, NewEvent,
    OwnStream, Position, RecordedEvent,
};
use futures::{StreamExt, TryStreamExt, pin_mut};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The stream of the checkpoints.
pub const CHECKPOINTS_STREAM: &str = "process-order_fulfilment";
/// What strangers may not write there.
pub const CHECKPOINTS: OwnForm = OwnForm { stream: CHECKPOINTS_STREAM, is_ours: is_checkpoint };
const TYPE: &str = "process.checkpoint_recorded.v1";
/// Bytes of the orders in a part: an append has at most 900 KiB.
const BYTES_IN_A_PART: usize = 750_000;
/// What an open order takes of it at least.
const LEAST_BYTES_OF_AN_ORDER: usize = 50;

#[derive(Default, Serialize, Deserialize)]
struct Recorded {
    position: Option<Position>,
    /// The log whose place the position is. Checkpoints from before logs had ids have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    log_id: Option<LogId>,
    /// The event at the position.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    event: Option<LastEvent>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    open_orders: Vec<Kept>,
    /// From 0; the last part is the newest event.
    #[serde(default)]
    part: u32,
    #[serde(default = "one")]
    parts: u32,
}

/// An event, wherever in the log it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct LastEvent {
    stream: String,
    revision: u64,
    id: Uuid,
}

fn one() -> u32 {
    1
}

/// The last checkpoint, and where its stream stands.
pub struct Checkpoint {
    pub position: Option<Position>,
    pub open_orders: Vec<Kept>,
    pub stream: OwnStream,
    log: LogIdentity,
    expected: ExpectedRevision,
    /// The event at the position, as far as that was looked up.
    event: Option<(Position, LastEvent)>,
}

impl Checkpoint {
    /// Reads the last whole one, from the newest event back. Without one, the process starts from the beginning, which
    /// takes longer and harms nobody.
    pub async fn read(store: &EventStore) -> Result<Self, EventStoreError> {
        let log = store.log_identity().await?;
        let stream = store.own_stream(CHECKPOINTS_STREAM).await?;
        let events = store.read_stream_backwards(stream.name(), None, usize::MAX);
        pin_mut!(events);
        let mut checkpoint = Self {
            position: None,
            open_orders: vec![],
            stream,
            log,
            expected: ExpectedRevision::NoStream,
            event: None,
        };
        let mut newest = true;
        let mut wanted = None;
        let mut of_another_log = None;
        while let Some(event) = events.next().await {
            let event = event?;
            if std::mem::take(&mut newest) {
                checkpoint.expected = ExpectedRevision::Exact(event.revision);
            }
            let Some(recorded) = recorded(&event, &checkpoint.log) else {
                tracing::warn!(
                    stream = event.stream,
                    revision = event.revision,
                    event_type = event.event_type,
                    "an event among the fulfilment's checkpoints that is none of this log is passed over"
                );
                continue;
            };
            let is_last = recorded.part + 1 == recorded.parts;
            match wanted {
                // The parts of a checkpoint that was not written to its end are passed over.
                None if !is_last => continue,
                None => {
                    checkpoint.position = recorded.position;
                    let is_ours = recorded.position.is_none_or(|at| checkpoint.log.has(recorded.log_id, at));
                    of_another_log = recorded.event.clone().filter(|_| !is_ours);
                }
                Some(part) if part == recorded.part && checkpoint.position == recorded.position => {}
                Some(_) => {
                    tracing::warn!("the process's checkpoint lacks a part: starting from the beginning");
                    checkpoint.open_orders.clear();
                    checkpoint.position = None;
                    of_another_log = None;
                    break;
                }
            }
            checkpoint.open_orders.extend(recorded.open_orders);
            match recorded.part.checked_sub(1) {
                None => break,
                before => wanted = before,
            }
        }
        if let Some(event) = of_another_log {
            checkpoint.position = place_of(&event, store).await?;
            let LastEvent { stream, revision, .. } = event;
            let position = checkpoint.position;
            tracing::warn!(
                stream,
                revision,
                ?position,
                "the fulfilment's checkpoint is of another log: it goes on after the same event, or from the beginning if that \
                 is not here"
            );
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
        let event = self.event_at(store, position).await;
        let log_id = Some(self.log.id());
        let chunks = parts_of(open_orders);
        let parts = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
        for (chunk, part) in chunks.into_iter().zip(0..parts) {
            let recorded =
                Recorded { position, log_id, event: event.clone(), open_orders: chunk.to_vec(), part, parts };
            let event = new_event(&recorded)?;
            let appended = store.append(self.stream.name(), self.expected, vec![event]).await?;
            self.expected = ExpectedRevision::Exact(appended.revision);
        }
        self.position = position;
        Ok(())
    }

    /// Looks up which event is at the position. Should that fail, the checkpoint counts in this log all the same.
    async fn event_at(&mut self, store: &EventStore, position: Option<Position>) -> Option<LastEvent> {
        let position = position?;
        if self.event.as_ref().is_none_or(|(known, _)| *known != position) {
            let events = store.read_all(Some(position), 1);
            pin_mut!(events);
            let event = events.try_next().await.ok().flatten().filter(|event| event.position == position)?;
            let event = LastEvent { stream: event.stream, revision: event.revision, id: event.id };
            self.event = Some((position, event));
        }
        self.event.as_ref().map(|(_, event)| event.clone())
    }
}

/// Where an event of another log is in this one, if it was copied to it.
async fn place_of(last: &LastEvent, store: &EventStore) -> Result<Option<Position>, EventStoreError> {
    let events = store.read_stream(&last.stream, last.revision, 1);
    pin_mut!(events);
    match events.try_next().await {
        Ok(event) => Ok(event.filter(|event| event.id == last.id).map(|event| event.position)),
        // Somebody has deleted the stream.
        Err(EventStoreError::Deleted | EventStoreError::Refused(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What a checkpoint says; none if the event is none that counts here. One of this log names a place before its own. One of
/// another log names its event.
fn recorded(event: &RecordedEvent, log: &LogIdentity) -> Option<Recorded> {
    let recorded = of_some_log(event)?;
    // From before logs had ids: in a copy it says nothing.
    if recorded.log_id.is_none() && !log.has(None, event.position) {
        return None;
    }
    let is_of_another_log = recorded.log_id.is_some() && !log.has(recorded.log_id, event.position);
    let counts = if is_of_another_log {
        recorded.event.is_some() || recorded.position.is_none()
    } else {
        recorded.position < Some(event.position)
    };
    counts.then_some(recorded)
}

/// How far a checkpoint says that the process is; none if it was copied from another log. While many orders are open, the
/// next one is due only when as many events have come: the orders of one that has several parts are estimated.
pub fn reached(event: &RecordedEvent, log: Option<&LogIdentity>) -> Option<Reached> {
    let recorded = match log {
        Some(log) => recorded(event, log)
            .filter(|recorded| recorded.log_id.is_none() || log.has(recorded.log_id, event.position)),
        None => of_some_log(event).filter(|recorded| recorded.position < Some(event.position)),
    }?;
    let open = match recorded.parts {
        1 => recorded.open_orders.len(),
        parts => (parts as usize).saturating_mul(BYTES_IN_A_PART / LEAST_BYTES_OF_AN_ORDER),
    };
    // Orders have come since, each with several events.
    let events = if open < FEW_OPEN_ORDERS { 0 } else { 2 * open as u64 };
    Some(Reached { position: recorded.position, events })
}

/// Whether the event is a checkpoint, if only of the log that this one was copied from.
fn is_checkpoint(event: &RecordedEvent) -> bool {
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
            more: false,
        }
        .to_json(),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;
