//! `emporium event-store serve`: the embedded event store alone.

use super::EventStoreCliError;
use clap::Args;
use embedded_event_store::{Config, EmbeddedEventStore};
use http_boundary::process;
use std::net::SocketAddr;
use std::path::PathBuf;

/// `emporium event-store serve …`
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where the events are kept; made if it is not there
    #[arg(long, value_name = "PATH", default_value = ".data/event-store")]
    pub data_dir: PathBuf,
    /// Where to answer EventStoreDB clients; port 0 takes any free one
    #[arg(long, env = "EMPORIUM_EVENT_STORE_LISTEN", default_value = "127.0.0.1:2113")]
    pub listen: SocketAddr,
}

/// Runs until Ctrl-C or SIGTERM.
pub async fn run(args: ServeArgs) -> Result<(), EventStoreCliError> {
    let stop = process::stop_signal();
    let mut config = Config::new(args.data_dir);
    config.listen = args.listen;
    let store = EmbeddedEventStore::start(config).await?;
    println!("event store   {}", store.connection_string());
    let result = tokio::select! {
        () = stop.cancelled() => Ok(()),
        death = store.died() => Err(EventStoreCliError::Died(death.to_string())),
    };
    tracing::info!("stopping");
    store.stop().await;
    result
}
