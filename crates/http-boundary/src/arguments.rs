//! What can be set about the edge of a service.

use clap::Args;
use connection_limits::Limits;
use std::net::SocketAddr;
use std::time::Duration;

/// How many connections and requests a service puts up with, and for how long. The same for every service of ours.
#[derive(Debug, Clone, PartialEq, Eq, Args)]
pub struct HttpLimits {
    /// Connections that may be open at once, if the process may have as many (`ulimit -n`, less a reserve)
    #[arg(long, env = "EMPORIUM_MAX_CONNECTIONS", default_value_t = HttpLimits::MAX_CONNECTIONS)]
    pub max_connections: usize,

    /// Of these, from one address (over IPv6: from one /56 network); without it, half of them. Connections from this
    /// machine are not counted, because a proxy on it has them all
    #[arg(long, env = "EMPORIUM_MAX_CONNECTIONS_BY_ADDRESS")]
    pub max_connections_by_address: Option<usize>,

    /// Seconds that the head of a request may take, and the first request of a connection
    #[arg(long, env = "EMPORIUM_REQUEST_HEAD_SECONDS", default_value = "10", value_parser = seconds, value_name = "SECONDS")]
    pub request_head_seconds: Duration,

    /// Seconds that a connection is kept open after its last request
    #[arg(long, env = "EMPORIUM_IDLE_CONNECTION_SECONDS", default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    pub idle_connection_seconds: Duration,

    /// Seconds that the body of a request may take; it also has to come at 1 KB a second, after a sixth of this time
    #[arg(long, env = "EMPORIUM_REQUEST_BODY_SECONDS", default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    pub request_body_seconds: Duration,

    /// Seconds after which a connection is closed whose client does not read what it asked for
    #[arg(long, env = "EMPORIUM_UNREAD_ANSWER_SECONDS", default_value = "60", value_parser = seconds, value_name = "SECONDS")]
    pub unread_answer_seconds: Duration,

    /// Memory for the bodies of all requests that are under way, in MiB; beyond it, requests with a body are refused
    #[arg(long, env = "EMPORIUM_REQUEST_BODIES_MIB", default_value_t = HttpLimits::REQUEST_BODIES_MIB, value_name = "MIB")]
    pub request_bodies_mib: usize,

    /// Memory for answers that no client has taken yet, in MiB, and as much again for the operator's; beyond it, or beyond an
    /// address's part of it, requests are refused
    #[arg(long, env = "EMPORIUM_UNREAD_ANSWERS_MIB", default_value_t = HttpLimits::UNREAD_ANSWERS_MIB, value_name = "MIB")]
    pub unread_answers_mib: usize,

    /// Requests that may be under way at once over one HTTP/2 connection
    #[arg(long, env = "EMPORIUM_HTTP2_STREAMS", default_value_t = HttpLimits::HTTP2_STREAMS)]
    pub http2_streams: u32,

    /// Seconds after which an HTTP/2 client is asked whether it is still there, again and again; it has as long to answer,
    /// or its connection is closed
    #[arg(long, env = "EMPORIUM_HTTP2_PING_SECONDS", default_value = "20", value_parser = seconds, value_name = "SECONDS")]
    pub http2_ping_seconds: Duration,
}

/// Where a service answers besides its main address, and what it puts up with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args)]
pub struct HttpArgs {
    #[command(flatten)]
    pub limits: HttpLimits,

    /// Where to answer those who run the shop: /livez, /readyz with its details, and /metrics, without a token. Without
    /// it, the details and the metrics are on the main address, for the operator's token
    #[arg(long, env = "EMPORIUM_OPERATIONS_LISTEN", value_name = "ADDRESS")]
    pub operations_listen: Option<SocketAddr>,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            max_connections: Self::MAX_CONNECTIONS,
            max_connections_by_address: None,
            request_head_seconds: Duration::from_secs(10),
            idle_connection_seconds: Duration::from_secs(60),
            request_body_seconds: Duration::from_secs(60),
            unread_answer_seconds: Duration::from_secs(60),
            request_bodies_mib: Self::REQUEST_BODIES_MIB,
            unread_answers_mib: Self::UNREAD_ANSWERS_MIB,
            http2_streams: Self::HTTP2_STREAMS,
            http2_ping_seconds: Duration::from_secs(20),
        }
    }
}

impl HttpLimits {
    const MAX_CONNECTIONS: usize = 20_000;
    const REQUEST_BODIES_MIB: usize = 64;
    const UNREAD_ANSWERS_MIB: usize = 256;
    const HTTP2_STREAMS: u32 = 64;

    pub(crate) fn for_connections(&self) -> Limits {
        Limits {
            most: self.max_connections,
            most_by_peer: self.max_connections_by_address,
            head: self.request_head_seconds,
            idle: self.idle_connection_seconds,
            unread: self.unread_answer_seconds,
        }
    }
}

/// Seconds, which may have a part after the point.
///
/// # Errors
/// When it is no such number, or not above zero.
pub fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "give a number of seconds, for example 10".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration.is_zero() { Err("give more than no time at all".to_owned()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        http: HttpArgs,
    }

    #[test]
    fn the_command_line_and_the_code_have_the_same_defaults() {
        assert_eq!(CommandLine::parse_from(["service"]).http, HttpArgs::default());
    }

    #[test]
    fn seconds_may_have_a_part_and_must_be_some() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        for wrong in ["0", "-1", "soon", "NaN", "1e300"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
