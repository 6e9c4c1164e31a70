//! An embedded event store in this process, behind a relay that acknowledges no sooner than the kernel does. So it answers
//! as late as a real server, whose acknowledgements are delayed.

use super::error::BenchError;
use embedded_event_store::{Config, EmbeddedEventStore};
use std::path::Path;
use tcp_relay::Relay;

pub struct Relayed {
    store: EmbeddedEventStore,
    relay: Relay,
}

impl Relayed {
    /// Starts both; the store is kept in the folder.
    pub async fn start(folder: &Path) -> Result<Self, BenchError> {
        let store = EmbeddedEventStore::start(Config::on_any_port(folder.join("store"))).await?;
        let relay = Relay::to(store.address()).map_err(BenchError::Loopback)?;
        Ok(Self { store, relay })
    }

    /// The store's address behind the relay.
    pub fn url(&self) -> String {
        format!("esdb://{}?tls=false", self.relay.address())
    }

    /// The store's own address.
    pub fn direct_url(&self) -> String {
        self.store.connection_string()
    }

    /// In order.
    pub async fn stop(self) {
        self.store.stop().await;
    }
}
