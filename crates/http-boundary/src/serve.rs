use crate::{ClientLimits, HttpLimits, Problem, connections};
use api::problem;
use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts};
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use axum::response::{IntoResponse, Response};
use connection_limits::Share;
use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

/// Bytes that a request's body may have.
pub const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The router with what every service has at its edge: a limit for bodies, problem documents for unknown
/// addresses, and an answer even when a handler panics.
pub fn with_edge(router: Router) -> Router {
    router
        .fallback(unknown_address)
        .method_not_allowed_fallback(unknown_method)
        // Both in one: each layer of a router costs every request a few allocations.
        .layer((
            CatchPanicLayer::custom(|cause: Box<dyn Any + Send>| panicked(cause.as_ref())),
            DefaultBodyLimit::max(MAX_BODY_BYTES),
        ))
}

/// Tells those who answer for long, such as a stream of events, that the service stops: they end their answer then.
#[derive(Debug, Clone, Default)]
pub struct Stopping(Arc<CancellationToken>);

impl Stopping {
    pub(crate) fn with(stop: &CancellationToken) -> Self {
        Self(Arc::new(stop.clone()))
    }

    /// Waits until the service stops.
    pub async fn wait(self) {
        self.0.cancelled().await;
    }
}

impl<S: Sync> FromRequestParts<S> for Stopping {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Whoever serves without `serve` stops in their own way.
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

/// Answers requests until told to stop, and then finishes those that are under way, within these limits.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    clients: ClientLimits,
    http: &HttpLimits,
    stop: CancellationToken,
) {
    connections::serve_alone(Some(clients), listener, with_edge(router), Share::PUBLIC, http, stop).await;
}

async fn unknown_address(uri: Uri) -> Problem {
    Problem::not_found(format!("There is nothing at {}.", uri.path()))
}

async fn unknown_method(method: Method, uri: Uri) -> Problem {
    Problem::new(problem::METHOD_NOT_ALLOWED, format!("{method} is not possible at {}.", uri.path()))
}

fn panicked(cause: &(dyn Any + Send)) -> Response {
    let message = cause.downcast_ref::<String>().map(String::as_str);
    let message = message.or_else(|| cause.downcast_ref::<&str>().copied()).unwrap_or("no message");
    tracing::error!(message, "a handler panicked");
    Problem::internal().into_response()
}
