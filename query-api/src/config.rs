use crate::database::DatabaseArgs;
use event_store::EventStore;
use http_boundary::{ClientLimitArgs, HttpArgs};
use std::net::SocketAddr;

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
}

impl Config {
    /// Well before anything that stands between us and a browser loses its patience.
    pub const LIVE_HEARTBEAT: u64 = 10;
}
