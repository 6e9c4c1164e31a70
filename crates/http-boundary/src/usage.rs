//! What connections and descriptors this process has in use, for `/readyz` and `/metrics`.

use crate::{Finding, Health};
use connection_limits::descriptors::{self, Shortages};
use connection_limits::{Descriptors, Figures, figures};
use futures::FutureExt;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How it is named in `/readyz`.
const PART: &str = "connections";
/// With fewer free descriptors than this part of the reserve, it says that they are short.
const SHORT_PART_OF_RESERVE: u64 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    port: &'static str,
}

#[derive(Clone, Default)]
struct Gauges {
    open: Family<Labels, Gauge>,
    most: Family<Labels, Gauge>,
    accepted: Family<Labels, Counter>,
    refused: Family<Labels, Counter>,
    evicted: Family<Labels, Counter>,
    evicted_busy: Family<Labels, Counter>,
    timed_out: Family<Labels, Counter>,
    not_read: Family<Labels, Counter>,
    slowed: Family<Labels, Counter>,
    descriptors: Gauge,
    descriptors_limit: Gauge,
}

/// Makes it a part of the health, and registers its metrics.
pub(crate) fn watch(health: &Health) {
    ask(health, Shortages::of_this_process());
    let gauges = Gauges::default();
    health.metrics().register(|registry| {
        let mut add = |name: &str, help: &str, family: &Family<Labels, Counter>| {
            registry.register(name, help, family.clone());
        };
        add("connections_accepted", "Connections that were taken", &gauges.accepted);
        add(
            "connections_refused",
            "Connections closed at once because all places were taken",
            &gauges.refused,
        );
        add("connections_evicted", "Connections closed to make place for others", &gauges.evicted);
        add(
            "connections_evicted_busy",
            "Connections closed to make place for others though they had a request under way",
            &gauges.evicted_busy,
        );
        add("connections_timed_out", "Connections closed because no request came in time", &gauges.timed_out);
        add("connections_not_read", "Connections closed because their client did not read", &gauges.not_read);
        add("connections_slowed", "Connections read slowly: they sent much besides requests", &gauges.slowed);
        registry.register("connections_open", "Connections that are open", gauges.open.clone());
        registry.register("connections_most", "Connections that may be open", gauges.most.clone());
        let used = "Open files and connections of the process";
        registry.register("descriptors_used", used, gauges.descriptors.clone());
        let limit = "Open files and connections that the process may have";
        registry.register("descriptors_limit", limit, gauges.descriptors_limit.clone());
    });
    health.metrics().refresh(move || {
        let gauges = gauges.clone();
        async move { gauges.set(used().await) }.boxed()
    });
}

fn ask(health: &Health, shortages: &'static Shortages) {
    let look = move || async {
        let used = used().await;
        finding(shortages.are_felt(Instant::now()), used, Descriptors::of_this_process())
    };
    health.ask(PART, move || look().boxed());
}

impl Gauges {
    fn set(&self, used: Option<u64>) {
        for (port, figures) in figures() {
            let labels = Labels { port };
            self.open.get_or_create(&labels).set(as_gauge(figures.open));
            self.most.get_or_create(&labels).set(as_gauge(figures.most));
            let counters = [
                (&self.accepted, figures.accepted),
                (&self.refused, figures.refused),
                (&self.evicted, figures.evicted),
                (&self.evicted_busy, figures.evicted_busy),
                (&self.timed_out, figures.timed_out),
                (&self.not_read, figures.not_read),
                (&self.slowed, figures.slowed),
            ];
            for (family, value) in counters {
                family.get_or_create(&labels).inner().store(value, Ordering::Relaxed);
            }
        }
        let limit = Descriptors::of_this_process().limit;
        // With none left, not even this can be asked.
        self.descriptors.set(as_gauge(used.unwrap_or(limit)));
        self.descriptors_limit.set(as_gauge(limit));
    }
}

fn as_gauge(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// The descriptors in use; nothing if the system does not say, as when there is none left.
async fn used() -> Option<u64> {
    let used = tokio::task::spawn_blocking(descriptors::used).await;
    used.ok()?.ok().map(|used| used as u64)
}

/// Not ready while something fails for want of a descriptor: it cannot take connections or write. Ready with a word
/// while they are merely short.
fn finding(are_short: bool, used: Option<u64>, all: Descriptors) -> Finding {
    let free = used.map_or(0, |used| all.limit.saturating_sub(used));
    let mut detail = json!({
        "descriptors": { "used": used, "limit": all.limit },
        "ports": figures().into_iter().map(|(port, figures)| (port.to_owned(), shown(&figures))).collect::<Value>(),
    });
    let word = match (are_short, free < all.reserve() / SHORT_PART_OF_RESERVE) {
        (true, _) => {
            Some("the process has no descriptor left for files and connections: raise its limit (ulimit -n)")
        }
        (false, true) => Some("descriptors for files and connections are short: raise the limit (ulimit -n)"),
        (false, false) => None,
    };
    if let Some(word) = word {
        detail["word"] = word.into();
    }
    Finding { ready: !are_short, detail }
}

fn shown(figures: &Figures) -> Value {
    json!({
        "open": figures.open,
        "most": figures.most,
        "refused": figures.refused,
        "evicted": figures.evicted,
        "evicted_busy": figures.evicted_busy,
        "timed_out": figures.timed_out,
        "not_read": figures.not_read,
        "slowed": figures.slowed,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::http::{Request, StatusCode};
    use std::time::Duration;
    use tower::ServiceExt;

    /// `/readyz` of those who run the shop: its status, and what it says of connections.
    async fn readyz(health: &Health) -> (StatusCode, Value) {
        let request = Request::get("/readyz").body(Body::empty()).unwrap();
        let answer = health.open_routes().oneshot(request).await.unwrap();
        let status = answer.status();
        let body = axum::body::to_bytes(answer.into_body(), 100_000).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status, body["parts"][PART].clone())
    }

    #[tokio::test]
    async fn the_service_is_not_ready_while_something_fails_for_want_of_a_descriptor() {
        static SHORTAGES: Shortages = Shortages::new();
        let health = Health::default();
        ask(&health, &SHORTAGES);
        let (status, before) = readyz(&health).await;
        assert_eq!((status, &before["ready"]), (StatusCode::OK, &json!(true)), "{before}");

        SHORTAGES.note(Instant::now());
        let (status, short) = readyz(&health).await;
        assert_eq!((status, &short["ready"]), (StatusCode::SERVICE_UNAVAILABLE, &json!(false)), "{short}");
        let word = short["detail"]["word"].as_str().unwrap();
        assert!(word.starts_with("the process has no descriptor left"), "{word}");

        SHORTAGES.note(Instant::now().checked_sub(Duration::from_secs(10)).unwrap());
        let (status, after) = readyz(&health).await;
        assert_eq!((status, &after["ready"]), (StatusCode::OK, &json!(true)), "{after}");
        assert_eq!(after["detail"]["word"], before["detail"]["word"]);
    }

    #[test]
    fn it_has_a_word_while_descriptors_are_short_and_another_when_there_is_none() {
        let all = Descriptors { before: 300, limit: 300 };
        let word = |are_short, used| {
            let Finding { ready, detail } = finding(are_short, used, all);
            (ready, detail["word"].as_str().map(|word| word.split(':').next().unwrap().to_owned()))
        };
        let [short, none] = [
            "descriptors for files and connections are short",
            "the process has no descriptor left for files and connections",
        ]
        .map(|word| Some(word.to_owned()));
        // The reserve is a hundred.
        assert_eq!(word(false, Some(250)), (true, None));
        assert_eq!(word(false, Some(251)), (true, short.clone()));
        // With none left, not even the number that is used can be asked for.
        assert_eq!(word(false, None), (true, short));
        assert_eq!(word(true, None), (false, none));
    }
}
