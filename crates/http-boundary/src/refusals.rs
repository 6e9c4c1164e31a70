//! What is refused for want of room: counted each time, said at most once a second.

use crate::Metrics;
use crate::problem::ProblemId;
use axum::http::{Response, StatusCode};
use connection_limits::PerSecond;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How long refusals are gathered before they are said.
const GATHERED: Duration = Duration::from_secs(1);

/// The refusals of a process, by the id of the problem. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Refusals {
    counted: Family<[(&'static str, &'static str); 1], Counter>,
    /// Not said yet.
    unsaid: Arc<Mutex<BTreeMap<&'static str, u64>>>,
    guesses: Arc<PerSecond>,
}

impl Default for Refusals {
    fn default() -> Self {
        let guesses = Arc::new(PerSecond::once());
        Self { counted: Family::default(), unsaid: Arc::default(), guesses }
    }
}

impl Refusals {
    pub(crate) fn register(&self, metrics: &Metrics) {
        let help = "Requests that were refused for want of room or time, and those with a token that is not known, by the id of the problem";
        metrics.register(|registry| registry.register("refused_requests", help, self.counted.clone()));
    }

    /// Counts a refusal. Must be called inside a tokio runtime.
    pub fn count(&self, problem: &'static str) {
        self.counted.get_or_create(&[("reason", problem)]).inc();
        let mut unsaid = self.lock();
        let is_first = unsaid.is_empty();
        *unsaid.entry(problem).or_default() += 1;
        drop(unsaid);
        if is_first {
            let refusals = self.clone();
            tokio::spawn(async move {
                tokio::time::sleep(GATHERED).await;
                refusals.say();
            });
        }
    }

    /// Counts an answer that refuses its request for want of room or time: 408, 429 or 503.
    pub(crate) fn count_answer<B>(&self, response: &Response<B>) {
        let refusals =
            [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        if refusals.contains(&response.status())
            && let Some(ProblemId(id)) = response.extensions().get::<ProblemId>()
        {
            self.count(id);
        }
    }

    /// Counts a request with a token that is not known, and says at most once a second which address sent the last one.
    pub(crate) fn count_guess(&self, problem: &'static str, address: IpAddr) {
        self.counted.get_or_create(&[("reason", problem)]).inc();
        if let Some(times) = self.guesses.line() {
            tracing::warn!(%address, times, "a request has a token that is not known");
        }
    }

    fn say(&self) {
        let unsaid = std::mem::take(&mut *self.lock());
        let reasons: Vec<_> = unsaid.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
        tracing::warn!(reasons = reasons.join(", "), "requests are refused");
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, u64>> {
        // Nothing panics while it holds the lock.
        self.unsaid.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn refusals_are_gathered_until_they_are_said() {
        let refusals = Refusals::default();
        for _ in 0..1_000 {
            refusals.count("too-many-requests");
        }
        refusals.count("overloaded");
        let unsaid = || refusals.lock().clone();
        assert_eq!(unsaid(), BTreeMap::from([("overloaded", 1), ("too-many-requests", 1_000)]));
        refusals.say();
        assert_eq!(unsaid(), BTreeMap::new());
        let counted = refusals.counted.get_or_create(&[("reason", "too-many-requests")]).get();
        assert_eq!(counted, 1_000);
    }

    #[test]
    fn tokens_that_are_not_known_are_counted() {
        let refusals = Refusals::default();
        (0..10).for_each(|_| refusals.count_guess("unknown-token", IpAddr::from([192, 0, 2, 1])));
        assert_eq!(refusals.counted.get_or_create(&[("reason", "unknown-token")]).get(), 10);
    }
}
