use crate::error::InvalidGateway;
use crate::wire::{Metadata, ORDER_ID, PAYMENT_ID};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};
use thiserror::Error;
use uuid::Uuid;

/// How far, in seconds, a webhook's time may be from ours, before or after: as far as Stripe's own clients allow.
const TOLERANCE: u64 = 300;

/// Who checks that a webhook is from the gateway.
#[derive(Clone)]
pub struct Webhooks {
    mac: Hmac<Sha256>,
}

/// What the header `Stripe-Signature` says: when the webhook was signed, and how. Whether that is true, the body says.
#[derive(Debug, Clone)]
pub struct Signature<'header> {
    time: &'header str,
    /// There are several while the secret is being changed.
    given: Vec<[u8; 32]>,
}

/// Something happened at the gateway. It is a nudge, and no more: it may come late, twice and out of order, so ask the
/// gateway how things are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WebhookEvent {
    /// The gateway's name for it; the same event may come again.
    pub id: String,
    /// What happened, as `payment_intent.succeeded`.
    pub kind: String,
    /// The payment that it is about.
    pub intent_id: Option<String>,
    /// The order, when the payment was made by us.
    pub order_id: Option<Uuid>,
    /// The payment of ours that it is.
    pub payment_id: Option<Uuid>,
}

/// What the shop wants to be told: the endpoint at the gateway is to be enabled for these. Everything else only repeats
/// what the gateway has answered already.
pub const WEBHOOK_EVENTS: [&str; 8] = [
    "payment_intent.requires_action",
    "payment_intent.amount_capturable_updated",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "charge.refunded",
    "refund.updated",
    "refund.failed",
];

impl WebhookEvent {
    /// Whether it is about money that goes back.
    #[must_use]
    pub fn is_of_refund(&self) -> bool {
        self.kind == "charge.refunded"
            || self.kind.starts_with("refund.")
            || self.kind.starts_with("charge.refund.")
    }
}

/// A webhook that must not be believed.
#[derive(Debug, Error)]
pub enum InvalidWebhook {
    /// The header is missing something.
    #[error("the signature header does not have the form t=…,v1=…, with 64 hexadecimal digits for v1")]
    Header,
    /// Nobody who knows the secret has signed this body at this time.
    #[error("no signature fits: check that the webhook's secret is the gateway's")]
    Signature,
    /// Somebody may have kept it to send it again, or a clock is wrong.
    #[error(
        "the webhook was signed {seconds} seconds from now, and at most 300 are allowed: check the clocks"
    )]
    Time {
        /// Our time less the webhook's.
        seconds: i64,
    },
    /// The signature is right and the body is not what we know.
    #[error("the webhook's body does not have the form of an event")]
    Body(#[source] serde_json::Error),
}

#[derive(Deserialize)]
struct EventBody {
    id: String,
    #[serde(rename = "type")]
    kind: String,
    data: EventData,
}

#[derive(Deserialize)]
struct EventData {
    object: EventObject,
}

#[derive(Deserialize)]
struct EventObject {
    id: Option<String>,
    object: Option<String>,
    payment_intent: Option<String>,
    metadata: Option<Metadata>,
}

impl<'header> Signature<'header> {
    /// Reads the header `Stripe-Signature`, without the body and without the secret. `now` is our time in seconds since
    /// 1970.
    ///
    /// # Errors
    /// When nobody could have signed so, or not at this time.
    pub fn read(header: &'header str, now: i64) -> Result<Self, InvalidWebhook> {
        let parts = header.split(',').filter_map(|part| part.trim().split_once('='));
        let time = parts.clone().find(|(name, _)| *name == "t").map(|(_, value)| value);
        let time = time.ok_or(InvalidWebhook::Header)?;
        let signed_at: i64 = time.parse().map_err(|_| InvalidWebhook::Header)?;
        let given: Vec<_> =
            parts.filter(|(name, _)| *name == "v1").filter_map(|(_, value)| digest(value)).collect();
        if given.is_empty() {
            return Err(InvalidWebhook::Header);
        }
        if now.abs_diff(signed_at) > TOLERANCE {
            return Err(InvalidWebhook::Time { seconds: now.saturating_sub(signed_at) });
        }
        Ok(Self { time, given })
    }
}

fn digest(hexadecimal: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    hex::decode_to_slice(hexadecimal, &mut digest).ok()?;
    Some(digest)
}

impl Webhooks {
    /// With the secret that the gateway signs with, as `whsec_…`.
    ///
    /// # Errors
    /// When it is empty: anybody could sign with that.
    pub fn new(secret: &str) -> Result<Self, InvalidGateway> {
        if secret.is_empty() {
            return Err(InvalidGateway::WebhookSecret);
        }
        let mac = Hmac::new_from_slice(secret.as_bytes()).map_err(|_| InvalidGateway::WebhookSecret)?;
        Ok(Self { mac })
    }

    /// The event of a webhook, whose body is given byte for byte as it came.
    ///
    /// # Errors
    /// When it is not signed by the gateway, or is no event.
    pub fn verify(&self, signature: &Signature<'_>, body: &[u8]) -> Result<WebhookEvent, InvalidWebhook> {
        let mut mac = self.mac.clone();
        mac.update(signature.time.as_bytes());
        mac.update(b".");
        mac.update(body);
        let expected = mac.finalize().into_bytes();
        // All are compared, whichever fits.
        let fits = signature
            .given
            .iter()
            .fold(Choice::from(0), |fits, given| fits | given.as_slice().ct_eq(&expected));
        if !bool::from(fits) {
            return Err(InvalidWebhook::Signature);
        }
        let event: EventBody = serde_json::from_slice(body).map_err(InvalidWebhook::Body)?;
        let EventObject { id, object, payment_intent, metadata } = event.data.object;
        let metadata = metadata.unwrap_or_default();
        Ok(WebhookEvent {
            id: event.id,
            kind: event.kind,
            intent_id: if object.as_deref() == Some("payment_intent") { id } else { payment_intent },
            order_id: metadata.id(ORDER_ID),
            payment_id: metadata.id(PAYMENT_ID),
        })
    }
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhooks(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const TIME: i64 = 1_700_000_000;
    const BODY: &str = r#"{"id":"evt_1","type":"payment_intent.succeeded","data":{"object":{"id":"pi_1","object":"payment_intent","metadata":{}}}}"#;
    /// Made with Python's hmac, for the secret `whsec_test`.
    const SIGNED: &str = "v1=0158282c8940afda800561e2095c373a8cd5dc73203c834208f8f2c3493da7bf";
    const OTHER: &str = "v1=1158282c8940afda800561e2095c373a8cd5dc73203c834208f8f2c3493da7bf";

    fn verify(header: &str, body: &str, now: i64) -> String {
        let webhooks = Webhooks::new("whsec_test").unwrap();
        let read = Signature::read(header, now);
        match read.and_then(|signature| webhooks.verify(&signature, body.as_bytes())) {
            Ok(event) => event.id,
            Err(InvalidWebhook::Header) => "header".to_owned(),
            Err(InvalidWebhook::Signature) => "signature".to_owned(),
            Err(InvalidWebhook::Time { seconds }) => format!("time {seconds}"),
            Err(InvalidWebhook::Body(_)) => "body".to_owned(),
        }
    }

    #[rstest]
    #[case(&format!("t=1700000000,{SIGNED}"), "evt_1")]
    #[case(&format!("t=1700000000,{OTHER},{SIGNED},v0=abc"), "evt_1")]
    #[case(&format!("t=1700000000, {SIGNED}"), "evt_1")]
    #[case(&format!("t=1700000000,{OTHER}"), "signature")]
    #[case(&format!("t=1700000001,{SIGNED}"), "signature")]
    #[case("t=1700000000,v1=0158", "header")]
    #[case(&format!("t=1700000000,v1=0158,{SIGNED}"), "evt_1")]
    #[case(&format!("t=1700000000,{SIGNED}00"), "header")]
    #[case("t=1700000000,v1=xyz", "header")]
    #[case(&format!("t=1700000000,{}", SIGNED.replace("v1", "v0")), "header")]
    #[case(&format!("t=soon,{SIGNED}"), "header")]
    #[case(SIGNED, "header")]
    #[case("", "header")]
    fn signatures(#[case] header: &str, #[case] expected: &str) {
        assert_eq!(verify(header, BODY, TIME), expected);
    }

    #[rstest]
    #[case(300, "evt_1")]
    #[case(301, "time 301")]
    #[case(-300, "evt_1")]
    #[case(-301, "time -301")]
    fn times(#[case] later: i64, #[case] expected: &str) {
        assert_eq!(verify(&format!("t={TIME},{SIGNED}"), BODY, TIME + later), expected);
    }

    #[test]
    fn a_changed_body_or_another_secret_is_noticed() {
        let header = format!("t={TIME},{SIGNED}");
        assert_eq!(verify(&header, &BODY.replace("pi_1", "pi_2"), TIME), "signature");
        let signature = Signature::read(&header, TIME).unwrap();
        let other = Webhooks::new("whsec_other").unwrap().verify(&signature, BODY.as_bytes());
        assert!(matches!(other, Err(InvalidWebhook::Signature)));
        assert!(Webhooks::new("").is_err());
    }
}
