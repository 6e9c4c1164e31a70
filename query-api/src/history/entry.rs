//! A stream, told event by event.

use super::stream::HistoryError;
use chrono::{DateTime, Utc};
use domain::stored::COMMAND_NOTED;
use domain::{Event, Summary};
use event_store::{EventStore, Position, RecordedEvent, Skip};
use futures::TryStreamExt;
use serde::Serialize;
use uuid::Uuid;

/// An event for people: what happened, who did it and when.
#[derive(Debug, Serialize)]
pub struct Entry {
    pub revision: u64,
    pub position: Position,
    event_id: Uuid,
    #[serde(rename = "type")]
    event_type: String,
    /// One line.
    summary: String,
    /// Null where the metadata is not ours, as what follows.
    actor: Option<String>,
    /// Business time.
    occurred_at: Option<DateTime<Utc>>,
    recorded_at: DateTime<Utc>,
    command_id: Option<Uuid>,
    causation_id: Option<Uuid>,
    correlation_id: Option<Uuid>,
}

impl Entry {
    /// An event that this program cannot read is told too, for an auditor must not miss it.
    pub fn new(event: &RecordedEvent) -> Self {
        let metadata = event.metadata().ok();
        let (actor, occurred_at) =
            metadata.as_ref().map(|known| (known.actor.clone(), known.occurred_at)).unzip();
        Self {
            revision: event.revision,
            position: event.position,
            event_id: event.id,
            event_type: event.event_type.clone(),
            summary: summary(event),
            actor,
            occurred_at,
            recorded_at: event.recorded_at,
            command_id: metadata.as_ref().map(|known| known.command_id),
            causation_id: metadata.as_ref().map(|known| known.causation_id),
            correlation_id: metadata.as_ref().map(|known| known.correlation_id),
        }
    }
}

/// One line for any event.
pub fn summary(event: &RecordedEvent) -> String {
    if event.event_type == COMMAND_NOTED {
        return "A command that changed nothing".to_owned();
    }
    if let Some(skip) = Skip::of(event) {
        let Skip { revision, event_type, reason, .. } = skip;
        return format!("Event {revision} ({event_type}), which cannot be read, is passed over: {reason}");
    }
    match Event::read(&event.event_type, &event.data) {
        Ok(fact) => fact.summary(),
        Err(error) => format!("Unreadable here: {error}"),
    }
}

/// Events of a stream from a revision on.
pub async fn entries(
    store: &EventStore,
    stream: &str,
    from: u64,
    max: usize,
) -> Result<Vec<Entry>, HistoryError> {
    let events = store.read_stream(stream, from, max);
    Ok(events.map_ok(|event| Entry::new(&event)).try_collect().await?)
}
