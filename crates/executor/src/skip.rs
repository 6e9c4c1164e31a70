//! Passing over an event that cannot be read, because the operator says so: a marker in the event's own stream, chained
//! and sealed like everything there, that every reader of the stream finds.

use super::loaded::{Loaded, chained};
use super::unreadable::Described;
use super::{Accepted, Envelope, ExecuteError, Shared, Streams, ViewError};
use audit_seal::chain::START;
use audit_seal::stream::Chain;
use domain::Aggregate;
use event_chains::found;
use event_store::{
    AppendError, EVENT_SKIPPED, EventStore, EventStoreError, ExpectedRevision, Skip, TOMBSTONE_REVISION,
};
use futures::TryStreamExt;
use std::pin::pin;
use thiserror::Error;

/// How often it is tried again because somebody else wrote in between.
const ATTEMPTS: usize = 5;

/// Why no event was passed over.
#[derive(Debug, Error)]
pub enum SkipError {
    /// The stream can be read, or is none of an aggregate.
    #[error("the stream `{stream}` is not parked")]
    NotParked { stream: String },
    /// The stream stands at another event.
    #[error("the stream `{}` is parked at revision {}, not {wanted}: look at that event first", at.stream, at.revision)]
    Elsewhere { at: Described, wanted: u64 },
    /// A deleted stream does not come back.
    #[error("the stream `{stream}` is deleted: there is no event in it to pass over")]
    Deleted { stream: String },
    /// The event store did not answer, or others write all the time.
    #[error(transparent)]
    Failed(#[from] ViewError),
}

impl<A: Aggregate> Streams<A> {
    /// Has the event passed over at which the stream is parked.
    pub(super) async fn skip(
        &self,
        stream: &str,
        (revision, reason): (u64, &str),
        envelope: &Envelope,
    ) -> Result<Accepted, SkipError> {
        let Shared { store, guard, .. } = self.shared();
        for _ in 0..ATTEMPTS {
            let found = Loaded::<A>::empty().catch_up(store, guard, stream, usize::MAX).await;
            let at = match found {
                Err(ExecuteError::Unreadable(at)) if at.revision == TOMBSTONE_REVISION => {
                    return Err(SkipError::Deleted { stream: stream.to_owned() });
                }
                Err(ExecuteError::Unreadable(at)) => at,
                Err(error) => return Err(error.into()),
                Ok(_) => return repeated(store, stream, revision).await,
            };
            if at.revision != revision {
                return match repeated(store, stream, revision).await {
                    Err(SkipError::NotParked { .. }) => {
                        Err(SkipError::Elsewhere { at: at.describe(), wanted: revision })
                    }
                    answered => answered,
                };
            }
            let (end, link) = end_of(store, stream).await.map_err(ExecuteError::Store)?;
            let skip = Skip {
                revision,
                event_id: at.event_id.unwrap_or_default(),
                event_type: at.event_type.clone(),
                fault: at.describe().why,
                reason: reason.to_owned(),
            };
            let marker = (EVENT_SKIPPED, skip.to_json());
            let (events, _) = chained(stream, envelope, std::iter::once(marker), None, (end + 1, &link));
            match store.append(stream, ExpectedRevision::Exact(end), events).await {
                Ok(appended) => {
                    tracing::warn!(stream, revision, reason, "the operator has an event passed over");
                    let (revision, position) = (appended.revision, appended.position);
                    return Ok(Accepted { revision, position, replayed: false });
                }
                Err(AppendError::Conflict) => {}
                // It may be there: the next look says so.
                Err(AppendError::Unknown(error)) => tracing::debug!(stream, error, "looking again"),
                Err(AppendError::AccessDenied) => {
                    return Err(ViewError::Store(EventStoreError::AccessDenied).into());
                }
                Err(error) => {
                    let refused = EventStoreError::Refused(error.to_string());
                    return Err(ViewError::Store(refused).into());
                }
            }
        }
        Err(ViewError::Contended { stream: stream.to_owned() }.into())
    }
}

/// The answer to one who wants an event passed over that is passed over already.
async fn repeated(store: &EventStore, stream: &str, revision: u64) -> Result<Accepted, SkipError> {
    let of_store = |error| SkipError::Failed(ViewError::Store(error));
    let mut events = pin!(store.read_stream(stream, revision.saturating_add(1), usize::MAX));
    while let Some(event) = events.try_next().await.map_err(of_store)? {
        if Skip::of(&event).is_some_and(|skip| skip.revision == revision) {
            return Ok(Accepted { revision: event.revision, position: event.position, replayed: true });
        }
    }
    Err(SkipError::NotParked { stream: stream.to_owned() })
}

/// The last revision of a stream that has events, and the link there.
async fn end_of(store: &EventStore, stream: &str) -> Result<(u64, audit_seal::Digest), EventStoreError> {
    let mut events = pin!(store.read_stream(stream, 0, usize::MAX));
    let (mut end, mut chain) = (0, Chain::EMPTY);
    while let Some(event) = events.try_next().await? {
        chain.take(&found(&event), false);
        end = event.revision;
    }
    Ok((end, chain.link.unwrap_or(START)))
}
