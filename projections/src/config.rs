use event_store::EventStore;
use http_boundary::{ClientLimitArgs, HttpArgs};
use std::net::SocketAddr;

/// What becomes of the read models of another log.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct ReadModelArgs {
    /// Start a new shop with this database: read models of another log are replaced by ones of the present log, even if it
    /// is no copy of that log. For one start; without it, such a start is taken for a mistake, and the read models stay
    #[arg(long, env = "EMPORIUM_REPLACE_READ_MODELS")]
    pub replace_read_models: bool,
}

/// Where things are.
// Not Debug: it holds secrets.
#[derive(Clone, clap::Args)]
pub struct Config {
    /// The address on which this service answers `/livez` and `/readyz`.
    #[arg(long, env = "EMPORIUM_LISTEN", default_value = "127.0.0.1:8083")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub http: HttpArgs,
    /// The event store's connection string, for example esdb://127.0.0.1:2113?tls=false.
    #[arg(long, env = "EMPORIUM_EVENT_STORE", hide_env_values = true, value_name = "URL")]
    pub event_store: EventStore,
    /// The address of the Postgres database that holds the read models.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true)]
    pub database_url: String,
    /// The address of the Postgres database that holds the tables of analytics; without it, they are with the read models.
    #[arg(long, env = "EMPORIUM_ANALYTICS_DATABASE_URL", hide_env_values = true)]
    pub analytics_database_url: Option<String>,
    /// The operator's bearer token.
    #[arg(long, env = "EMPORIUM_OPERATOR_TOKEN", hide_env_values = true)]
    pub operator_token: String,
    #[command(flatten)]
    pub client_limits: ClientLimitArgs,
    /// How often everything is held against the log, in hours; 0 for never.
    #[arg(long, env = "EMPORIUM_RECONCILE_EVERY_HOURS", default_value_t = 24, value_name = "HOURS")]
    pub reconcile_every_hours: u32,
    #[command(flatten)]
    pub read_models: ReadModelArgs,
}
