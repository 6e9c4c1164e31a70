//! The gateway as a command: of its own small binary and of `emporium`.

use crate::config::{DEFAULT_SECRET_KEY, Delays, KEEPS_KEYS, KEEPS_PAYMENTS, SandboxConfig, Webhook};
use crate::methods;
use crate::server::{SandboxGateway, StartError};
use clap::Args;
use http_boundary::{HttpLimits, Refusals, output, process};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How the gateway is run.
// Not Debug: it holds secrets.
#[derive(Clone, Args)]
#[command(after_help = methods::for_people())]
pub struct SandboxArgs {
    /// Where its payments are kept; made if it is not there
    #[arg(
        long,
        env = "EMPORIUM_SANDBOX_DATA_DIR",
        value_name = "PATH",
        default_value = ".data/sandbox-gateway"
    )]
    pub data_dir: PathBuf,
    /// Where to answer HTTP; port 0 takes any free one
    #[arg(long, env = "EMPORIUM_SANDBOX_LISTEN", default_value = "127.0.0.1:12111")]
    pub listen: SocketAddr,
    /// The key that callers must send
    #[arg(long, env = "EMPORIUM_SANDBOX_SECRET_KEY", default_value = DEFAULT_SECRET_KEY, hide_env_values = true)]
    pub secret_key: String,
    /// Where to tell what happened; without it, nobody is told
    #[arg(long, env = "EMPORIUM_SANDBOX_WEBHOOK_URL", value_name = "URL")]
    pub webhook_url: Option<String>,
    /// What webhooks are signed with
    #[arg(
        long,
        env = "EMPORIUM_SANDBOX_WEBHOOK_SECRET",
        value_name = "SECRET",
        default_value = "whsec_emporium",
        hide_env_values = true
    )]
    pub webhook_secret: String,
    /// Which events to tell, separated by commas; without it, all of them
    #[arg(long, env = "EMPORIUM_SANDBOX_WEBHOOK_EVENTS", value_name = "EVENT,…", value_delimiter = ',')]
    pub webhook_events: Vec<String>,
    /// Milliseconds that a slow payment takes
    #[arg(long, env = "EMPORIUM_SANDBOX_PROCESSING_MS", value_name = "MS", default_value_t = 2_000)]
    pub processing_ms: u64,
    /// Milliseconds that a late answer is late
    #[arg(long, env = "EMPORIUM_SANDBOX_LATE_ANSWER_MS", value_name = "MS", default_value_t = 30_000)]
    pub late_answer_ms: u64,
    /// Where shoppers' browsers find the gateway, if not at the address where it answers
    #[arg(long, env = "EMPORIUM_SANDBOX_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<String>,
    /// Seconds for which a request is known by its idempotency key
    #[arg(long, env = "EMPORIUM_SANDBOX_KEEPS_KEYS", value_name = "SECONDS", default_value_t = KEEPS_KEYS.as_secs())]
    pub keeps_keys: u64,
    /// Payments that it keeps, about 2 kB of memory each: of more, the oldest are forgotten that were taken, let go or declined.
    /// Whoever asks about one hears `resource_missing`
    #[arg(long, env = "EMPORIUM_SANDBOX_KEEPS_PAYMENTS", value_name = "N", default_value_t = KEEPS_PAYMENTS)]
    pub keeps_payments: usize,
    #[command(flatten)]
    pub limits: HttpLimits,
}

impl From<SandboxArgs> for SandboxConfig {
    fn from(args: SandboxArgs) -> Self {
        let (secret, events) = (args.webhook_secret, args.webhook_events);
        Self {
            listen: args.listen,
            data_dir: args.data_dir,
            secret_key: args.secret_key,
            webhook: args.webhook_url.map(|url| Webhook { url, secret, events }),
            delays: Delays {
                processing: Duration::from_millis(args.processing_ms),
                late_answer: Duration::from_millis(args.late_answer_ms),
            },
            public_url: args.public_url,
            keeps_keys: Duration::from_secs(args.keeps_keys),
            keeps_payments: args.keeps_payments,
            limits: args.limits,
            refusals: Refusals::default(),
        }
    }
}

/// Runs until Ctrl-C or SIGTERM.
///
/// # Errors
/// When the gateway cannot start.
pub async fn run(args: SandboxArgs) -> Result<(), StartError> {
    let stop = process::stop_signal();
    let gateway = SandboxGateway::start(args.into()).await?;
    output::print(format_args!("sandbox gateway   http://{}\n", gateway.address()));
    stop.cancelled().await;
    tracing::info!("stopping");
    gateway.stop().await;
    Ok(())
}
