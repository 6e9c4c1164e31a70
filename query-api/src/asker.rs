//! Who asks, as places and work are shared out by it.

use axum::extract::{FromRef, FromRequestParts};
use axum::http::request::Parts;
use http_boundary::{Caller, OperatorToken, Peer};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv6Addr};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    /// The other end of the connection. All IPv6 addresses of one network (a /64) are one: its owner has all of them.
    pub address: IpAddr,
    /// The connection's number.
    pub connection: u64,
    /// The operator has a share of its own.
    pub is_operator: bool,
}

impl Asker {
    /// Whoever is at the other end.
    #[must_use]
    pub fn at(peer: Peer, is_operator: bool) -> Self {
        let address = match peer.address {
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64 << 64;
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address @ IpAddr::V4(_) => address,
        };
        Self { address, connection: peer.connection, is_operator }
    }
}

impl<S> FromRequestParts<S> for Asker
where
    OperatorToken: FromRef<S>,
    S: Send + Sync,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let Ok(peer) = Peer::from_request_parts(parts, state).await;
        let caller = Caller::from_request_parts(parts, state).await;
        Ok(Self::at(peer, caller.is_ok_and(Caller::is_operator)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::one_machine("192.0.2.7", "192.0.2.7", true)]
    #[case::two_machines("192.0.2.7", "192.0.2.8", false)]
    #[case::one_network("2001:db8:0:1::7", "2001:db8:0:1:ffff::8", true)]
    #[case::two_networks("2001:db8:0:1::7", "2001:db8:0:2::7", false)]
    fn a_share_is_that_of_an_address(#[case] one: &str, #[case] other: &str, #[case] is_one_share: bool) {
        let share = |address: &str| {
            Asker::at(Peer { address: address.parse().unwrap(), connection: 1 }, false).address
        };
        assert_eq!(share(one) == share(other), is_one_share);
    }
}
