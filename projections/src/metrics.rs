//! The projections' figures for those who watch the service.

use crate::lag::Pace;
use crate::overview::overview;
use crate::routes::Shared;
use futures::FutureExt;
use http_boundary::Metrics;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use std::time::Duration;

/// How long the figures may take before the old ones are given.
const WITHIN: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    projection: String,
    version: i32,
    state: &'static str,
}

/// One gauge for each version of each projection.
#[derive(Clone, Default)]
struct Gauges {
    lag_events: Family<Labels, Gauge>,
    lag_seconds: Family<Labels, Gauge>,
    parked_streams: Family<Labels, Gauge>,
    skipped_events: Family<Labels, Gauge>,
    events_applied: Family<Labels, Gauge>,
    stands_still: Family<Labels, Gauge>,
    unknown: Gauge,
}

/// Makes the figures known.
pub fn register(metrics: &Metrics, shared: Shared) {
    let gauges = Gauges::default();
    metrics.register(|registry| {
        let registry = registry.sub_registry_with_prefix("projection");
        let mut add =
            |name, help, family: &Family<Labels, Gauge>| registry.register(name, help, family.clone());
        add("lag_events", "Events of the log that are not applied yet", &gauges.lag_events);
        add("lag_seconds", "Age of the oldest event that is not applied yet", &gauges.lag_seconds);
        add("parked_streams", "Streams that are put aside", &gauges.parked_streams);
        add("skipped_events", "Events that were left out for good", &gauges.skipped_events);
        add("events_applied", "Events that were applied", &gauges.events_applied);
        add("stands_still", "1 if there is something to do and nothing moves", &gauges.stands_still);
        registry.register("unknown", "1 if the figures could not be read", gauges.unknown.clone());
    });
    metrics.refresh(move || {
        let (gauges, shared) = (gauges.clone(), shared.clone());
        async move {
            let read = tokio::time::timeout(WITHIN, gauges.read(&shared)).await.unwrap_or(false);
            gauges.unknown.set(i64::from(!read));
        }
        .boxed()
    });
}

impl Gauges {
    /// Whether they could be read.
    async fn read(&self, shared: &Shared) -> bool {
        let projections = match overview(&shared.databases, &shared.store, &shared.board).await {
            Ok(projections) => projections,
            Err(error) => {
                tracing::debug!(%error, "the projections' figures cannot be read");
                return false;
            }
        };
        let all = [
            &self.lag_events,
            &self.lag_seconds,
            &self.parked_streams,
            &self.skipped_events,
            &self.events_applied,
            &self.stands_still,
        ];
        // Versions that are gone are gone here too.
        all.iter().for_each(|family| family.clear());
        for projection in projections {
            for version in projection.versions {
                let labels = Labels {
                    projection: projection.name.to_owned(),
                    version: version.version,
                    state: version.state.name(),
                };
                let values = [
                    i64::try_from(version.lag.events).unwrap_or(i64::MAX),
                    version.lag.seconds,
                    version.parked_streams,
                    version.skipped_events,
                    version.events_applied,
                    i64::from(version.pace == Pace::StandsStill),
                ];
                for (family, value) in all.iter().zip(values) {
                    family.get_or_create(&labels).set(value);
                }
            }
        }
        true
    }
}
