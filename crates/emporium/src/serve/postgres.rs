//! The private Postgres, watched: when it dies it is started again, and commands are taken meanwhile.

use backon::{ExponentialBuilder, Retryable};
use http_boundary::Health;
use private_postgres::{Config, PrivatePostgres};
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const PART: &str = "private-postgres";

/// Keeps the server running until told to stop, and then stops it in order.
pub async fn keep_running(mut server: PrivatePostgres, data_dir: PathBuf, health: Health, stop: CancellationToken) {
    loop {
        let died = tokio::select! {
            () = stop.cancelled() => break,
            died = server.died() => died,
        };
        tracing::error!(error = &died as &dyn std::error::Error, "the private Postgres has died: starting it again");
        health.is_ill(PART, died.to_string());
        drop(server);
        let start = || PrivatePostgres::start(Config::durable(&data_dir));
        let patiently = ExponentialBuilder::default()
            .with_min_delay(Duration::from_millis(200))
            .with_max_delay(Duration::from_secs(10))
            .without_max_times();
        let started = start.retry(patiently).notify(|error, _| health.is_ill(PART, error.to_string()));
        server = tokio::select! {
            () = stop.cancelled() => return,
            started = started => match started {
                Ok(server) => server,
                Err(_) => return,
            },
        };
        health.is_well(PART);
    }
    if let Err(error) = server.stop().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the private Postgres did not stop in order");
    }
}
