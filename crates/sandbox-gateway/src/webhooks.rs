//! Telling what happened: signed, with bounded retries.

use crate::answer::Event;
use crate::config::Webhook;
use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use reqwest::{Client, Url, header};
use sha2::Sha256;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use thiserror::Error;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

const TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// About five minutes of them.
const RETRIES: usize = 15;
/// Deliveries at a time.
const CONCURRENCY: usize = 32;

/// The webhook cannot be what the configuration says.
#[derive(Debug, Error)]
pub enum InvalidWebhook {
    /// Not an address.
    #[error("{0} is no address for webhooks: give one like http://127.0.0.1:8080/webhooks/payment-gateway")]
    Url(String),
    /// Anybody could sign with it.
    #[error("the secret for the signatures of webhooks is empty: give one")]
    Secret,
    /// The HTTP client.
    #[error("the HTTP client for webhooks cannot be made")]
    Client(#[source] reqwest::Error),
}

#[derive(Clone)]
pub(crate) struct Webhooks {
    http: Client,
    url: Url,
    mac: Hmac<Sha256>,
    permits: Arc<Semaphore>,
}

#[derive(Debug, Error)]
enum DeliveryError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("the deliveries are over")]
    Closed(#[from] tokio::sync::AcquireError),
}

impl Webhooks {
    pub fn new(webhook: &Webhook) -> Result<Self, InvalidWebhook> {
        let url = Url::parse(&webhook.url).ok().filter(|url| url.has_host() && url.scheme() == "http");
        let url = url.ok_or_else(|| InvalidWebhook::Url(webhook.url.clone()))?;
        if webhook.secret.is_empty() {
            return Err(InvalidWebhook::Secret);
        }
        // Webhooks go to the shop that is tried out, never through a proxy.
        let http = Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(InvalidWebhook::Client)?;
        let mac = Hmac::new_from_slice(webhook.secret.as_bytes()).expect("a key may have any length");
        Ok(Self { http, url, mac, permits: Arc::new(Semaphore::new(CONCURRENCY)) })
    }

    /// Sends an event until it is received, or for as long as it makes sense.
    pub async fn deliver(&self, event: &Event) {
        let body = Bytes::from(event.body().to_string());
        let pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(RETRIES)
            .with_jitter();
        let delivered = (|| self.send(body.clone()))
            .retry(pauses)
            .notify(|error, pause| debug!(event = event.id, %error, ?pause, "a webhook is sent again"))
            .await;
        if let Err(error) = delivered {
            warn!(event = event.id, %error, "a webhook was not received, and is not sent again");
        }
    }

    async fn send(&self, body: Bytes) -> Result<(), DeliveryError> {
        let _permit = self.permits.acquire().await?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = self
            .http
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header("stripe-signature", self.signature(now, &body))
            .body(body);
        request.send().await?.error_for_status()?;
        Ok(())
    }

    fn signature(&self, time: u64, body: &[u8]) -> String {
        let mut mac = self.mac.clone();
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        format!("t={time},v1={}", hex::encode(mac.finalize().into_bytes()))
    }
}
