use crate::amount::to_gateway;
use crate::error::{GatewayError, InvalidGateway, UnknownOutcome};
use crate::model::{Charge, Intent, IntentStatus, Page, Refund, RefundRequest};
use crate::wire::{self, IntentBody, ListBody, ORDER_ID, PAYMENT_ID, REFUND_ID, RefundBody};
use backon::{ExponentialBuilder, Retryable};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, RequestBuilder, Url, redirect};
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::time::Duration;
use uuid::Uuid;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The version whose answers [`wire`] reads, whatever the account is set to.
const VERSION: (HeaderName, HeaderValue) =
    (HeaderName::from_static("stripe-version"), HeaderValue::from_static("2025-03-31.basil"));
const RETRIES: usize = 2;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Where the gateway is and how it lets us in.
// Not Debug: it holds a secret.
#[derive(Clone)]
pub struct GatewayConfig {
    /// Its address, as `https://api.stripe.com` or `http://127.0.0.1:12111`.
    pub base_url: String,
    /// The secret key, as `sk_…`.
    pub secret_key: String,
    /// How long one attempt may take. A request makes at most three, with short pauses between them, so its answer is
    /// there after three times this and three seconds.
    pub timeout: Duration,
    /// How long it knows a request by its idempotency key, from the first one on. Stripe promises a day.
    pub keeps_keys: Duration,
}

impl GatewayConfig {
    /// How long Stripe knows a request by its key, at the least.
    pub const STRIPE_KEEPS_KEYS: Duration = Duration::from_secs(24 * 60 * 60);
}

/// The payment gateway. Cheap to clone; all clones share their connections.
#[derive(Debug, Clone)]
pub struct Gateway {
    http: Client,
    base: Url,
    keeps_keys: Duration,
}

/// An error, and the intent as the gateway showed it beside.
type Failure = (GatewayError, Option<Box<Intent>>);

impl Gateway {
    /// A gateway at this address. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address or the key does not have the form of one.
    pub fn new(config: &GatewayConfig) -> Result<Self, InvalidGateway> {
        let is_web = |base: &Url| base.has_host() && matches!(base.scheme(), "http" | "https");
        let base = Url::parse(&config.base_url).ok().filter(is_web);
        let base = base.ok_or_else(|| InvalidGateway::Url(config.base_url.clone()))?;
        let key = config.secret_key.trim();
        if key.is_empty() {
            return Err(InvalidGateway::SecretKey);
        }
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {key}")).map_err(|_| InvalidGateway::SecretKey)?;
        authorization.set_sensitive(true);
        let http = Client::builder()
            .timeout(config.timeout)
            .default_headers(HeaderMap::from_iter([(AUTHORIZATION, authorization), VERSION]))
            // The key goes to the gateway, and to nobody that it names.
            .redirect(redirect::Policy::none());
        // A proxy for the outer world cannot see this machine's own services.
        let http = if is_local(&base) { http.no_proxy() } else { http };
        let http = http.build().map_err(InvalidGateway::Http)?;
        Ok(Self { http, base, keeps_keys: config.keeps_keys })
    }

    /// How long a request can be sent again under its key without being done again.
    #[must_use]
    pub fn keeps_keys(&self) -> Duration {
        self.keeps_keys
    }

    /// Authorises a payment: the money is held, and taken later with [`capture`](Self::capture). A payment that needs
    /// time is answered with [`IntentStatus::Processing`], one on which the shopper must act with
    /// [`IntentStatus::RequiresAction`]; a webhook tells when the outcome is there.
    ///
    /// # Errors
    /// [`GatewayError::Declined`] when the issuer says no, [`GatewayError::Unfit`] when the gateway cannot take the
    /// amount, and the others.
    pub async fn authorize(&self, charge: &Charge<'_>) -> Result<Intent, GatewayError> {
        let (order_name, order_id) = (metadata(ORDER_ID), charge.order_id.to_string());
        let (payment_name, payment_id) = (metadata(PAYMENT_ID), charge.payment_id.to_string());
        let amount = to_gateway(charge.amount, charge.currency)?.to_string();
        let currency = charge.currency.to_ascii_lowercase();
        let mut form = vec![
            ("amount", amount.as_str()),
            ("currency", currency.as_str()),
            ("payment_method", charge.payment_method),
            ("confirm", "true"),
            ("capture_method", "manual"),
            // Whatever the account takes; what leads a browser elsewhere only if it can come back.
            ("automatic_payment_methods[enabled]", "true"),
            (
                "automatic_payment_methods[allow_redirects]",
                if charge.return_url.is_some() { "always" } else { "never" },
            ),
            (&order_name, &order_id),
            (&payment_name, &payment_id),
        ];
        form.extend(charge.return_url.map(|url| ("return_url", url)));
        // Two orders may have payments of one id: shops choose them.
        let key = format!("payment-{order_id}-{payment_id}");
        let made = self.post::<IntentBody>(&["payment_intents"], &key, &form).await;
        made.map(Intent::from).map_err(|(error, _)| error)
    }

    /// A payment as it is now.
    ///
    /// # Errors
    /// [`GatewayError::Refused`] with status 404 when there is none, and the others.
    pub async fn retrieve(&self, intent_id: &str) -> Result<Intent, GatewayError> {
        self.get::<IntentBody>(&["payment_intents", intent_id], &[]).await.map(Intent::from)
    }

    /// A payment of ours by our own ids for it, as it is now; none if the gateway knows none of that amount. It is in the
    /// list of the newest at once; among older ones the gateway finds what is new only after a while (Stripe: usually
    /// within a minute, an hour at worst), so none is no proof before that.
    ///
    /// # Errors
    /// When the gateway does not say.
    pub async fn find(&self, charge: &Charge<'_>) -> Result<Option<Intent>, GatewayError> {
        let newest = self.intents(None).await?.items;
        if let Some(intent) = best_of(newest, charge) {
            return Ok(Some(intent));
        }
        let payment_id = charge.payment_id;
        let query = format!("metadata['{PAYMENT_ID}']:'{payment_id}'");
        let query = [("query", query.as_str()), ("limit", "100")];
        let found = self.get::<ListBody<IntentBody>>(&["payment_intents", "search"], &query).await?;
        match best_of(Page::<Intent>::from(found).items, charge) {
            // What is found may be as it was a while ago.
            Some(intent) => self.retrieve(&intent.id).await.map(Some),
            None => Ok(None),
        }
    }

    /// A refund of ours by our own id for it, as it is now; none if the gateway has not made it.
    ///
    /// # Errors
    /// When the gateway does not say.
    pub async fn find_refund(
        &self,
        intent_id: &str,
        refund_id: Uuid,
    ) -> Result<Option<Refund>, GatewayError> {
        let mut before = None;
        loop {
            let page = self.refunds(Some(intent_id), before.as_deref()).await?;
            before = page.items.last().map(|refund| refund.id.clone());
            if let Some(found) = page.items.into_iter().find(|refund| refund.refund_id == Some(refund_id)) {
                return Ok(Some(found));
            }
            if !page.has_more || before.is_none() {
                return Ok(None);
            }
        }
    }

    /// Takes the money of an authorised payment, minor units of its currency; what is held above it is let go. A payment of which
    /// exactly this has been taken already counts as done.
    ///
    /// # Errors
    /// [`GatewayError::Refused`] when it is not authorised or the amount is too large, [`GatewayError::Declined`] when
    /// the issuer does not give the money after all, and the others.
    pub async fn capture(
        &self,
        intent_id: &str,
        (amount, currency): (i64, &str),
        key: &str,
    ) -> Result<Intent, GatewayError> {
        let form = [("amount_to_capture", to_gateway(amount, currency)?.to_string())];
        let form = form.each_ref().map(|(name, value)| (*name, value.as_str()));
        let captured = self.post::<IntentBody>(&["payment_intents", intent_id, "capture"], key, &form).await;
        done_before(captured, |intent| {
            intent.status == IntentStatus::Succeeded && intent.amount_received == Some(amount)
        })
    }

    /// Lets go whatever a payment holds. One that is cancelled already counts as done.
    ///
    /// Each call has a key of its own: a refusal of today, because the outcome was not there yet, must not be
    /// repeated to tomorrow's call.
    ///
    /// # Errors
    /// [`GatewayError::Refused`] when the money is taken already or the outcome is not there yet, and the others.
    pub async fn cancel(&self, intent_id: &str) -> Result<Intent, GatewayError> {
        let key = format!("cancel-{}", Uuid::new_v4());
        let cancelled = self.post::<IntentBody>(&["payment_intents", intent_id, "cancel"], &key, &[]).await;
        done_before(cancelled, |intent| intent.status == IntentStatus::Canceled)
    }

    /// Gives back money that was taken, all of it or a part.
    ///
    /// # Errors
    /// [`GatewayError::Refused`] when there is not so much to give back, [`GatewayError::Unfit`] when the gateway cannot
    /// give back this amount, and the others.
    pub async fn refund(&self, request: &RefundRequest<'_>) -> Result<Refund, GatewayError> {
        let form = [
            ("payment_intent", request.intent_id),
            ("amount", &to_gateway(request.amount, request.currency)?.to_string()),
            (&metadata(REFUND_ID), &request.refund_id.to_string()),
        ];
        let key = format!("refund-{}-{}", request.intent_id, request.refund_id);
        let made = self.post::<RefundBody>(&["refunds"], &key, &form).await;
        made.map(Refund::from).map_err(|(error, _)| error)
    }

    /// A refund as it is now.
    ///
    /// # Errors
    /// [`GatewayError::Refused`] with status 404 when there is none, and the others.
    pub async fn retrieve_refund(&self, refund_id: &str) -> Result<Refund, GatewayError> {
        self.get::<RefundBody>(&["refunds", refund_id], &[]).await.map(Refund::from)
    }

    /// Up to a hundred payments, those before the given one or the newest.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn intents(&self, before: Option<&str>) -> Result<Page<Intent>, GatewayError> {
        self.get::<ListBody<IntentBody>>(&["payment_intents"], &page(before)).await.map(Page::from)
    }

    /// Up to a hundred refunds, those before the given one or the newest; of one payment, or of all.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn refunds(
        &self,
        intent_id: Option<&str>,
        before: Option<&str>,
    ) -> Result<Page<Refund>, GatewayError> {
        let mut query = page(before);
        query.extend(intent_id.map(|id| ("payment_intent", id)));
        self.get::<ListBody<RefundBody>>(&["refunds"], &query).await.map(Page::from)
    }

    async fn get<B: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<B, GatewayError> {
        let url = self.address(path);
        self.ask(|| self.http.get(url.clone()).query(query)).await.map_err(|(error, _)| error)
    }

    async fn post<B: DeserializeOwned>(
        &self,
        path: &[&str],
        key: &str,
        form: &[(&str, &str)],
    ) -> Result<B, Failure> {
        let url = self.address(path);
        self.ask(|| self.http.post(url.clone()).header(IDEMPOTENCY_KEY, key).form(form)).await
    }

    /// Sends a request, and sends it again when nobody knows what came of it.
    async fn ask<B: DeserializeOwned>(&self, request: impl Fn() -> RequestBuilder) -> Result<B, Failure> {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_max_times(RETRIES)
            .with_jitter();
        (|| answer(request()))
            .retry(pauses)
            .when(|(error, _)| matches!(error, GatewayError::Unknown { .. } | GatewayError::Busy { .. }))
            .notify(|(error, _), pause| tracing::debug!(%error, ?pause, "the payment gateway is asked again"))
            .await
    }

    fn address(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().push("v1").extend(path);
        }
        url
    }
}

async fn answer<B: DeserializeOwned>(request: RequestBuilder) -> Result<B, Failure> {
    let no_answer = |error| (UnknownOutcome::NoAnswer(error).into(), None);
    let response = request.send().await.map_err(no_answer)?;
    let status = response.status().as_u16();
    let body = response.bytes().await.map_err(no_answer)?;
    wire::read(status, &body)
}

/// A refusal because it has been done already is no failure.
fn done_before(
    answer: Result<IntentBody, Failure>,
    is_done: impl FnOnce(&Intent) -> bool,
) -> Result<Intent, GatewayError> {
    match answer {
        Ok(body) => Ok(body.into()),
        Err((GatewayError::Refused { .. }, Some(intent))) if is_done(&intent) => Ok(*intent),
        Err((error, _)) => Err(error),
    }
}

/// The payment among these. One that holds money or may come to do so goes before what is over.
fn best_of(intents: Vec<Intent>, charge: &Charge<'_>) -> Option<Intent> {
    let is_over = |intent: &Intent| {
        matches!(intent.status, IntentStatus::Canceled | IntentStatus::RequiresPaymentMethod)
    };
    intents.into_iter().filter(|intent| intent.is_of(charge)).min_by_key(is_over)
}

fn metadata(name: &str) -> String {
    format!("metadata[{name}]")
}

fn page(before: Option<&str>) -> Vec<(&'static str, &str)> {
    let mut query = vec![("limit", "100")];
    query.extend(before.map(|id| ("starting_after", id)));
    query
}

fn is_local(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn config(base_url: &str, secret_key: &str) -> GatewayConfig {
        GatewayConfig {
            base_url: base_url.to_owned(),
            secret_key: secret_key.to_owned(),
            timeout: Duration::from_secs(1),
            keeps_keys: GatewayConfig::STRIPE_KEEPS_KEYS,
        }
    }

    #[rstest]
    #[case("https://api.stripe.com", "https://api.stripe.com/v1/payment_intents/a%2Fb")]
    #[case("http://127.0.0.1:12111/", "http://127.0.0.1:12111/v1/payment_intents/a%2Fb")]
    #[case("http://proxy/stripe", "http://proxy/stripe/v1/payment_intents/a%2Fb")]
    fn addresses(#[case] base: &str, #[case] expected: &str) {
        let gateway = Gateway::new(&config(base, "sk_1")).unwrap();
        assert_eq!(gateway.address(&["payment_intents", "a/b"]).as_str(), expected);
    }

    #[rstest]
    #[case("stripe", "sk_1")]
    #[case("ftp://stripe", "sk_1")]
    #[case("http://stripe", " ")]
    #[case("http://stripe", "sk\n1")]
    fn what_cannot_be_used_is_refused(#[case] base: &str, #[case] key: &str) {
        assert!(Gateway::new(&config(base, key)).is_err());
    }
}
