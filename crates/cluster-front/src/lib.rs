//! Nodes of a cluster in front of one event store, for tests.
//!
//! Each node listens on a port of its own and passes calls on to the same store: what a cluster copies from node to node
//! is simply there. In everything else the nodes answer as those of a real cluster. Only the leader takes appends and
//! groups; the others name it, or say that there is none. A node dies with its connections, falls silent, or loses the
//! lead and goes on. A new leader drops requests for groups until it has read them. Gossip tells what the nodes know,
//! which may be old.

mod answer;
mod gossip;
mod node;
mod state;

pub use state::Fall;

use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use node::Node;
use state::State;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A cluster, the first node of which leads. It ends when it is dropped.
pub struct Cluster {
    addresses: Arc<[SocketAddr]>,
    state: watch::Sender<State>,
    _end_on_drop: DropGuard,
}

impl Cluster {
    /// So many nodes in front of the event store at this address.
    ///
    /// # Errors
    /// When there is no port left to listen on.
    pub async fn start(store: SocketAddr, nodes: usize) -> io::Result<Self> {
        let mut listeners = Vec::new();
        for _ in 0..nodes {
            listeners.push(TcpListener::bind("127.0.0.1:0").await?);
        }
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        let addresses = Arc::<[SocketAddr]>::from(addresses);
        let state = watch::Sender::new(State::led_by_the_first(nodes));
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        let store_client =
            Client::builder(TokioExecutor::new()).timer(TokioTimer::new()).http2_only(true).build(connector);
        let end = CancellationToken::new();
        for (index, listener) in listeners.into_iter().enumerate() {
            let node = Node {
                index,
                addresses: Arc::clone(&addresses),
                state: state.clone(),
                store,
                store_client: store_client.clone(),
            };
            tokio::spawn(end.clone().run_until_cancelled_owned(node.listen(listener, end.clone())));
        }
        Ok(Self { addresses, state, _end_on_drop: end.drop_guard() })
    }

    /// The connection string that names all nodes.
    #[must_use]
    pub fn connection_string(&self) -> String {
        let hosts = self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>();
        format!("esdb://{}?tls=false", hosts.join(","))
    }

    /// The connection string that names one node only.
    #[must_use]
    pub fn connection_string_of(&self, node: usize) -> String {
        format!("esdb://{}?tls=false", self.addresses[node])
    }

    /// The node that leads, if one does.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        self.state.borrow().leader
    }

    /// The leader falls. Until somebody notices, the others still name it.
    pub fn leader_falls(&self, how: Fall) {
        self.state.send_modify(|state| state.leader_falls(how));
    }

    /// The nodes notice that they have no leader.
    pub fn nobody_leads(&self) {
        self.state.send_modify(State::nobody_leads);
    }

    /// The node takes over, and everybody knows it. It reads its groups at once.
    pub fn elect(&self, node: usize) {
        self.state.send_modify(|state| state.elect(node, true));
    }

    /// The same; it drops requests for groups until [`Self::groups_are_read`].
    pub fn elect_without_groups(&self, node: usize) {
        self.state.send_modify(|state| state.elect(node, false));
    }

    /// From now on the leader answers new requests for groups.
    pub fn groups_are_read(&self) {
        self.state.send_modify(|state| state.has_groups = true);
    }

    /// How many connections the nodes have.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.state.borrow().connections
    }

    /// Waits until the nodes have no more connections than that.
    pub async fn has_connections(&self, at_most: usize) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| state.connections <= at_most).await;
    }

    /// Waits until so many calls more were refused for want of a leader, or not answered, or have met a dead node.
    pub async fn refuses(&self, count: u64) {
        let mut state = self.state.subscribe();
        let until = state.borrow().refused + count;
        // The sender lives as long as this does.
        let _ = state.wait_for(|state| state.refused >= until).await;
    }

    /// Waits until the leader has dropped so many requests for groups since it was elected.
    pub async fn drops_requests_for_groups(&self, count: u64) {
        let mut state = self.state.subscribe();
        let _ = state.wait_for(|state| state.dropped_for_groups >= count).await;
    }
}
