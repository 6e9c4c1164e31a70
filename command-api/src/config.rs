use clap::Args;
use std::net::SocketAddr;
use std::time::Duration;

/// What command-api needs to run. Every value can be given as an option or in the environment.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Where to answer HTTP.
    #[arg(long, env = "EMPORIUM_LISTEN", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,

    /// The event store, for example esdb://127.0.0.1:2113?tls=false
    #[arg(long, env = "EMPORIUM_EVENT_STORE")]
    pub event_store: String,

    /// The operator's bearer token.
    #[arg(long, env = "EMPORIUM_OPERATOR_TOKEN", hide_env_values = true)]
    pub operator_token: String,

    /// The secret from which the ids of carts follow that are opened with an Idempotency-Key. The same for all
    /// processes of one shop, for ever.
    #[arg(long, env = "EMPORIUM_CART_ID_SECRET", hide_env_values = true)]
    pub cart_id_secret: String,

    /// How old a state in memory may be, in milliseconds, when it is looked at: other processes may have written
    /// since.
    #[arg(long, env = "EMPORIUM_MAX_STALENESS_MS", default_value_t = 1000)]
    pub max_staleness_ms: u64,
}

impl Config {
    /// How old a state in memory may be when it is looked at.
    #[must_use]
    pub fn max_staleness(&self) -> Duration {
        Duration::from_millis(self.max_staleness_ms)
    }
}
