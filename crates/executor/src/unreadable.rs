//! Where a stream cannot be read any further, and why.

use super::ExecuteError;
use domain::Aggregate;
use domain::stored::{StoredEvent, UnreadableEvent};
use event_store::{Metadata, RecordedEvent, TOMBSTONE_REVISION, TOMBSTONE_TYPE};
use http_boundary::process::with_causes;
use serde::Serialize;
use std::sync::Arc;
use thiserror::Error;
use uuid::Uuid;

/// The first event of a stream that is not one of ours, as far as this program knows.
#[derive(Debug, Error)]
#[error("the stream `{stream}` cannot be read at revision {revision} (`{event_type}`)")]
pub struct Unreadable {
    pub stream: String,
    pub revision: u64,
    /// None of a stream that was deleted.
    pub event_id: Option<Uuid>,
    pub event_type: String,
    #[source]
    pub fault: Fault,
}

/// What is wrong with it.
#[derive(Debug, Error)]
pub enum Fault {
    /// Its type is not known, or its payload has not the type's form.
    #[error(transparent)]
    Event(#[from] UnreadableEvent),
    /// It says not who wrote it, when and why, as every event of ours does.
    #[error("its metadata is not ours")]
    Metadata(#[source] serde_json::Error),
    /// No shop has written it there: it was altered, or somebody has added it.
    #[error("the history was altered: {0}")]
    Altered(audit_seal::stream::Fault),
    /// The stream is gone for good: no event can be passed over.
    #[error("somebody has deleted the stream for good")]
    Deleted,
}

/// What a person is told of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Described {
    pub stream: String,
    pub revision: u64,
    pub event_type: String,
    pub why: String,
}

impl Unreadable {
    /// Reads an event as one of this aggregate.
    pub(super) fn read<A: Aggregate>(event: &RecordedEvent) -> Result<(A::Event, Metadata), Self> {
        let fact = A::Event::read(&event.event_type, &event.data);
        let fact = fact.map_err(|error| Self::at(event, error.into()))?;
        let metadata = event.metadata().map_err(|error| Self::at(event, Fault::Metadata(error)))?;
        Ok((fact, metadata))
    }

    /// What is wrong with this event.
    pub(super) fn at(event: &RecordedEvent, fault: Fault) -> Self {
        Self {
            stream: event.stream.clone(),
            revision: event.revision,
            event_id: Some(event.id),
            event_type: event.event_type.clone(),
            fault,
        }
    }

    /// Of a stream that was deleted for good.
    pub(super) fn deleted(stream: &str) -> Self {
        Self {
            stream: stream.to_owned(),
            revision: TOMBSTONE_REVISION,
            event_id: None,
            event_type: TOMBSTONE_TYPE.to_owned(),
            fault: Fault::Deleted,
        }
    }

    /// For people.
    #[must_use]
    pub fn describe(&self) -> Described {
        Described {
            stream: self.stream.clone(),
            revision: self.revision,
            event_type: self.event_type.clone(),
            why: with_causes(&self.fault),
        }
    }
}

impl<R: std::error::Error + 'static> From<Unreadable> for ExecuteError<R> {
    fn from(at: Unreadable) -> Self {
        Self::Unreadable(Arc::new(at))
    }
}
