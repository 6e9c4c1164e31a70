//! The connections. They are our own, and not axum's, because some payment methods cut them off.

use crate::server::Sandbox;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

/// How long requests that are under way may take to finish when the gateway stops.
const FINISH_WITHIN: Duration = Duration::from_secs(5);
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// Cuts off the connection that a request came on, while the gateway stops: before, it may hang for as long as its
/// client likes.
#[derive(Clone, Default)]
pub(crate) struct Cut(CancellationToken);

impl Cut {
    /// Cuts the connection off. The request that asks for it gets no answer.
    pub fn now(&self) {
        self.0.cancel();
    }
}

pub(crate) async fn serve(listener: TcpListener, router: Router, sandbox: Arc<Sandbox>) {
    let stop = sandbox.stop.clone();
    while let Some(accepted) = stop.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => {
                sandbox.tasks.spawn(connection(stream, router.clone(), stop.clone()));
            }
            Err(error) => {
                // Too many open files, most likely: it passes.
                warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        warn!(%error, "a connection keeps Nagle's algorithm on and will be slow");
    }
    let cut = Cut::default();
    let service = TowerToHyperService::new(router.layer(Extension(cut.clone())));
    let mut serving = pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let served = tokio::select! {
        served = serving.as_mut() => served,
        () = stop.cancelled() => {
            serving.as_mut().graceful_shutdown();
            tokio::select! {
                served = serving => served,
                () = cut.0.cancelled() => return,
                () = tokio::time::sleep(FINISH_WITHIN) => return,
            }
        }
    };
    if let Err(error) = served {
        debug!(%error, "a connection broke");
    }
}
