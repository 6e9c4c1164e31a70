//! The projections as a process of their own.

use clap::Parser;
use projections::{Application, Config};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// Fills the read models from the event store, until Ctrl-C or SIGTERM.
#[derive(Parser)]
#[command(name = "projections", version)]
struct Arguments {
    #[command(flatten)]
    config: Config,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let application = Application::build(Arguments::parse().config)?;
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let stop = CancellationToken::new();
    let stopping = stop.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        stopping.cancel();
    });
    Ok(application.run_until_stopped(stop).await?)
}
