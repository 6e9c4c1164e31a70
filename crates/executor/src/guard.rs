//! Holds each event that a state is made from against the chain of its stream.

use super::unreadable::{Fault, Unreadable};
use audit_seal::chain;
use audit_seal::stream::{self, Chain};
use event_chains::{FirstSeal, found};
use event_store::{EventStore, EventStoreError, RecordedEvent};

/// Looks at every event that a state is made from. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Guard {
    first_seal: FirstSeal,
}

impl Guard {
    /// Takes the chain of a stream on to this event. Gives what is wrong if it is not one that a shop has written there.
    pub async fn follow(
        &self,
        store: &EventStore,
        chain: &mut Chain,
        event: &RecordedEvent,
    ) -> Result<Option<Unreadable>, EventStoreError> {
        let must_be_linked = self.must_be_linked(store, chain.is_linked, event).await?;
        let found = found(event);
        let fault = stream::Fault::of_type(&found).or(chain.take(&found, must_be_linked).fault());
        Ok(fault.map(|fault| Unreadable::at(event, Fault::Altered(fault))))
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
}
