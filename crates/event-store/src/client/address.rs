//! The event store's address, and the same address narrowed to one of its nodes.

use super::connection_string;
use crate::InvalidConnectionString;
use eventstore::{ClientSettings, Endpoint};

/// The official client pauses for half a second before it connects, unless its address says otherwise. After the death of
/// a leader that would be a part of what every caller waits.
const PAUSE_BEFORE_CONNECTING: &str = "discoveryInterval=50";
/// The official client gives each node of a cluster three seconds to say which one leads. One that is gone without a word
/// takes all of them.
const PATIENCE_WITH_A_NODE: &str = "gossipTimeout=1000";
/// The official client loads all root certificates of the machine for each client, half a megabyte of them, even if it
/// needs none; and a part of each client stays in memory when it is given up. So without TLS it gets none.
const NO_CERTIFICATES: &str = "tlsCaFile=/dev/null";

/// A connection string that was understood. It may hold a password, so it is never shown.
#[derive(Clone)]
pub(super) struct Address {
    text: String,
    pub settings: ClientSettings,
}

impl Address {
    pub fn parse(text: &str) -> Result<Self, InvalidConnectionString> {
        let mut text = text.to_owned();
        let mut settings = connection_string::settings(&text)?;
        let is_cluster = settings.is_dns_discovery_enabled() || settings.hosts().len() > 1;
        let is_plain = !settings.is_secure_mode_enabled();
        for (option, is_wanted) in
            [(PAUSE_BEFORE_CONNECTING, true), (PATIENCE_WITH_A_NODE, is_cluster), (NO_CERTIFICATES, is_plain)]
        {
            let name = option.split('=').next().unwrap_or_default();
            if is_wanted && !text.to_lowercase().contains(&format!("{}=", name.to_lowercase())) {
                text.push(if text.contains('?') { '&' } else { '?' });
                text.push_str(option);
                settings = quietly(|| connection_string::settings(&text))?;
            }
        }
        Ok(Self { text, settings })
    }

    /// The settings for a client that goes to this node and asks no other which one is best.
    pub fn of_node(&self, node: &Endpoint) -> Option<ClientSettings> {
        let (scheme, rest) = self.text.split_once("://")?;
        let (authority, options) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let user = authority.rfind('@').map_or("", |at| &authority[..=at]);
        let scheme = scheme.trim_end_matches("+discover");
        quietly(|| format!("{scheme}://{user}{}:{}{options}", node.host, node.port).parse().ok())
    }
}

/// The official client warns of certificates that it does not need.
fn quietly<T>(parse: impl FnOnce() -> T) -> T {
    tracing::subscriber::with_default(tracing::subscriber::NoSubscriber::default(), parse)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use rstest::rstest;
    use std::time::Duration;

    #[rstest]
    #[case::a_list("esdb://ann:secret@one:2113,two:2114?tls=false&keepAliveInterval=20000")]
    #[case::a_name("esdb+discover://ann:secret@cluster:2113?tls=false&keepAliveInterval=20000")]
    #[case::a_node("esdb://ann:secret@one:2113/?tls=false&keepAliveInterval=20000")]
    fn one_node_is_reached_with_the_same_user_and_options(#[case] text: &str) {
        let address = Address::parse(text).unwrap();
        let leader = Endpoint { host: "three".to_owned(), port: 2115 };
        let settings = address.of_node(&leader).unwrap();
        assert_eq!(settings.hosts(), &vec![leader]);
        assert!(!settings.is_dns_discovery_enabled() && !settings.is_secure_mode_enabled());
        assert_eq!(settings.default_authenticated_user(), address.settings.default_authenticated_user());
        assert!(settings.default_authenticated_user().is_some());
    }

    #[rstest]
    #[case::plain("esdb://one?tls=false", Some("/dev/null"))]
    #[case::plain_with_a_file("esdb://one?tls=false&tlsCaFile=/etc/ca.pem", Some("/etc/ca.pem"))]
    #[case::encrypted("esdb://one", None)]
    fn no_certificates_are_loaded_without_tls(#[case] text: &str, #[case] file: Option<&str>) {
        let settings = format!("{:?}", Address::parse(text).unwrap().settings);
        assert!(settings.contains(&format!("tls_ca_file: {:?}", file.map(str::to_owned))), "{settings}");
    }

    #[rstest]
    #[case::said_by_nobody("esdb://one?tls=false", 50)]
    #[case::no_options("esdb://one:2113", 50)]
    #[case::said_in_the_address("esdb://one?tls=false&DiscoveryInterval=700", 700)]
    fn a_client_connects_without_half_a_second_of_pause(#[case] text: &str, #[case] millis: u64) {
        let mended = Address::parse(text).unwrap().text;
        assert!(mended.to_lowercase().contains(&format!("discoveryinterval={millis}")), "{mended}");
        let interval = format!("discovery_interval: {:?}", Duration::from_millis(millis));
        let settings = format!("{:?}", Address::parse(text).unwrap().settings);
        assert!(settings.contains(&interval), "{settings}");
    }
}
