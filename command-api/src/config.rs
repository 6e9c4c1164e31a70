use crate::executor::Writers;
use clap::Args;
use std::net::SocketAddr;
use std::time::Duration;

/// What command-api needs to run. Every value can be given as an option or in the environment.
// Not Debug: it holds secrets.
#[derive(Clone, Args)]
pub struct Config {
    /// Where to answer HTTP.
    #[arg(long, env = "EMPORIUM_LISTEN", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,

    /// The event store, for example esdb://127.0.0.1:2113?tls=false
    #[arg(long, env = "EMPORIUM_EVENT_STORE", hide_env_values = true)]
    pub event_store: String,

    /// The operator's bearer token.
    #[arg(long, env = "EMPORIUM_OPERATOR_TOKEN", hide_env_values = true)]
    pub operator_token: String,

    /// The secret from which the ids of carts follow that are opened with an Idempotency-Key. The same for all
    /// processes of one shop, for ever.
    #[arg(long, env = "EMPORIUM_CART_ID_SECRET", hide_env_values = true)]
    pub cart_id_secret: String,

    /// No other process takes commands for this event store: what is in memory need not be looked up again
    #[arg(long, env = "EMPORIUM_ONLY_WRITER")]
    pub only_writer: bool,
}

/// How old a price may be when others set it.
const MAX_STALENESS: Duration = Duration::from_secs(1);

impl Config {
    /// Who writes to the event store.
    #[must_use]
    pub fn writers(&self) -> Writers {
        if self.only_writer { Writers::OnlyUs } else { Writers::Others { max_staleness: MAX_STALENESS } }
    }
}
