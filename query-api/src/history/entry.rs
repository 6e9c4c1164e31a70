//! A stream, told event by event.

use super::stream::HistoryError;
use api::history::HistoryEntry;
use domain::stored::COMMAND_NOTED;
use domain::{Event, Summary};
use event_store::{EventStore, RecordedEvent, Skip};
use futures::TryStreamExt;

/// An event that this program cannot read is told too, for an auditor must not miss it.
fn entry(event: &RecordedEvent) -> HistoryEntry {
    let metadata = event.metadata().ok();
    let (actor, occurred_at) =
        metadata.as_ref().map(|known| (known.actor.clone(), known.occurred_at)).unzip();
    HistoryEntry {
        revision: event.revision,
        position: event.position.value(),
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
) -> Result<Vec<HistoryEntry>, HistoryError> {
    let events = store.read_stream(stream, from, max);
    Ok(events.map_ok(|event| entry(&event)).try_collect().await?)
}
