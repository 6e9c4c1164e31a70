use crate::database::DatabaseArgs;
use crate::places::Limits;
use event_store::EventStore;
use http_boundary::{ClientLimitArgs, HttpArgs};
use std::net::SocketAddr;
use std::time::Duration;

/// What query-api needs to run. Every value can be given as an option or in the environment.
// Not Debug: it holds secrets.
#[derive(Clone, clap::Args)]
pub struct Config {
    /// Where to answer HTTP.
    #[arg(long, env = "EMPORIUM_LISTEN", default_value = "127.0.0.1:8082")]
    pub listen: SocketAddr,

    #[command(flatten)]
    pub http: HttpArgs,

    /// The event store, for example esdb://127.0.0.1:2113?tls=false
    #[arg(long, env = "EMPORIUM_EVENT_STORE", hide_env_values = true, value_name = "URL")]
    pub event_store: EventStore,

    /// The Postgres database that holds the read models.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,

    /// The Postgres database that holds the tables of analytics; without it, they are with the read models.
    #[arg(long, env = "EMPORIUM_ANALYTICS_DATABASE_URL", hide_env_values = true)]
    pub analytics_database_url: Option<String>,

    /// The operator's bearer token.
    #[arg(long, env = "EMPORIUM_OPERATOR_TOKEN", hide_env_values = true)]
    pub operator_token: String,

    #[command(flatten)]
    pub client_limits: ClientLimitArgs,

    #[command(flatten)]
    pub database: DatabaseArgs,

    /// After how many seconds without an event a live order sends a sign of life
    #[arg(long, env = "EMPORIUM_LIVE_HEARTBEAT", default_value_t = Config::LIVE_HEARTBEAT)]
    pub live_heartbeat: u64,

    #[command(flatten)]
    pub live: LiveArgs,
}

/// How much may be watched, waited for and looked back at, at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::Args)]
pub struct LiveArgs {
    /// How many may watch live pages at once
    #[arg(long, env = "EMPORIUM_LIVE_PLACES", default_value_t = LiveArgs::DEFAULT.live_places)]
    pub live_places: usize,

    /// How many of them may come from one address; the operator may have all
    #[arg(long, env = "EMPORIUM_LIVE_PLACES_OF_ADDRESS", default_value_t = LiveArgs::DEFAULT.live_places_of_address)]
    pub live_places_of_address: usize,

    /// How many of them may come over one connection; the operator may have all
    #[arg(
        long,
        env = "EMPORIUM_LIVE_PLACES_OF_CONNECTION",
        default_value_t = LiveArgs::DEFAULT.live_places_of_connection
    )]
    pub live_places_of_connection: usize,

    /// How many of them only the operator may have; as many requests more may wait for a `min-position` of the log
    #[arg(long, env = "EMPORIUM_LIVE_PLACES_RESERVED", default_value_t = LiveArgs::DEFAULT.live_places_reserved)]
    pub live_places_reserved: usize,

    /// How many requests may wait for a read model to reach their `min-position`: an eighth of them from one address, and as
    /// many of them only for the operator as there are live places reserved
    #[arg(long, env = "EMPORIUM_WAITING_REQUESTS", default_value_t = LiveArgs::DEFAULT.waiting_requests)]
    pub waiting_requests: usize,

    /// How many histories, differences and pages of the past may be read at once; the operator has as many more
    #[arg(long, env = "EMPORIUM_HISTORIES_AT_ONCE", default_value_t = LiveArgs::DEFAULT.histories_at_once)]
    pub histories_at_once: usize,

    /// Seconds within which a listener has to take what it has missed; then its live page ends, and it goes on after the
    /// last event that it took when it connects again
    #[arg(
        long,
        env = "EMPORIUM_LIVE_REPLAY_SECONDS",
        default_value = "60",
        value_parser = http_boundary::seconds,
        value_name = "SECONDS"
    )]
    pub live_replay_seconds: Duration,
}

impl LiveArgs {
    /// What is not given.
    pub const DEFAULT: Self = Self {
        live_places: 10_000,
        live_places_of_address: 500,
        live_places_of_connection: 50,
        live_places_reserved: 500,
        waiting_requests: 4_000,
        histories_at_once: 2,
        live_replay_seconds: Duration::from_secs(60),
    };

    /// For those who watch.
    pub(crate) fn for_watching(&self) -> Limits {
        Limits {
            in_all: self.live_places,
            for_operator: self.live_places_reserved,
            for_address: self.live_places_of_address,
            over_connection: self.live_places_of_connection,
        }
    }

    /// For those who wait for a position of the log. They wait for seconds.
    pub(crate) fn for_waiting_for_the_log(&self) -> Limits {
        Limits {
            in_all: 2 * self.live_places_reserved,
            for_operator: self.live_places_reserved,
            for_address: self.live_places_reserved.min(self.live_places_of_address).div_ceil(2),
            over_connection: self.live_places_of_connection,
        }
    }

    /// For those who wait for a read model. In an ordinary shop each of them waits for milliseconds.
    pub(crate) fn for_waiting(&self) -> Limits {
        let for_address = self.waiting_requests.div_ceil(8);
        Limits {
            in_all: self.waiting_requests,
            for_operator: self.live_places_reserved.min(self.waiting_requests / 2),
            for_address,
            over_connection: for_address.div_ceil(8),
        }
    }
}

impl Default for LiveArgs {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Config {
    /// Well before anything that stands between us and a browser loses its patience.
    pub const LIVE_HEARTBEAT: u64 = 10;
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        live: LiveArgs,
    }

    #[test]
    fn the_command_line_and_the_code_have_the_same_defaults() {
        assert_eq!(CommandLine::parse_from(["service"]).live, LiveArgs::DEFAULT);
    }
}
