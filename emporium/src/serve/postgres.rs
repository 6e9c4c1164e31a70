//! The private Postgres, watched: when it dies it is started again, and commands are taken meanwhile.

use super::ServeError;
use crate::secrets;
use backon::{ExponentialBuilder, Retryable};
use http_boundary::Health;
use private_postgres::{Config, Error, PrivatePostgres};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Where root's read models go when the data folder lies where the server's user may not go, such as below /root.
const FOR_ROOT: &str = "/var/lib/emporium";

const PART: &str = "private-postgres";

/// The read models in the data folder.
pub fn folder(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres")
}

/// The file that names root's read models elsewhere.
fn elsewhere(data_dir: &Path) -> PathBuf {
    data_dir.join("postgres-elsewhere")
}

fn place_of(name: &str) -> PathBuf {
    Path::new(FOR_ROOT).join(&name[..name.len().min(16)])
}

/// Removes the read models of a data folder that are not in it, for when that folder is removed too.
///
/// # Errors
/// When they are there and cannot be removed.
pub fn remove_elsewhere(data_dir: &Path) -> io::Result<()> {
    match std::fs::read_to_string(elsewhere(data_dir)) {
        Ok(name) => std::fs::remove_dir_all(place_of(name.trim())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Starts the server in the data folder, or, for root in a place of its own, beside the system's other servers.
///
/// # Errors
/// When no server can be started.
pub async fn start(data_dir: &Path) -> Result<(PrivatePostgres, PathBuf), ServeError> {
    let folder = folder(data_dir);
    match PrivatePostgres::start(Config::durable(&folder)).await {
        Ok(server) => Ok((server, folder)),
        Err(Error::NoEntry { .. }) => {
            // The name stands in the data folder: without that folder, these read models are nobody's.
            let name = secrets::read_or_make(&elsewhere(data_dir))?;
            let folder = place_of(&name);
            tracing::info!(folder = %folder.display(), "the server's user may not enter the data folder: the read models are here");
            let server = PrivatePostgres::start(Config::durable(&folder)).await?;
            Ok((server, folder))
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps the server running until told to stop, and then stops it in order.
pub async fn keep_running(
    mut server: PrivatePostgres,
    data_dir: PathBuf,
    health: Health,
    stop: CancellationToken,
) {
    loop {
        let died = tokio::select! {
            () = stop.cancelled() => break,
            died = server.died() => died,
        };
        tracing::error!(
            error = &died as &dyn std::error::Error,
            "the private Postgres has died: starting it again"
        );
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
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the private Postgres did not stop in order"
        );
    }
}
