//! Where a request came from: the other end of its connection.

use crate::serve::PromptListener;
use axum::extract::FromRequestParts;
use axum::extract::connect_info::{ConnectInfo, Connected};
use axum::http::request::Parts;
use axum::serve::IncomingStream;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};

static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// The other end of the connection that a request came over. Behind a proxy this is the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// A number that no other connection of this process has.
    pub connection: u64,
}

impl Peer {
    /// The peer of a new connection.
    #[must_use]
    pub fn of_connection(address: SocketAddr) -> Self {
        // An IPv4 peer of a listener for both families is the same peer as over IPv4 alone.
        Self { address: address.ip().to_canonical(), connection: CONNECTIONS.fetch_add(1, Ordering::Relaxed) }
    }
}

impl Connected<IncomingStream<'_, PromptListener>> for Peer {
    fn connect_info(stream: IncomingStream<'_, PromptListener>) -> Self {
        Self::of_connection(*stream.remote_addr())
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let peer = parts.extensions.get::<ConnectInfo<Self>>().map(|ConnectInfo(peer)| *peer);
        // A router that is asked without a connection, as a unit test does, has the machine itself as its peer.
        Ok(peer.unwrap_or(Self { address: Ipv4Addr::LOCALHOST.into(), connection: 0 }))
    }
}
