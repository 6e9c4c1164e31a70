//! The last reconciliation, for those who watch the service.

use super::runs::Reconciler;
use futures::FutureExt;
use http_boundary::Metrics;
use prometheus_client::metrics::gauge::Gauge;

/// Makes the figures known.
pub fn register(metrics: &Metrics, reconciler: &Reconciler) {
    let pool = reconciler.pool().clone();
    let (differences, seconds, failed) =
        (Gauge::<i64>::default(), Gauge::<i64>::default(), Gauge::<i64>::default());
    metrics.register(|registry| {
        let registry = registry.sub_registry_with_prefix("reconciliation");
        registry.register(
            "differences",
            "What did not add up in the last run; -1 before the first",
            differences.clone(),
        );
        registry.register(
            "age_seconds",
            "Seconds since the last run has ended; -1 before the first",
            seconds.clone(),
        );
        registry.register("failed", "1 if the last run could not tell", failed.clone());
    });
    metrics.refresh(move || {
        let (pool, differences, seconds, failed) =
            (pool.clone(), differences.clone(), seconds.clone(), failed.clone());
        async move {
            let last = sqlx::query!(
                r#"SELECT differences, extract(epoch FROM now() - finished_at)::bigint AS "seconds!"
                   FROM reconciliations WHERE finished_at IS NOT NULL ORDER BY finished_at DESC LIMIT 1"#
            );
            let Ok(last) = last.fetch_optional(&pool).await else {
                failed.set(1);
                return;
            };
            failed.set(last.as_ref().map_or(0, |last| i64::from(last.differences.is_none())));
            differences.set(last.as_ref().and_then(|last| last.differences).unwrap_or(-1));
            seconds.set(last.map_or(-1, |last| last.seconds));
        }
        .boxed()
    });
}
