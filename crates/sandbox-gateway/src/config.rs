use http_boundary::{ClientLimitArgs, ClientLimits, HttpLimits, OperatorToken, ProxyArgs, Refusals};
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

/// The secret key unless another one is given. It guards nothing: no money moves here.
pub const DEFAULT_SECRET_KEY: &str = "sk_test_emporium";
/// The port that Stripe's own mock server has, so that it is easy to remember.
const DEFAULT_PORT: u16 = 12111;
/// Requests that one address may send in a second without the secret key, of each kind: a shopper asks for a page, and sends a
/// form. New connections follow from it.
const GUESTS_A_SECOND: u32 = 300;
/// So many seconds' worth at once.
const GUESTS_BURST_SECONDS: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// As long as Stripe promises.
pub(crate) const KEEPS_KEYS: Duration = Duration::from_secs(24 * 60 * 60);
/// About two hundred megabytes.
pub(crate) const KEEPS_PAYMENTS: usize = 100_000;

/// How a sandbox gateway is run.
#[derive(Clone)]
pub struct SandboxConfig {
    /// Where to answer HTTP; port 0 takes any free one.
    pub listen: SocketAddr,
    /// Where the journal is kept; made if it is not there. One gateway at a time.
    pub data_dir: PathBuf,
    /// The key that callers must send as the bearer token.
    pub secret_key: String,
    /// Who is told what happened, if anybody.
    pub webhook: Option<Webhook>,
    /// How slow the slow payment methods are.
    pub delays: Delays,
    /// Where shoppers' browsers find the gateway, if not at the address where it answers.
    pub public_url: Option<String>,
    /// How long a request is known by its idempotency key.
    pub keeps_keys: Duration,
    /// Of more payments than this, the oldest are forgotten that were taken, let go or declined.
    pub keeps_payments: usize,
    /// How many connections and requests it puts up with.
    pub limits: HttpLimits,
    /// Where it counts what it refuses.
    pub refusals: Refusals,
}

impl SandboxConfig {
    /// With its journal in this folder, and everything else as it is by default: the usual address and key, no webhook.
    #[must_use]
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            data_dir: data_dir.into(),
            secret_key: DEFAULT_SECRET_KEY.to_owned(),
            webhook: None,
            delays: Delays::default(),
            public_url: None,
            keeps_keys: KEEPS_KEYS,
            keeps_payments: KEEPS_PAYMENTS,
            limits: HttpLimits::default(),
            refusals: Refusals::default(),
        }
    }

    /// The limits of requests without the secret key. Requests with it have none.
    pub(crate) fn limits_of_guests(&self) -> ClientLimits {
        let args = ClientLimitArgs {
            proxies: ProxyArgs::default(),
            reads_per_second_by_address: GUESTS_A_SECOND,
            writes_per_second_by_address: GUESTS_A_SECOND,
            burst_seconds_by_address: GUESTS_BURST_SECONDS,
        };
        // The shop connects from one address, and makes hundreds of connections at once should everybody pay in the same moment.
        ClientLimits::new(&args, OperatorToken::new(&self.secret_key), self.refusals.clone())
            .with_free_connections_for_token_holders()
    }
}

/// Who is told what happened.
#[derive(Clone)]
pub struct Webhook {
    /// Where events are posted to.
    pub url: String,
    /// The secret that their signatures are made with.
    pub secret: String,
    /// Which events are posted, as `payment_intent.succeeded`; none named is all, as an endpoint of Stripe's has
    /// its enabled events.
    pub events: Vec<String>,
}

/// How slow the slow payment methods are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// How long a slow payment stays `processing`.
    pub processing: Duration,
    /// How late the answer of `pm_sandbox_answers_after_timeout` is.
    pub late_answer: Duration,
}

impl Default for Delays {
    fn default() -> Self {
        Self { processing: Duration::from_secs(2), late_answer: Duration::from_secs(30) }
    }
}
