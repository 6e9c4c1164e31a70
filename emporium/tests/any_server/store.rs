//! The event store under the shop.

use crate::running::Service;
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::EventStore;
use futures::{StreamExt, pin_mut};
use rand::Rng;
use std::path::PathBuf;
use std::process::Stdio;
use tcp_relay::Relay;
use tempfile::TempDir;

/// The settings of a shop whose shoppers all come from this machine.
const FOR_A_CROWD: [&str; 7] = [
    "--reads-per-second-by-address=0",
    "--writes-per-second-by-address=0",
    "--max-units-of-a-sku=0",
    "--unpaid-share=100",
    "--unpaid-orders-of-address=0",
    "--unpaid-orders-of-customer=0",
    "--scarce-below=0",
];
/// The same in every run, so that the seals of the last run are the shop's own.
const SEALING_KEY: &str =
    "--audit-signing-key=0101010101010101010101010101010101010101010101010101010101010101";

/// The store that `EVENT_STORE_URL` names, or one of our own behind a relay.
pub struct Store {
    url: String,
    own: Option<Own>,
    folder: TempDir,
}

struct Own {
    store: EmbeddedEventStore,
    relay: Relay,
}

impl Store {
    pub async fn find() -> Self {
        let folder = tempfile::tempdir().unwrap();
        if let Ok(url) = std::env::var("EVENT_STORE_URL") {
            return Self { url, own: None, folder };
        }
        let store = start(folder.path().join("event-store")).await;
        let relay = Relay::to(store.address()).unwrap();
        let url = format!("esdb://{}?tls=false", relay.address());
        Self { url, own: Some(Own { store, relay }), folder }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    /// Whether nobody has written anything into it.
    pub async fn is_empty(&self) -> bool {
        let events = EventStore::connect(&self.url).unwrap().read_all(None, 1);
        pin_mut!(events);
        events.next().await.transpose().unwrap().is_none()
    }

    /// A shop on it, with read models of its own.
    pub async fn shop(&self) -> Service {
        self.shop_on(&self.url).await
    }

    /// The same shop on another store.
    pub async fn shop_on(&self, url: &str) -> Service {
        let event_store = format!("--event-store={url}");
        let args: Vec<&str> = [&FOR_A_CROWD[..], &[SEALING_KEY, &event_store]].concat();
        Service::start(&self.folder.path().join("shop"), &args).await
    }

    /// Whether this run can kill its leader.
    pub fn has_a_way_to_kill_the_leader(&self) -> bool {
        self.own.is_some() || std::env::var_os("LEADER_KILL").is_some()
    }

    /// Kills the leader: of a cluster by the given command, of our own by cutting every connection, ending it, and having
    /// another one go on with its log.
    pub async fn kill_the_leader(&mut self) {
        match self.own.take() {
            Some(Own { store, relay }) => {
                relay.set_down(true);
                store.stop().await;
                let store = start(self.folder.path().join("event-store")).await;
                relay.lead_to(store.address());
                relay.set_down(false);
                self.own = Some(Own { store, relay });
            }
            None => {
                let command = std::env::var("LEADER_KILL").expect("the command that kills the leader");
                let mut shell = tokio::process::Command::new("sh");
                let ended = shell.args(["-c", &command]).stdin(Stdio::null()).status().await.unwrap();
                assert!(ended.success(), "LEADER_KILL has failed: {command}");
            }
        }
    }
}

/// An embedded store in this folder.
pub async fn start(folder: PathBuf) -> EmbeddedEventStore {
    EmbeddedEventStore::start(Config::on_any_port(folder)).await.unwrap()
}

/// A name that no other run uses.
pub fn fresh(prefix: &str) -> String {
    format!("{prefix}{:08X}", rand::rng().random::<u32>())
}
