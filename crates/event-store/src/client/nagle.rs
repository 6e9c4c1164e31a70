//! Nagle's algorithm off on the official client's connections.
//!
//! The client sends a call in two small packets, and its connector leaves Nagle's algorithm on, which holds the second
//! one back until the server has acknowledged the first. A server delays that by 40 ms. The client has no setting for
//! it and hands out no socket; so the sockets are looked for among the process's own
//! ([decision 16](../../../../docs/decisions/0016-tcp-nodelay-is-set-from-outside.md)).

mod sockets;

use crate::NagleError;
use eventstore::ClientSettings;
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// An answer that took so long may have waited for a delayed acknowledgement: the client has connected again.
const SUSPICIOUS: Duration = Duration::from_millis(30);
/// Slow answers cause one look in so long: a look takes a microsecond or two for each descriptor of the process.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// When nothing was found, it is looked again after so long before anybody is told.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// Sets TCP_NODELAY on the connections to one event store.
#[derive(Debug)]
pub(super) struct Nagle {
    hosts: Vec<(String, u16)>,
    looked: Mutex<Option<Instant>>,
    /// Whether somebody was told that it does not work.
    is_told: AtomicBool,
}

impl Nagle {
    pub fn of(settings: &ClientSettings) -> Self {
        let hosts = settings.hosts().iter();
        let hosts = hosts.filter_map(|host| Some((host.host.clone(), u16::try_from(host.port).ok()?)));
        Self { hosts: hosts.collect(), looked: Mutex::default(), is_told: AtomicBool::default() }
    }

    /// An answer has come after so long.
    pub fn has_answered(self: &Arc<Self>, is_first: bool, took: Duration) {
        if !is_first && took < SUSPICIOUS {
            return;
        }
        {
            let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
            if !is_first && looked.is_some_and(|looked| looked.elapsed() < LOOK_EVERY) {
                return;
            }
            *looked = Some(Instant::now());
        }
        let nagle = Arc::clone(self);
        tokio::spawn(async move {
            let mut outcome = nagle.switch_off().await;
            if matches!(outcome, Err(NagleError::NotFound { .. })) {
                // The connection may just be closing, or be one that the client has replaced.
                tokio::time::sleep(AGAIN_AFTER).await;
                outcome = nagle.switch_off().await;
            }
            nagle.tell(&outcome);
        });
    }

    /// Looks for the connections, and sets TCP_NODELAY on each. Says on how many it was not set before.
    pub async fn switch_off(&self) -> Result<usize, NagleError> {
        let nodes = self.nodes().await?;
        let looking = tokio::task::spawn_blocking(move || sockets::set_nodelay(|peer| nodes.may_have(peer)));
        let found = looking.await.map_err(std::io::Error::other).flatten().map_err(NagleError::Sockets)?;
        if found.connections == 0 {
            return Err(NagleError::NotFound { hosts: self.names() });
        }
        Ok(found.newly_set)
    }

    fn tell(&self, outcome: &Result<usize, NagleError>) {
        match outcome {
            Ok(newly_set) => {
                self.is_told.store(false, Ordering::Relaxed);
                tracing::debug!(newly_set, "TCP_NODELAY is set on the connections to the event store");
            }
            Err(error) if !self.is_told.swap(true, Ordering::Relaxed) => tracing::warn!(
                error = error as &dyn std::error::Error,
                "TCP_NODELAY cannot be set on the connections to the event store: each read may take 40 ms longer"
            ),
            Err(_) => {}
        }
    }

    async fn nodes(&self) -> Result<Nodes, NagleError> {
        let mut nodes = Nodes::default();
        let mut unresolved = None;
        for (host, port) in &self.hosts {
            match tokio::net::lookup_host((host.as_str(), *port)).await {
                Ok(addresses) => nodes.ips.extend(addresses.map(|address| address.ip().to_canonical())),
                Err(error) => unresolved = Some(error),
            }
            nodes.ports.insert(*port);
        }
        match unresolved {
            // One seed of a cluster that is there is enough.
            Some(error) if nodes.ips.is_empty() => {
                Err(NagleError::Unresolved { hosts: self.names(), source: error })
            }
            _ => Ok(nodes),
        }
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        names.join(", ")
    }
}

/// Where a cluster's nodes are. The client learns some of them by gossip and does not say which: they have the same port
/// on other machines, or other ports on the same machine. To set TCP_NODELAY on somebody else's connection to such an
/// address does no harm.
#[derive(Debug, Default)]
struct Nodes {
    ips: HashSet<IpAddr>,
    ports: HashSet<u16>,
}

impl Nodes {
    fn may_have(&self, peer: SocketAddr) -> bool {
        self.ips.contains(&peer.ip().to_canonical()) || self.ports.contains(&peer.port())
    }
}

#[cfg(test)]
mod tests;
