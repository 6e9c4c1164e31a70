use audit_seal::key::SealingKey;
use clap::{Args, ValueEnum};
use command_api::{AdmissionArgs, FulfilmentArgs, PaymentConfig, SealingArgs, UnpaidArgs};
use http_boundary::{ClientLimitArgs, HttpArgs};
use query_api::DatabaseArgs;
use std::net::SocketAddr;
use std::path::PathBuf;

/// How the service is run.
// Not Debug: it holds secrets.
#[derive(Clone, Args)]
pub struct ServeArgs {
    /// Where everything is kept that this machine keeps: the event log, the read models, the secrets
    #[arg(long, env = "EMPORIUM_DATA_DIR", default_value = ".data")]
    pub data_dir: PathBuf,

    /// Where to answer HTTP
    #[arg(long, env = "EMPORIUM_LISTEN", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,

    #[command(flatten)]
    pub http: HttpArgs,

    /// An EventStoreDB or KurrentDB to use, for example esdb://127.0.0.1:2113?tls=false; without it, the embedded
    /// event store runs in this process
    #[arg(long, env = "EMPORIUM_EVENT_STORE", value_name = "URL", hide_env_values = true)]
    pub event_store: Option<String>,

    /// Where the embedded event store answers EventStoreDB clients; port 0 takes any free one
    #[arg(long, env = "EMPORIUM_EVENT_STORE_LISTEN", default_value = "127.0.0.1:2113")]
    pub event_store_listen: SocketAddr,

    /// The host that clients of the embedded event store are told to connect to when they ask for the members of the
    /// cluster, if they do not reach it where it listens
    #[arg(long, env = "EMPORIUM_EVENT_STORE_ADVERTISE_HOST", value_name = "HOST")]
    pub event_store_advertise_host: Option<String>,

    /// The port that clients of the embedded event store are told to connect to, if it is not the one where it listens
    #[arg(long, env = "EMPORIUM_EVENT_STORE_ADVERTISE_PORT", value_name = "PORT")]
    pub event_store_advertise_port: Option<u16>,

    /// Let every client into the embedded event store; without it, the first start makes a password for the user `admin` in
    /// DATA_DIR/event-store-password
    #[arg(long, env = "EMPORIUM_EVENT_STORE_OPEN")]
    pub event_store_open: bool,

    /// A Postgres to use, for example postgres://user@host/database; without it, a private server is started from
    /// the binaries on this machine
    #[arg(long, env = "DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub database_url: Option<String>,

    /// A Postgres database for the tables of analytics; without it, they are with the read models
    #[arg(long, env = "EMPORIUM_ANALYTICS_DATABASE_URL", value_name = "URL", hide_env_values = true)]
    pub analytics_database_url: Option<String>,

    /// The operator's bearer token; without it, the first start makes one in DATA_DIR/operator-token
    #[arg(long, env = "EMPORIUM_OPERATOR_TOKEN", hide_env_values = true)]
    pub operator_token: Option<String>,

    /// The secret that the ids of carts follow from, the same on all machines of a shop; without it, the first
    /// start makes one in DATA_DIR/cart-id-secret
    #[arg(long, env = "EMPORIUM_CART_ID_SECRET", hide_env_values = true)]
    pub cart_id_secret: Option<String>,

    /// The key that seals the history, in 64 hexadecimal digits, the same on all machines of a shop; without it, it is
    /// read from a file
    #[arg(long, env = "EMPORIUM_AUDIT_SIGNING_KEY", value_name = "HEX", hide_env_values = true)]
    pub audit_signing_key: Option<SealingKey>,

    /// The file of the key that seals the history, made by the first start; without it, DATA_DIR/audit-signing-key
    #[arg(
        long,
        env = "EMPORIUM_AUDIT_SIGNING_KEY_FILE",
        value_name = "PATH",
        conflicts_with = "audit_signing_key"
    )]
    pub audit_signing_key_file: Option<PathBuf>,

    #[command(flatten)]
    pub sealing: SealingArgs,

    /// How long an order waits for its money and holds its stock, in seconds, if the checkout does not say
    #[arg(long, env = "EMPORIUM_ORDER_HOLD_SECONDS", default_value_t = 900)]
    pub order_hold_seconds: u32,

    #[command(flatten)]
    pub unpaid: UnpaidArgs,

    /// After how many seconds without an event a live order sends a sign of life
    #[arg(long, env = "EMPORIUM_LIVE_HEARTBEAT", default_value_t = query_api::Config::LIVE_HEARTBEAT)]
    pub live_heartbeat: u64,

    #[command(flatten)]
    pub live: query_api::LiveArgs,

    /// How often everything is held against the log, in hours; 0 for never
    #[arg(long, env = "EMPORIUM_RECONCILE_EVERY_HOURS", default_value_t = 24, value_name = "HOURS")]
    pub reconcile_every_hours: u32,

    #[command(flatten)]
    pub read_models: projections::ReadModelArgs,

    #[command(flatten)]
    pub fulfilment: FulfilmentArgs,

    #[command(flatten)]
    pub payments: PaymentConfig,

    #[command(flatten)]
    pub client_limits: ClientLimitArgs,

    #[command(flatten)]
    pub admission: AdmissionArgs,

    #[command(flatten)]
    pub queries: DatabaseArgs,

    /// Where the sandbox payment gateway answers, which runs in this process unless --payment-gateway is given; port 0
    /// takes any free one
    #[arg(long, env = "EMPORIUM_SANDBOX_LISTEN", default_value = "127.0.0.1:12111")]
    pub sandbox_listen: SocketAddr,

    /// Fill a small shop to try: a few dozen products with stock
    #[arg(long)]
    pub demo_shop: bool,

    /// In production, nothing is embedded by accident: --event-store and --database-url are required, and without
    /// --payment-gateway payments can only be recorded
    #[arg(long, env = "EMPORIUM_PROFILE", value_enum, default_value_t = Profile::Development)]
    pub profile: Profile,
}

/// What the service is run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Profile {
    /// Whatever is not given is embedded.
    Development,
    /// The event store and the database must be given.
    Production,
}
