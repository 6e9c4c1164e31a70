//! Streams whose history was altered: what is refused of them, and how that is told.

use super::ViewError;
use super::loaded::Loaded;
use crate::chains::{FirstSeal, found};
use audit_seal::chain;
use audit_seal::stream::Fault;
use domain::Aggregate;
use event_store::{EventStore, EventStoreError, RecordedEvent};
use futures::FutureExt;
use http_boundary::{Finding, Health};
use prometheus_client::metrics::gauge::Gauge;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The part's name in `/readyz`.
const PART: &str = "altered-streams";
/// Streams that are remembered by name.
const MAX_NAMED: usize = 1_000;
/// Streams that `/readyz` names.
const SHOWN: usize = 10;

/// Looks at every event that a state is made from. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Guard {
    first_seal: FirstSeal,
    altered: Arc<Mutex<BTreeMap<String, Altered>>>,
    figure: Gauge,
}

/// What is wrong with a stream.
#[derive(Clone, Copy)]
struct Altered {
    revision: u64,
    fault: Fault,
}

impl Guard {
    /// Makes known which streams are refused: in `/readyz`, where they keep nobody from the others, and in `/metrics`.
    pub fn register(&self, health: &Health) {
        let figure = self.figure.clone();
        health.metrics().register(|registry| {
            let help = "Streams whose commands are refused because their history was altered";
            registry.sub_registry_with_prefix("commands").register("altered_streams", help, figure);
        });
        let guard = self.clone();
        health.ask(PART, move || {
            let altered = guard.lock();
            let shown = altered.iter().take(SHOWN);
            let first: Vec<_> = shown
                .map(|(stream, altered)| {
                    let Altered { revision, fault } = altered;
                    json!({ "stream": stream, "revision": revision, "why": fault.to_string() })
                })
                .collect();
            let detail = json!({ "streams": altered.len(), "first": first });
            async move { Finding { ready: true, detail } }.boxed()
        });
    }

    /// Whether the stream of a state may go on with this event, and its link if it may.
    pub async fn check<A: Aggregate>(
        &self,
        store: &EventStore,
        state: &mut Loaded<A>,
        event: &RecordedEvent,
    ) -> Result<(), ViewError> {
        let must_be_linked = self.must_be_linked(store, state.chain.is_linked, event).await;
        let must_be_linked = must_be_linked.map_err(ViewError::Store)?;
        let found = found(event);
        let fault = Fault::of_type(&found).or(state.chain.take(&found, must_be_linked).fault());
        fault.map_or(Ok(()), |fault| Err(self.refuse(event, fault)))
    }

    async fn must_be_linked(
        &self,
        store: &EventStore,
        is_linked: bool,
        event: &RecordedEvent,
    ) -> Result<bool, EventStoreError> {
        // Only of a stream without links is there a question, and only old ones are without.
        if is_linked || chain::split(&event.metadata).1.is_some() {
            return Ok(true);
        }
        self.first_seal.is_before(store, event.position).await
    }

    fn refuse(&self, event: &RecordedEvent, fault: Fault) -> ViewError {
        let RecordedEvent { stream, revision, .. } = event;
        let mut altered = self.lock();
        let is_new = !altered.contains_key(stream) && altered.len() < MAX_NAMED;
        if is_new {
            altered.insert(stream.clone(), Altered { revision: *revision, fault });
            self.figure.set(i64::try_from(altered.len()).unwrap_or(i64::MAX));
            tracing::error!(stream, revision, %fault, "the history of a stream was altered: its commands are refused");
        }
        ViewError::Altered { stream: stream.clone(), revision: *revision, fault }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Altered>> {
        // Nothing panics while it holds the lock.
        self.altered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
