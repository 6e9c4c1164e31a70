//! For whom a stream is read. A cart of thousands of events for which there is no room in memory is read again for each
//! command, which takes as long as dozens of others: so its client is charged for it, and waits for its turn.
//!
//! It goes with the task that answers the request, so that no route can forget to say it: whatever the route looks at or
//! changes is read for its client.

use http::Extensions;
use http_boundary::{Caller, Client, ClientShare, TurnLimits, Turns};
use std::sync::Arc;
use std::time::Duration;

/// Events that are read without waiting for a turn. An ordinary cart has far fewer.
pub(super) const AT_ONCE: usize = 300;

/// Streams with more that are read at the same time for clients.
const TURNS: TurnLimits = TurnLimits {
    places: 2,
    places_of_a_busy_address: 1,
    places_of_the_busy: 1,
    waiting_of_a_connection: 8,
    waiting_of_an_address: 8,
    waiting: 512,
    patience: Duration::from_secs(5),
};

tokio::task_local! {
    static READER: Option<Arc<Reader>>;
}

/// A client whose request has streams read.
pub struct Reader {
    share: ClientShare,
    pub(super) client: Client,
}

impl Reader {
    /// The client of a request with these extensions; none if it is the operator's.
    #[must_use]
    pub fn of(extensions: &Extensions) -> Option<Arc<Self>> {
        if extensions.get::<Caller>().is_some_and(|caller| caller.is_operator()) {
            return None;
        }
        let (share, client) = (extensions.get::<ClientShare>()?.clone(), *extensions.get::<Client>()?);
        Some(Arc::new(Self { share, client }))
    }

    /// Does the work for this client. Without one, as for order fulfilment, nobody is charged and nobody waits.
    pub async fn work<T>(reader: Option<Arc<Self>>, work: impl Future<Output = T>) -> T {
        READER.scope(reader, work).await
    }

    /// For whom this task works.
    pub(super) fn of_this_task() -> Option<Arc<Self>> {
        READER.try_with(Clone::clone).ok().flatten()
    }

    pub(super) fn has_read(&self, events: u64) {
        self.share.has_read(events);
    }
}

/// The turns of those who have long streams read.
pub(super) fn turns() -> Turns {
    Turns::new(TURNS)
}
