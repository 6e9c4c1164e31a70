//! The chains of the shop's streams, as they stand in the event store. What a link is, and which event must have one, is
//! in `audit-seal`.

mod first_seal;

pub use first_seal::FirstSeal;

use audit_seal::stream::Chain;
use audit_seal::verify::Found;
use event_store::{EventStore, EventStoreError, RawRecord, RecordedEvent};
use futures::TryStreamExt;
use std::pin::pin;

/// An event as the checks want it.
pub fn found(event: &RecordedEvent) -> Found<'_> {
    Found {
        stream: &event.stream,
        revision: event.revision,
        position: event.position.value(),
        id: event.id,
        event_type: &event.event_type,
        data: &event.data,
        metadata: &event.metadata,
    }
}

/// The same for an event of anybody's.
pub fn found_raw(record: &RawRecord) -> Found<'_> {
    Found {
        stream: &record.stream,
        revision: record.revision,
        position: record.position.value(),
        id: record.event.id,
        event_type: &record.event.event_type,
        data: &record.event.data,
        metadata: &record.event.metadata,
    }
}

/// Where a stream stands before the event of this revision: one read, and a longer one if the event before it is from
/// before there were links.
///
/// # Errors
/// When the store does not answer.
pub async fn before(store: &EventStore, stream: &str, revision: u64) -> Result<Chain, EventStoreError> {
    let Some(last) = revision.checked_sub(1) else { return Ok(Chain::EMPTY) };
    let mut events = pin!(store.read_stream_backwards(stream, Some(last), 1));
    let event = match events.try_next().await {
        Ok(Some(event)) => event,
        Ok(None) => return Ok(Chain::EMPTY),
        // A stream that was deleted or hidden can be read no more; the log has its events.
        Err(EventStoreError::Refused(_) | EventStoreError::Deleted) => {
            return Ok(Chain::unknown_before(revision));
        }
        Err(error) => return Err(error),
    };
    if let Some(chain) = Chain::after(&found(&event)) {
        return Ok(chain);
    }
    let count = usize::try_from(revision).unwrap_or(usize::MAX);
    let mut events = pin!(store.read_stream(stream, 0, count));
    let mut chain = Chain::EMPTY;
    while let Some(event) = events.try_next().await? {
        chain.take(&found(&event), false);
    }
    Ok(chain)
}
