//! Serves an event store until SIGTERM or Ctrl-C: `serve DATA_DIR [ADDRESS]`, for example `serve .store 127.0.0.1:2113`.

use std::error::Error;
use std::net::SocketAddr;

use embedded_event_store::{Config, EmbeddedEventStore};
use tokio::signal::unix::{SignalKind, signal};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let data_dir = arguments.next().ok_or("give the data folder, and where to listen if not on port 2113")?;
    let mut config = Config::new(data_dir);
    if let Some(address) = arguments.next() {
        config.listen = address.parse::<SocketAddr>()?;
    }
    // Before the start: a signal that comes at once must stop it in order too.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let store = EmbeddedEventStore::start(config).await?;
    println!("{}", store.connection_string());
    tokio::select! {
        _ = terminate.recv() => store.stop().await,
        _ = interrupt.recv() => store.stop().await,
        death = store.died() => return Err(death.into()),
    }
    Ok(())
}
