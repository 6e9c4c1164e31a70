//! Where a request came from: the other end of its connection.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The other end of the connection that a request came over. Behind a proxy this is the proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// A number that no other connection of this process has.
    pub connection: u64,
}

impl Peer {
    /// The peer of a connection with this number.
    #[must_use]
    pub fn new(address: SocketAddr, connection: u64) -> Self {
        // An IPv4 peer of a listener for both families is the same peer as over IPv4 alone.
        Self { address: address.ip().to_canonical(), connection }
    }
}

impl<S: Sync> FromRequestParts<S> for Peer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // A router that is asked without a connection, as a unit test does, has the machine itself as its peer.
        let this_machine = Self { address: Ipv4Addr::LOCALHOST.into(), connection: 0 };
        Ok(parts.extensions.get::<Self>().copied().unwrap_or(this_machine))
    }
}
