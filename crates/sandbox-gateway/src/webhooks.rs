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
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

const TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// About five minutes of them.
const RETRIES: usize = 15;
/// How long a delivery that is under way may take to finish when the gateway stops.
const FINISH_WITHIN: Duration = Duration::from_secs(1);
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
    events: Vec<String>,
    permits: Arc<Semaphore>,
    stop: CancellationToken,
}

#[derive(Debug, Error)]
enum DeliveryError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("the gateway stops")]
    Stopped,
}

impl Webhooks {
    pub fn new(webhook: &Webhook, stop: CancellationToken) -> Result<Self, InvalidWebhook> {
        let url = Url::parse(&webhook.url).ok().filter(|url| url.has_host() && url.scheme() == "http");
        let url = url.ok_or_else(|| InvalidWebhook::Url(webhook.url.clone()))?;
        if webhook.secret.is_empty() {
            return Err(InvalidWebhook::Secret);
        }
        // Webhooks go to the shop that is tried out, never through a proxy.
        let http = Client::builder().timeout(TIMEOUT).no_proxy().build().map_err(InvalidWebhook::Client)?;
        let mac = Hmac::new_from_slice(webhook.secret.as_bytes()).expect("a key may have any length");
        let events = webhook.events.clone();
        Ok(Self { http, url, mac, events, permits: Arc::new(Semaphore::new(CONCURRENCY)), stop })
    }

    /// Sends an event until it is received, or for as long as it makes sense. False when the gateway stops before:
    /// then the next start sends it.
    pub async fn deliver(&self, event: &Event) -> bool {
        let body = event.body();
        if !self.wants(body["type"].as_str().unwrap_or_default()) {
            return true;
        }
        let body = Bytes::from(body.to_string());
        let pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(RETRIES)
            .with_jitter();
        let stop = self.stop.clone();
        let delivered = (|| self.send(body.clone()))
            .retry(pauses)
            .sleep(move |pause| {
                let stop = stop.clone();
                async move {
                    // A stop ends the pause, and the next attempt then ends the delivery.
                    stop.run_until_cancelled_owned(tokio::time::sleep(pause)).await;
                }
            })
            .when(|error| !matches!(error, DeliveryError::Stopped))
            .notify(|error, pause| debug!(event = event.id, %error, ?pause, "a webhook is sent again"))
            .await;
        match delivered {
            Ok(()) => true,
            Err(DeliveryError::Stopped) => false,
            Err(DeliveryError::Http(error)) => {
                warn!(event = event.id, %error, "a webhook was not received, and is not sent again");
                true
            }
        }
    }

    fn wants(&self, kind: &str) -> bool {
        self.events.is_empty() || self.events.iter().any(|wanted| wanted == kind)
    }

    async fn send(&self, body: Bytes) -> Result<(), DeliveryError> {
        let permit = self.stop.run_until_cancelled(self.permits.acquire()).await;
        let Some(Ok(_permit)) = permit else { return Err(DeliveryError::Stopped) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let request = self
            .http
            .post(self.url.clone())
            .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .header("stripe-signature", self.signature(now, &body))
            .body(body);
        let too_late = async {
            self.stop.cancelled().await;
            tokio::time::sleep(FINISH_WITHIN).await;
        };
        tokio::select! {
            response = request.send() => {
                response?.error_for_status()?;
                Ok(())
            }
            () = too_late => Err(DeliveryError::Stopped),
        }
    }

    fn signature(&self, time: u64, body: &[u8]) -> String {
        let mut mac = self.mac.clone();
        mac.update(format!("{time}.").as_bytes());
        mac.update(body);
        format!("t={time},v1={}", hex::encode(mac.finalize().into_bytes()))
    }
}
