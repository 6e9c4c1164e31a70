//! Their types to ours and back.

use crate::{AppendError, EventStoreError, Position, RecordedEvent, SubscriptionItem, is_of_log_identity};
use eventstore::{Error, ResolvedEvent, SubscriptionEvent};
use std::sync::Arc;

/// gRPC's numbers for what the client does not name.
const INVALID_ARGUMENT: i32 = 3;
const NOT_FOUND: i32 = 5;
const ALREADY_EXISTS: i32 = 6;
const PERMISSION_DENIED: i32 = 7;
const RESOURCE_EXHAUSTED: i32 = 8;
const FAILED_PRECONDITION: i32 = 9;

pub(super) fn is_invalid_argument(code: i32) -> bool {
    code == INVALID_ARGUMENT
}

/// Whether the server has no room for it, such as on its disk. It answers all the same, so nothing is wrong with the
/// connection.
pub(super) fn is_exhausted(code: i32) -> bool {
    code == RESOURCE_EXHAUSTED
}

pub(super) fn is_failed_precondition(code: i32) -> bool {
    code == FAILED_PRECONDITION
}

/// Whether an item of a batch was refused because the user may not append there.
pub(super) fn is_denied_in_a_batch(code: i32) -> bool {
    code == PERMISSION_DENIED
}

/// Whether an item of a batch was refused because the stream is not as expected, or is closed.
pub(super) fn is_conflict_of_a_batch(code: i32) -> bool {
    matches!(code, ALREADY_EXISTS | NOT_FOUND | FAILED_PRECONDITION)
}

pub(super) fn theirs(position: Position) -> eventstore::Position {
    eventstore::Position { commit: position.value(), prepare: position.value() }
}

pub(super) fn recorded(event: ResolvedEvent) -> Option<RecordedEvent> {
    // We do not ask for links to be resolved, so a link is an event like any other.
    let event = event.link.or(event.event)?;
    Some(RecordedEvent {
        stream: event.stream_id().to_owned(),
        revision: event.revision,
        position: Position::new(event.position.commit),
        id: event.id,
        event_type: event.event_type,
        data: event.data,
        metadata: event.custom_metadata,
        recorded_at: event.created,
    })
}

pub(super) fn is_system(event: &RecordedEvent) -> bool {
    event.event_type.starts_with('$') || event.stream.starts_with('$') || is_of_log_identity(&event.stream)
}

pub(super) fn delivered(item: SubscriptionEvent) -> Option<SubscriptionItem> {
    match item {
        SubscriptionEvent::EventAppeared(event) => recorded(event).map(|event| {
            let is_stores_own = is_system(&event);
            let event = Arc::new(event);
            if is_stores_own { SubscriptionItem::StoresOwn(event) } else { SubscriptionItem::Event(event) }
        }),
        SubscriptionEvent::Checkpoint(position) => {
            Some(SubscriptionItem::Checkpoint(Position::new(position.commit)))
        }
        SubscriptionEvent::CaughtUp(..) => Some(SubscriptionItem::CaughtUp),
        _ => None,
    }
}

/// The same failure, of a write that is not an append of ours.
pub(super) fn failed_write(error: EventStoreError) -> AppendError {
    match error {
        EventStoreError::Deleted => AppendError::Refused(error.to_string()),
        EventStoreError::Refused(error) => AppendError::Refused(error),
        EventStoreError::AccessDenied => AppendError::AccessDenied,
        EventStoreError::Unavailable(error) => AppendError::Unknown(error),
    }
}

pub(super) fn failed_read(error: &Error) -> EventStoreError {
    match error {
        Error::ResourceDeleted => EventStoreError::Deleted,
        Error::AccessDenied => EventStoreError::AccessDenied,
        Error::UnsupportedFeature | Error::InternalParsingError(_) | Error::IllegalStateError(_) => {
            EventStoreError::Refused(error.to_string())
        }
        Error::Grpc { code, .. } if is_invalid_argument(*code as i32) => {
            EventStoreError::Refused(error.to_string())
        }
        // The answer to a place in the log at which no event begins. It has no code of its own.
        error if error.to_string().contains("InvalidPosition") => EventStoreError::Refused(error.to_string()),
        _ => EventStoreError::Unavailable(error.to_string()),
    }
}
