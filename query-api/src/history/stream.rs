//! A stream up to a point.

use super::{Moment, Point};
use crate::answer::failed_read;
use api::problem;
use chrono::{DateTime, Utc};
use domain::Aggregate;
use domain::stored::{COMMAND_NOTED, StoredEvent, UnreadableEvent};
use event_store::{EVENT_SKIPPED, EventStore, EventStoreError, RecordedEvent, Skips};
use futures::{TryStreamExt, pin_mut};
use http_boundary::{ClientShare, Problem, process};
use thiserror::Error;

/// Why a history cannot be told.
#[derive(Debug, Error)]
pub enum HistoryError {
    #[error(transparent)]
    Store(#[from] EventStoreError),
    #[error(
        "the event {revision} of the stream `{stream}` cannot be read: run a version of Emporium that knows it"
    )]
    Unreadable {
        stream: String,
        revision: u64,
        #[source]
        source: UnreadableEvent,
    },
    #[error("the metadata of the event {revision} of the stream `{stream}` is not ours")]
    Metadata {
        stream: String,
        revision: u64,
        #[source]
        source: serde_json::Error,
    },
    #[error("the event {revision} of the stream `{stream}` has numbers larger than we show")]
    TooLarge { stream: String, revision: u64 },
}

/// A stream that is folded event by event.
#[derive(Default)]
pub(super) struct Reader {
    /// Looked up when the first event is met that cannot be read.
    skips: Option<Skips>,
}

impl Reader {
    /// What an event says of the thing, and its circumstances. Nothing for a marker, and for an event that the operator has
    /// had passed over, at whatever point of the history the stream is looked at.
    pub async fn read<A: Aggregate>(
        &mut self,
        store: &EventStore,
        event: &RecordedEvent,
    ) -> Result<Option<(A::Event, Moment)>, HistoryError> {
        if [COMMAND_NOTED, EVENT_SKIPPED].contains(&event.event_type.as_str()) {
            return Ok(None);
        }
        let error = match read::<A>(event) {
            Ok(known) => return Ok(Some(known)),
            Err(error) => error,
        };
        let skips = match &self.skips {
            Some(skips) => skips,
            None => self.skips.insert(store.skips(&event.stream, event.revision.saturating_add(1)).await?),
        };
        if skips.has(event) { Ok(None) } else { Err(error) }
    }
}

fn read<A: Aggregate>(event: &RecordedEvent) -> Result<(A::Event, Moment), HistoryError> {
    let moment = moment(event)?;
    let fact = A::Event::read(&event.event_type, &event.data);
    let unreadable =
        |source| HistoryError::Unreadable { stream: event.stream.clone(), revision: event.revision, source };
    Ok((fact.map_err(unreadable)?, moment))
}

impl From<HistoryError> for Problem {
    fn from(error: HistoryError) -> Self {
        match error {
            HistoryError::Store(error) => failed_read(error),
            unreadable => {
                tracing::warn!(error = process::with_causes(&unreadable), "a history cannot be told");
                Self::new(problem::STREAM_UNREADABLE, format!("{unreadable}."))
            }
        }
    }
}

/// How far a stream had come at a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upto {
    /// Its last event then.
    Revision(u64),
    /// It had none.
    Nothing,
    /// Its last event now, which is before the revision that was asked for.
    OnlyUpTo(u64),
}

/// The stream's last event at a point, or its last one now. Its client is charged for the events that are looked at for it.
pub async fn last_at(
    store: &EventStore,
    stream: &str,
    point: Option<Point>,
    share: &ClientShare,
) -> Result<Upto, HistoryError> {
    if let Some(Point::Revision(revision)) = point {
        let at = store.read_stream(stream, revision, 1);
        pin_mut!(at);
        if at.try_next().await?.is_some_and(|event| event.revision == revision) {
            return Ok(Upto::Revision(revision));
        }
    }
    // Business times may go to and fro, so the last event that had happened is looked for from the end.
    let events = store.read_stream_backwards(stream, None, count_of(point));
    pin_mut!(events);
    let mut upto = Upto::Nothing;
    let mut looked_at = LookedAt { share, events: 0 };
    while let Some(event) = events.try_next().await? {
        looked_at.events += 1;
        let is_within = match point {
            None => true,
            Some(Point::Revision(_)) => return Ok(Upto::OnlyUpTo(event.revision)),
            Some(Point::Position(position)) => event.position <= position,
            Some(Point::Time(time)) => happened_at(&event) <= time,
        };
        if is_within {
            upto = Upto::Revision(event.revision);
            break;
        }
    }
    Ok(upto)
}

/// Events that are looked at for a client, who is charged for them even if it goes away before the answer.
struct LookedAt<'share> {
    share: &'share ClientShare,
    events: u64,
}

impl Drop for LookedAt<'_> {
    fn drop(&mut self) {
        self.share.has_read(self.events);
    }
}

/// How many events must be looked at from the end.
fn count_of(point: Option<Point>) -> usize {
    match point {
        None | Some(Point::Revision(_)) => 1,
        Some(Point::Position(_) | Point::Time(_)) => usize::MAX,
    }
}

/// An event's business time. What is not ours happened when the store took it.
pub(super) fn happened_at(event: &RecordedEvent) -> DateTime<Utc> {
    event.metadata().map_or(event.recorded_at, |known| known.occurred_at)
}

fn metadata(event: &RecordedEvent) -> Result<event_store::Metadata, HistoryError> {
    event.metadata().map_err(|source| HistoryError::Metadata {
        stream: event.stream.clone(),
        revision: event.revision,
        source,
    })
}

fn moment(event: &RecordedEvent) -> Result<Moment, HistoryError> {
    let metadata = metadata(event)?;
    let too_large = |_| HistoryError::TooLarge { stream: event.stream.clone(), revision: event.revision };
    Ok(Moment {
        revision: i64::try_from(event.revision).map_err(too_large)?,
        position: i64::try_from(event.position.value()).map_err(too_large)?,
        event_type: event.event_type.clone(),
        command_id: metadata.command_id,
        actor: metadata.actor,
        occurred_at: metadata.occurred_at,
    })
}
