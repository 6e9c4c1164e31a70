use crate::admission::AdmissionArgs;
use audit_seal::key::SealingKey;
use clap::Args;
use event_store::EventStore;
use executor::Writers;
use fulfilment::FulfilmentArgs;
use http_boundary::{ClientLimitArgs, HttpArgs};
use payment_gateway::{Gateway, GatewayConfig, InvalidGateway};
use sealing::{SealingArgs, SealingConfig};
use std::net::SocketAddr;
use std::time::Duration;
use unpaid_orders::UnpaidArgs;

/// What command-api needs to run. Every value can be given as an option or in the environment.
// Not Debug: it holds secrets.
#[derive(Clone, Args)]
pub struct Config {
    /// Where to answer HTTP.
    #[arg(long, env = "EMPORIUM_LISTEN", default_value = "127.0.0.1:8081")]
    pub listen: SocketAddr,

    #[command(flatten)]
    pub http: HttpArgs,

    /// The event store, for example esdb://127.0.0.1:2113?tls=false
    #[arg(long, env = "EMPORIUM_EVENT_STORE", hide_env_values = true, value_name = "URL")]
    pub event_store: EventStore,

    /// The operator's bearer token.
    #[arg(long, env = "EMPORIUM_OPERATOR_TOKEN", hide_env_values = true)]
    pub operator_token: String,

    /// The secret from which the ids of carts follow that are opened with an Idempotency-Key. The same for all
    /// processes of one shop, for ever.
    #[arg(long, env = "EMPORIUM_CART_ID_SECRET", hide_env_values = true)]
    pub cart_id_secret: String,

    /// The key that seals the history: 64 hexadecimal digits, the same for all processes of one shop
    #[arg(long, env = "EMPORIUM_AUDIT_SIGNING_KEY", hide_env_values = true, value_name = "HEX")]
    pub audit_signing_key: SealingKey,

    #[command(flatten)]
    pub sealing: SealingArgs,

    /// How long an order waits for its money and holds its stock, in seconds, if the checkout does not say
    #[arg(long, env = "EMPORIUM_ORDER_HOLD_SECONDS", default_value_t = 900)]
    pub order_hold_seconds: u32,

    #[command(flatten)]
    pub unpaid: UnpaidArgs,

    #[command(flatten)]
    pub fulfilment: FulfilmentArgs,

    #[command(flatten)]
    pub payments: PaymentConfig,

    #[command(flatten)]
    pub client_limits: ClientLimitArgs,

    #[command(flatten)]
    pub admission: AdmissionArgs,

    /// No other process takes commands for this event store: what is in memory need not be looked up again
    #[arg(long, env = "EMPORIUM_ONLY_WRITER")]
    pub only_writer: bool,
}

/// How to reach the payment gateway; without it, payments can only be recorded.
// Not Debug: it holds secrets.
#[derive(Clone, Default, Args)]
pub struct PaymentConfig {
    /// The payment gateway, for example `https://api.stripe.com`
    #[arg(long, env = "EMPORIUM_PAYMENT_GATEWAY", requires = "payment_gateway_key")]
    pub payment_gateway: Option<String>,

    /// The secret key that the payment gateway gave us
    #[arg(long, env = "EMPORIUM_PAYMENT_GATEWAY_KEY", hide_env_values = true)]
    pub payment_gateway_key: Option<String>,

    /// The secret with which the payment gateway signs what it tells us
    #[arg(long, env = "EMPORIUM_PAYMENT_WEBHOOK_SECRET", hide_env_values = true)]
    pub payment_webhook_secret: Option<String>,

    /// How long the payment gateway may take for an answer, in seconds
    #[arg(long, env = "EMPORIUM_PAYMENT_GATEWAY_TIMEOUT", default_value_t = 10)]
    pub payment_gateway_timeout: u64,

    /// How long the payment gateway knows a request by its idempotency key, in seconds
    #[arg(long, env = "EMPORIUM_PAYMENT_GATEWAY_KEEPS_KEYS", default_value_t = 24 * 60 * 60)]
    pub payment_gateway_keeps_keys: u64,
}

/// How old a price may be when others set it.
const MAX_STALENESS: Duration = Duration::from_secs(1);

impl PaymentConfig {
    /// The gateway, if there is one.
    ///
    /// # Errors
    /// When its address is none.
    pub fn gateway(&self) -> Result<Option<Gateway>, InvalidGateway> {
        let (Some(base_url), Some(secret_key)) = (&self.payment_gateway, &self.payment_gateway_key) else {
            return Ok(None);
        };
        let config = GatewayConfig {
            base_url: base_url.clone(),
            secret_key: secret_key.clone(),
            timeout: Duration::from_secs(self.payment_gateway_timeout),
            keeps_keys: Duration::from_secs(self.payment_gateway_keeps_keys),
        };
        Gateway::new(&config).map(Some)
    }
}

impl Config {
    /// How the history is sealed.
    #[must_use]
    pub(crate) fn sealing(&self) -> SealingConfig {
        self.sealing.with(self.audit_signing_key.clone())
    }

    /// Who writes to the event store.
    #[must_use]
    pub fn writers(&self) -> Writers {
        if self.only_writer { Writers::OnlyUs } else { Writers::Others { max_staleness: MAX_STALENESS } }
    }
}
