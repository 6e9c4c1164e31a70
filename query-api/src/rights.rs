//! Whether the event store's user may do what the query side needs. It is tried at the start, and now and then.

use event_store::{EventStore, Need, Right};
use http_boundary::Health;

/// How it is named in `/readyz`.
const PART: &str = "event-store-rights: queries";

const NEEDS: [Need; 2] = [
    Need { part: "live pages and the audit trail", right: Right::ReadLog },
    Need { part: "histories", right: Right::Read("order-any") },
];

/// Tries it until dropped.
pub async fn watch(store: EventStore, health: Health) {
    let told = |missing: Option<_>| match missing {
        None => health.is_well(PART),
        Some(missing) => {
            tracing::error!("{missing}");
            health.is_ill(PART, format!("{missing}"));
        }
    };
    store.watch_rights(&NEEDS, told).await;
}
