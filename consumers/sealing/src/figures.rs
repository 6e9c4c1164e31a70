//! How far the sealing is, for those who watch the service.

use audit_seal::seal::Seal;
use audit_seal::stream::Fault;
use audit_seal::verification::Verification;
use chrono::{DateTime, Utc};
use futures::FutureExt;
use http_boundary::Metrics;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use std::sync::{Arc, Mutex, PoisonError};

/// The figures of the process that seals; zeros in the others. Cheap to clone; all clones are one.
#[derive(Clone, Default)]
pub struct Figures {
    sealed_events: Gauge,
    sealed_position: Gauge,
    unsealed_events: Gauge,
    unsealed_seconds: Gauge,
    oldest_unsealed: Arc<Mutex<Option<DateTime<Utc>>>>,
    forged: Family<[(&'static str, &'static str); 1], Counter>,
    verified_events: Gauge,
    verified_position: Gauge,
    verified_seconds: Gauge,
    verified_at: Arc<Mutex<Option<DateTime<Utc>>>>,
    faults: Gauge,
}

impl Figures {
    /// Makes the figures known.
    pub fn register(&self, metrics: &Metrics) {
        metrics.register(|registry| {
            let registry = registry.sub_registry_with_prefix("audit");
            let mut add = |name, help, gauge: &Gauge| registry.register(name, help, gauge.clone());
            add("sealed_events", "Events that the last seal covers", &self.sealed_events);
            add("sealed_position", "Position of the last sealed event", &self.sealed_position);
            add("unsealed_events", "Events that were seen and are not sealed yet", &self.unsealed_events);
            add("unsealed_seconds", "Age of the oldest event that is not sealed yet", &self.unsealed_seconds);
            add("verified_events", "Events up to which the history was verified", &self.verified_events);
            add("verified_position", "Position of the last verified event", &self.verified_position);
            add("verified_seconds", "How long ago the history was verified last", &self.verified_seconds);
            add("faults", "What the verification of the history has found in all", &self.faults);
            let help = "Events that the sealing met and no shop has written";
            registry.register("forged_events", help, self.forged.clone());
        });
        let figures = self.clone();
        metrics.refresh(move || {
            let age = figures.oldest().map_or(0, |oldest| (Utc::now() - oldest).num_seconds().max(0));
            figures.unsealed_seconds.set(age);
            let verified_at = *figures.verified_at.lock().unwrap_or_else(PoisonError::into_inner);
            let age = verified_at.map_or(0, |at| (Utc::now() - at).num_seconds().max(0));
            figures.verified_seconds.set(age);
            async {}.boxed()
        });
    }

    /// A seal was made, and nothing else has been seen yet.
    pub fn sealed(&self, seal: &Seal) {
        self.sealed_events.set(i64::try_from(seal.size).unwrap_or(i64::MAX));
        self.sealed_position.set(i64::try_from(seal.position).unwrap_or(i64::MAX));
        self.nothing_waits();
    }

    /// One more event waits for its seal.
    pub fn waits(&self, recorded_at: DateTime<Utc>) {
        self.unsealed_events.inc();
        self.oldest_unsealed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(recorded_at);
    }

    /// Another process seals now, or everything is sealed.
    pub fn nothing_waits(&self) {
        self.unsealed_events.set(0);
        *self.oldest_unsealed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// An event that no shop has written.
    pub fn forged(&self, fault: Fault) {
        self.forged.get_or_create(&[("fault", fault.name())]).inc();
    }

    /// The history was verified so far, and so much was found in all.
    pub fn verified(&self, last: Option<&Verification>, findings: u64) {
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        self.faults.set(number(findings));
        if let Some(last) = last {
            self.verified_events.set(number(last.size));
            self.verified_position.set(number(last.position));
            let mut verified_at = self.verified_at.lock().unwrap_or_else(PoisonError::into_inner);
            *verified_at = Some(last.verified_at);
        }
    }

    fn oldest(&self) -> Option<DateTime<Utc>> {
        *self.oldest_unsealed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
