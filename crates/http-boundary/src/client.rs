//! Who counts as one client: the peer, or the address that a trusted proxy names.
//!
//! Anybody can send a header that names an address. It is believed only as far as it was written by proxies that the
//! shop named: it is read from its end, where the last proxy wrote, and the first address that is no proxy's is the
//! client's.

use crate::Peer;
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, header};
use clap::{Args, ValueEnum};
use connection_limits::counted_as;
use ipnet::IpNet;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Once;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Proxies that a request may have passed; a longer chain is somebody's invention.
const MAX_PROXIES: usize = 16;

/// The proxies before the service.
#[derive(Debug, Clone, Default, Args)]
pub struct ProxyArgs {
    /// The proxies before the service, as addresses or networks such as 10.0.0.0/8, separated by commas: the address
    /// that they forward is the client's. Without it, the other end of each connection is the client
    #[arg(
        long,
        env = "EMPORIUM_TRUSTED_PROXIES",
        value_name = "NETWORKS",
        value_delimiter = ',',
        value_parser = network
    )]
    pub trusted_proxies: Vec<IpNet>,

    /// The header in which the proxies forward the client's address. Name the one that they write: another one may
    /// have been written by the client
    #[arg(long, env = "EMPORIUM_FORWARDED_IN", value_enum, default_value_t = ForwardedIn::XForwardedFor)]
    pub forwarded_in: ForwardedIn,
}

/// A header in which proxies name the address that a request came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum ForwardedIn {
    /// `X-Forwarded-For: 192.0.2.7, 10.0.0.1`
    #[default]
    XForwardedFor,
    /// `Forwarded: for=192.0.2.7, for="[2001:db8::1]"` (RFC 7239)
    Forwarded,
}

/// The client of a request, as far as it can be told from others without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client {
    /// By what it is counted ([`counted_as`]).
    pub address: IpAddr,
    /// The connection to this process that its request came over. Behind a proxy, others may share it.
    pub connection: u64,
    /// Whether this connection sends more than a person does. Known where a service is [served](crate::serve()) within limits;
    /// nobody is busy without them, and no operator is.
    pub is_busy: bool,
}

impl ProxyArgs {
    /// The client of a request that came from this peer with these headers.
    #[must_use]
    pub fn client(&self, peer: Peer, headers: &HeaderMap) -> Client {
        let address = if self.is_trusted(peer.address) {
            self.forwarded(peer.address, headers)
        } else {
            hint_at_proxies(peer.address, headers);
            peer.address
        };
        Client { address: counted_as(address), connection: peer.connection, is_busy: false }
    }

    pub(crate) fn is_trusted(&self, address: IpAddr) -> bool {
        self.trusted_proxies.iter().any(|network| network.contains(&address))
    }

    /// The last address that is no trusted proxy's. What cannot be read was sent by the proxy before it.
    fn forwarded(&self, proxy: IpAddr, headers: &HeaderMap) -> IpAddr {
        let name = match self.forwarded_in {
            ForwardedIn::XForwardedFor => X_FORWARDED_FOR,
            ForwardedIn::Forwarded => header::FORWARDED,
        };
        let mut last = proxy;
        let values = headers.get_all(name).iter().rev();
        // Parted before it is read as text: what one hop wrote must not hide what the next ones did.
        let hops = values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b','));
        for hop in hops.take(MAX_PROXIES) {
            let hop = str::from_utf8(hop).unwrap_or_default();
            let address = match self.forwarded_in {
                ForwardedIn::XForwardedFor => node(hop),
                ForwardedIn::Forwarded => forwarded_for(hop).and_then(node),
            };
            let Some(address) = address else { return last };
            if !self.is_trusted(address) {
                return address;
            }
            last = address;
        }
        last
    }
}

impl<S: Sync> FromRequestParts<S> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        if let Some(client) = parts.extensions.get::<Self>() {
            return Ok(*client);
        }
        // Routes without limits, and routers that are asked without a connection.
        let Ok(peer) = Peer::from_request_parts(parts, state).await;
        Ok(Self { address: counted_as(peer.address), connection: peer.connection, is_busy: false })
    }
}

/// A network, or an address as a network of its own.
fn network(text: &str) -> Result<IpNet, String> {
    let text = text.trim();
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| "give an address or a network, such as 192.0.2.1, 10.0.0.0/8 or fd00::/8".to_owned())
}

/// An address, perhaps with a port, perhaps quoted.
fn node(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().ok();
    let address = address.or_else(|| text.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address| address.to_canonical())
}

/// The `for` of one element of a `Forwarded` header.
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim().eq_ignore_ascii_case("for").then_some(value)
    })
}

/// A proxy on this machine or in its network that nobody named makes all customers one client: that is said once.
fn hint_at_proxies(peer: IpAddr, headers: &HeaderMap) {
    static SAID: Once = Once::new();
    let is_near = match peer {
        IpAddr::V4(peer) => peer.is_loopback() || peer.is_private(),
        IpAddr::V6(peer) => peer.is_loopback() || peer.is_unique_local(),
    };
    if is_near && (headers.contains_key(X_FORWARDED_FOR) || headers.contains_key(header::FORWARDED)) {
        SAID.call_once(|| {
            tracing::warn!(
                %peer,
                "requests come through a proxy that is not trusted, and all its customers count as one client: name \
                 it in --trusted-proxies (EMPORIUM_TRUSTED_PROXIES)"
            );
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn client(proxies: &[&str], read: ForwardedIn, peer: &str, values: &[&str]) -> String {
        let trusted_proxies = proxies.iter().map(|proxy| network(proxy).unwrap()).collect();
        let args = ProxyArgs { trusted_proxies, forwarded_in: read };
        let name = match read {
            ForwardedIn::XForwardedFor => X_FORWARDED_FOR,
            ForwardedIn::Forwarded => header::FORWARDED,
        };
        let headers = values.iter().map(|value| (name.clone(), value.parse().unwrap())).collect();
        let peer = Peer { address: peer.parse().unwrap(), connection: 1 };
        args.client(peer, &headers).address.to_string()
    }

    #[test]
    fn bytes_that_are_no_text_hide_no_later_hop() {
        let args = ProxyArgs { trusted_proxies: vec![network("10.0.0.1").unwrap()], ..ProxyArgs::default() };
        let value = axum::http::HeaderValue::from_bytes(b"\xff, 198.51.100.8").unwrap();
        let headers = [(X_FORWARDED_FOR, value)].into_iter().collect();
        let peer = Peer { address: "10.0.0.1".parse().unwrap(), connection: 1 };
        assert_eq!(args.client(peer, &headers).address.to_string(), "198.51.100.8");
    }

    #[rstest]
    #[case::nobody_is_trusted(&[], "192.0.2.9", &["198.51.100.1"], "192.0.2.9")]
    #[case::another_is_trusted(&["10.0.0.0/8"], "192.0.2.9", &["198.51.100.1"], "192.0.2.9")]
    #[case::the_proxy_says_nothing(&["10.0.0.0/8"], "10.0.0.1", &[], "10.0.0.1")]
    #[case::one_proxy(&["10.0.0.1"], "10.0.0.1", &["198.51.100.1"], "198.51.100.1")]
    #[case::two_proxies(&["10.0.0.0/8"], "10.0.0.1", &["198.51.100.1, 10.0.0.2"], "198.51.100.1")]
    #[case::the_client_wrote_first(&["10.0.0.1"], "10.0.0.1", &["203.0.113.5, 198.51.100.1"], "198.51.100.1")]
    #[case::two_lines_are_one(&["10.0.0.1"], "10.0.0.1", &["203.0.113.5", "198.51.100.1"], "198.51.100.1")]
    #[case::a_proxy_in_the_middle_is_not_ours(
        &["10.0.0.1"], "10.0.0.1", &["203.0.113.5, 10.0.0.2"], "10.0.0.2"
    )]
    #[case::unreadable(&["10.0.0.0/8"], "10.0.0.1", &["203.0.113.5, unknown, 10.0.0.2"], "10.0.0.2")]
    #[case::only_proxies(&["10.0.0.0/8"], "10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3")]
    #[case::with_a_port(&["10.0.0.1"], "10.0.0.1", &["198.51.100.1:4711"], "198.51.100.1")]
    #[case::as_ipv6(&["10.0.0.1"], "10.0.0.1", &["2001:db8:1:2:3:4:5:6"], "2001:db8:1::")]
    #[case::as_ipv6_with_a_port(&["10.0.0.1"], "10.0.0.1", &["[2001:db8:1:2:3:4:5:6]:80"], "2001:db8:1::")]
    #[case::mapped(&["10.0.0.1"], "10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1")]
    #[case::a_peer_of_ipv6(&[], "2001:db8:1:2:3:4:5:6", &[], "2001:db8:1::")]
    #[case::a_proxy_of_ipv6(&["fd00::/8"], "fd00::1", &["198.51.100.1"], "198.51.100.1")]
    fn only_what_trusted_proxies_wrote_is_believed(
        #[case] proxies: &[&str],
        #[case] peer: &str,
        #[case] forwarded: &[&str],
        #[case] expected: &str,
    ) {
        assert_eq!(client(proxies, ForwardedIn::XForwardedFor, peer, forwarded), expected);
    }

    #[rstest]
    #[case::plain(&["for=198.51.100.1"], "198.51.100.1")]
    #[case::with_others(&["by=10.0.0.1;For=198.51.100.1;proto=https"], "198.51.100.1")]
    #[case::quoted(&["for=\"[2001:db8:1:2::9]:4711\""], "2001:db8:1::")]
    #[case::hidden(&["for=203.0.113.5, for=_hidden"], "10.0.0.1")]
    #[case::an_open_quote_of_the_client(&["for=\"x", "for=198.51.100.1"], "198.51.100.1")]
    #[case::without_for(&["proto=https"], "10.0.0.1")]
    fn the_standard_header_is_read_as_well(#[case] forwarded: &[&str], #[case] expected: &str) {
        assert_eq!(client(&["10.0.0.1"], ForwardedIn::Forwarded, "10.0.0.1", forwarded), expected);
    }

    #[test]
    fn a_header_that_the_proxies_do_not_write_is_not_read() {
        let args = ProxyArgs { trusted_proxies: vec![network("10.0.0.1").unwrap()], ..ProxyArgs::default() };
        let headers = [(header::FORWARDED, "for=203.0.113.5".parse().unwrap())].into_iter().collect();
        let peer = Peer { address: "10.0.0.1".parse().unwrap(), connection: 1 };
        assert_eq!(args.client(peer, &headers).address, peer.address);
    }

    #[rstest]
    #[case("nonsense")]
    #[case("10.0.0.0/33")]
    #[case("")]
    fn what_is_no_network_is_refused(#[case] text: &str) {
        assert!(network(text).is_err());
    }
}
