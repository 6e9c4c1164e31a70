//! The sandbox payment gateway, which runs in this process unless a real gateway is given.

use super::{ServeArgs, ServeError};
use crate::secrets;
use command_api::PaymentConfig;
use http_boundary::Refusals;
use sandbox_gateway::{SandboxConfig, SandboxGateway, Webhook};
use std::net::SocketAddr;
use std::path::Path;
use tokio::net::TcpListener;

/// Starts it if it has an address, and says how the command side reaches it. It tells what happened to the service at
/// `service`.
pub fn start(
    args: &ServeArgs,
    listener: Option<TcpListener>,
    data_dir: &Path,
    service: SocketAddr,
    refusals: &Refusals,
) -> Result<Option<(SandboxGateway, PaymentConfig)>, ServeError> {
    let Some(listener) = listener else { return Ok(None) };
    let webhook_secret = match &args.payments.payment_webhook_secret {
        Some(secret) => secret.clone(),
        None => secrets::read_or_make(&data_dir.join("webhook-secret"))?,
    };
    let url = format!("http://{service}/v1/webhooks/payments");
    let mut config = SandboxConfig::new(data_dir.join("sandbox-gateway"));
    config.limits = args.http.limits.clone();
    config.webhook = Some(Webhook {
        url,
        secret: webhook_secret.clone(),
        events: payment_gateway::WEBHOOK_EVENTS.map(str::to_owned).to_vec(),
    });
    config.refusals = refusals.clone();
    // Not the default one, which everybody knows: with the key, one can pay, refund and fill the disk without limits.
    config.secret_key = secrets::read_or_make(&data_dir.join("sandbox-key"))?;
    let secret_key = config.secret_key.clone();
    let sandbox = SandboxGateway::start_on(listener, config)?;
    let payments = PaymentConfig {
        payment_gateway: Some(format!("http://{}", sandbox.address())),
        payment_gateway_key: Some(secret_key),
        payment_webhook_secret: Some(webhook_secret),
        ..args.payments.clone()
    };
    Ok(Some((sandbox, payments)))
}
