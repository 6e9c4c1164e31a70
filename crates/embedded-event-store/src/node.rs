//! This node as others see it: a cluster of one, and its leader.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use uuid::Uuid;

/// The version of EventStoreDB whose protocol this is.
pub const VERSION: &str = "24.10.0";

/// What is told of the node to whoever asks for the members of the cluster.
#[derive(Debug, Clone)]
pub struct Node {
    /// Another one each time when the store starts.
    pub instance: Uuid,
    /// Where it listens.
    pub address: SocketAddr,
    /// The host that clients are told to connect to.
    pub advertised_host: String,
    /// The port that clients are told to connect to.
    pub advertised_port: u16,
}

impl Node {
    /// A node that listens at `address`, and says so unless another host or port is to be told.
    pub fn new(address: SocketAddr, advertised_host: Option<String>, advertised_port: Option<u16>) -> Self {
        Node {
            instance: Uuid::new_v4(),
            address,
            advertised_host: advertised_host.unwrap_or_else(|| address.ip().to_string()),
            advertised_port: advertised_port.unwrap_or(address.port()),
        }
    }
}

/// The time in ticks of 100 ns since 1970.
pub fn ticks_now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(now.as_nanos() / 100).unwrap_or(i64::MAX)
}
