//! The figures of a process for those who watch it: `GET /metrics`, in the text form of OpenMetrics that Prometheus
//! reads.

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::future::{BoxFuture, join_all};
use prometheus_client::registry::Registry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics of a process. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Metrics {
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    registry: Registry,
    /// What brings gauges up to date before they are read.
    refreshers: Vec<Refresher>,
}

type Refresher = Arc<dyn Fn() -> BoxFuture<'static, ()> + Send + Sync>;

impl Default for Metrics {
    fn default() -> Self {
        let registry = Registry::with_prefix("emporium");
        Self { shared: Arc::new(Mutex::new(Shared { registry, refreshers: Vec::new() })) }
    }
}

impl Metrics {
    /// Makes metrics known.
    pub fn register(&self, register: impl FnOnce(&mut Registry)) {
        register(&mut self.lock().registry);
    }

    /// Something that brings metrics up to date whenever somebody reads them.
    pub fn refresh(&self, refresher: impl Fn() -> BoxFuture<'static, ()> + Send + Sync + 'static) {
        self.lock().refreshers.push(Arc::new(refresher));
    }

    /// `GET /metrics`.
    pub fn routes(&self) -> Router {
        let metrics = self.clone();
        Router::new().route("/metrics", get(move || metrics.clone().answer()))
    }

    pub(crate) async fn answer(self) -> Response {
        let refreshers = self.lock().refreshers.clone();
        join_all(refreshers.iter().map(|refresher| refresher())).await;
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.lock().registry) {
            Ok(()) => ([(header::CONTENT_TYPE, MEDIA_TYPE)], text).into_response(),
            Err(error) => {
                tracing::error!(%error, "the metrics cannot be written");
                StatusCode::INTERNAL_SERVER_ERROR.into_response()
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Nothing panics while it holds the lock.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use prometheus_client::metrics::gauge::Gauge;

    #[tokio::test]
    async fn gauges_are_brought_up_to_date_before_they_are_read() {
        let metrics = Metrics::default();
        let gauge = Gauge::<i64>::default();
        metrics.register(|registry| registry.register("doors_open", "Doors that are open", gauge.clone()));
        metrics.refresh(move || {
            gauge.inc();
            async {}.boxed()
        });
        for expected in ["emporium_doors_open 1\n", "emporium_doors_open 2\n"] {
            let answer = metrics.clone().answer().await;
            assert_eq!(answer.headers()[header::CONTENT_TYPE], MEDIA_TYPE);
            let body = axum::body::to_bytes(answer.into_body(), 10_000).await.unwrap();
            let text = String::from_utf8(body.to_vec()).unwrap();
            assert!(text.contains(expected) && text.ends_with("# EOF\n"), "{text}");
        }
    }
}
