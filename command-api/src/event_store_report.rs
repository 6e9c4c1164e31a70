//! What `/readyz` and `/metrics` say of the event store, as commands meet it.

use event_store::EventStore;
use futures::FutureExt;
use http_boundary::{Finding, Health};
use prometheus_client::metrics::gauge::Gauge;
use serde_json::json;

/// Its name in `/readyz`.
const PART: &str = "event-store";

/// Tells of it from now on.
pub fn report(health: &Health, store: &EventStore) {
    let said = store.clone();
    health.ask(PART, move || {
        let away = said.away();
        let detail = match &away {
            None => json!({ "commands": "are taken" }),
            Some(away) => json!({
                "commands": "are refused at once until it answers again",
                "since": away.since,
                "error": away.error,
            }),
        };
        async move { Finding { ready: away.is_none(), detail } }.boxed()
    });
    let gauge = Gauge::<i64>::default();
    health.metrics().register(|registry| {
        let help = "1 while the event store does not answer and commands are refused at once";
        registry.register("event_store_away", help, gauge.clone());
    });
    let store = store.clone();
    health.metrics().refresh(move || {
        gauge.set(i64::from(store.away().is_some()));
        async {}.boxed()
    });
}
