//! A client of the shop's public HTTP API, for programs that send commands as the operator.
//!
//! Every command has an idempotency key, so it can be sent again after anything: a lost answer, a timeout, a
//! restart of the service. That is what the client does for about a minute; only then it gives up.

mod error;
pub mod operator;

pub use error::{InvalidClient, Refusal, ShopError};

use backon::{ExponentialBuilder, Retryable};
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Response, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// The probes and figures of a process: they have no version.
const OPERATIONS: [&str; 3] = ["livez", "readyz", "metrics"];
/// [`api::PREFIX`] as a part of a path.
const VERSION: &str = "v1";
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const OCCURRED_AT: HeaderName = HeaderName::from_static("emporium-occurred-at");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// What the service is asked to wait for an outcome; it never waits longer than this.
const WAIT: HeaderValue = HeaderValue::from_static("wait=30");
/// Well above the longest wait, so that a timeout means a lost answer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// For what is sent once and may take long.
const LONG: Duration = Duration::from_secs(24 * 60 * 60);
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How long a command is sent again before the client gives up, unless told otherwise: when an answer is lost on a busy
/// machine, it has to be asked for at least once more.
const PATIENCE: Duration = Duration::from_secs(150);

/// A connection to a running shop, as the operator. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ShopClient {
    http: reqwest::Client,
    base: Url,
    patience: Duration,
    away: Arc<AtomicBool>,
}

/// A command: a body for an address.
#[derive(Debug)]
pub struct Command<'a, B> {
    /// The address, in parts that are not encoded yet.
    pub path: &'a [&'a str],
    /// Names this command for ever.
    pub key: &'a str,
    /// When it happened, if not now.
    pub occurred_at: Option<DateTime<Utc>>,
    /// Whether to wait for the outcome, and not only for the command to be recorded.
    pub wait: bool,
    /// The body.
    pub body: &'a B,
}

/// An accepted command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer<A> {
    /// Whether it had been accepted before, so that nothing changed now.
    pub replayed: bool,
    /// What the service says.
    pub body: A,
}

/// An answer that is taken piece by piece.
#[derive(Debug)]
pub struct LongAnswer {
    url: Url,
    response: Response,
}

impl ShopClient {
    /// A client for the shop at this address.
    ///
    /// # Errors
    /// When the address or the token does not have the form of one.
    pub fn new(url: &str, operator_token: &str) -> Result<Self, InvalidClient> {
        let base = Url::parse(url).ok().filter(|base| base.has_host() && base.scheme() == "http");
        let base = base.ok_or_else(|| InvalidClient::Url(url.to_owned()))?;
        let mut authorization = HeaderValue::from_str(&format!("Bearer {}", operator_token.trim()))
            .map_err(|_| InvalidClient::Token)?;
        authorization.set_sensitive(true);
        let headers = HeaderMap::from_iter([(AUTHORIZATION, authorization)]);
        let http = reqwest::Client::builder().timeout(TIMEOUT).default_headers(headers);
        // A proxy for the outer world cannot see this machine's own services.
        let http = if is_local(&base) { http.no_proxy() } else { http };
        let http = http.build().map_err(InvalidClient::Http)?;
        Ok(Self { http, base, patience: PATIENCE, away: Arc::new(AtomicBool::new(false)) })
    }

    /// With another bound for how long a command is sent again.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Checks that somebody answers at the address, so that a wrong one is noticed at once.
    ///
    /// # Errors
    /// When nobody does.
    pub async fn find(&self) -> Result<(), ShopError> {
        let url = self.address(&["livez"]);
        let answer = self.http.get(url.clone()).send().await;
        answer.map(drop).map_err(|source| ShopError::Unreachable { url, source })
    }

    /// Sends a command with `POST` until it is answered.
    ///
    /// # Errors
    /// When it is refused, when the service stays away, or when its answer has another form.
    pub async fn post<B, A>(&self, command: Command<'_, B>) -> Result<Answer<A>, ShopError>
    where
        B: Serialize,
        A: DeserializeOwned,
    {
        self.send(&Method::POST, command).await
    }

    /// The same with `PUT`.
    ///
    /// # Errors
    /// As [`ShopClient::post`].
    pub async fn put<B, A>(&self, command: Command<'_, B>) -> Result<Answer<A>, ShopError>
    where
        B: Serialize,
        A: DeserializeOwned,
    {
        self.send(&Method::PUT, command).await
    }

    /// Asks for something once.
    ///
    /// # Errors
    /// When it is refused, when nobody answers, or when the answer has another form.
    pub async fn get<A: DeserializeOwned>(&self, path: &[&str]) -> Result<A, ShopError> {
        let body: Option<()> = None;
        let answer = self.attempt(&Method::GET, &self.address(path), &HeaderMap::new(), &body).await?;
        Ok(answer.body)
    }

    /// Asks for something once, with what stands after the `?` of its address.
    ///
    /// # Errors
    /// As [`ShopClient::get`].
    pub async fn ask<A: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<A, ShopError> {
        let body: Option<()> = None;
        let url = self.address_with(path, query);
        Ok(self.attempt(&Method::GET, &url, &HeaderMap::new(), &body).await?.body)
    }

    /// The same for an answer that is taken piece by piece, as long as it may be.
    ///
    /// # Errors
    /// When it is refused, or when nobody answers.
    pub async fn ask_long(&self, path: &[&str], query: &[(&str, String)]) -> Result<LongAnswer, ShopError> {
        let url = self.address_with(path, query);
        let unreachable = |source| ShopError::Unreachable { url: url.clone(), source };
        let response = self.http.get(url.clone()).timeout(LONG).send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(ShopError::Refused(Box::new(Refusal::read(response).await.map_err(unreachable)?)));
        }
        Ok(LongAnswer { url, response })
    }

    /// Has something done once that may take long, and is no command of the shop.
    ///
    /// # Errors
    /// As [`ShopClient::get`].
    pub async fn order<B, A>(&self, path: &[&str], body: &B) -> Result<A, ShopError>
    where
        B: Serialize,
        A: DeserializeOwned,
    {
        Ok(self.attempt(&Method::POST, &self.address(path), &HeaderMap::new(), body).await?.body)
    }

    async fn send<B, A>(&self, method: &Method, command: Command<'_, B>) -> Result<Answer<A>, ShopError>
    where
        B: Serialize,
        A: DeserializeOwned,
    {
        let url = self.address(command.path);
        let headers = command.headers()?;
        let backoff = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .without_max_times()
            .with_jitter();
        let mut failing_since: Option<Instant> = None;
        let attempt = || self.attempt(method, &url, &headers, command.body);
        let answer = attempt
            .retry(backoff)
            .when(|error| {
                let since = *failing_since.get_or_insert_with(Instant::now);
                error.may_pass() && since.elapsed() < self.patience
            })
            .adjust(|error, pause| pause.map(|pause| error.retry_after().unwrap_or(pause).min(TIMEOUT)))
            .notify(|error, _| self.note_away(error))
            .await?;
        if self.away.load(Ordering::Relaxed) && self.away.swap(false, Ordering::Relaxed) {
            info!("the service answers again");
        }
        Ok(answer)
    }

    fn note_away(&self, error: &ShopError) {
        if error.is_away() && !self.away.swap(true, Ordering::Relaxed) {
            warn!(%error, "the service is away: commands are sent again until it is back");
        }
    }

    async fn attempt<B, A>(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &B,
    ) -> Result<Answer<A>, ShopError>
    where
        B: Serialize,
        A: DeserializeOwned,
    {
        let unreachable = |source| ShopError::Unreachable { url: url.clone(), source };
        let mut request = self.http.request(method.clone(), url.clone()).headers(headers.clone());
        if *method != Method::GET {
            request = request.json(body);
        }
        if headers.is_empty() {
            // No command that could be sent again: it takes the time that it takes.
            request = request.timeout(LONG);
        }
        let response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(ShopError::Refused(Box::new(Refusal::read(response).await.map_err(unreachable)?)));
        }
        let replayed = is_replayed(&response);
        let bytes = response.bytes().await.map_err(unreachable)?;
        let json = if bytes.is_empty() { b"null" } else { bytes.as_ref() };
        let body = serde_json::from_slice(json)
            .map_err(|source| ShopError::UnreadableAnswer { url: url.clone(), source })?;
        Ok(Answer { replayed, body })
    }

    fn address_with(&self, path: &[&str], query: &[(&str, String)]) -> Url {
        let mut url = self.address(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    fn address(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        let version = path.first().filter(|first| !OPERATIONS.contains(first)).map(|_| VERSION);
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(version).extend(path);
        }
        url
    }
}

/// The whole address of a path such as `/carts?limit=3` at a shop: everything but the operator's probes is below the
/// version of the contract. A path that has the version already, such as a `Location`, stays as it is, and so does the
/// shop itself.
#[must_use]
pub fn address_of(shop: &str, path: &str) -> String {
    let first = path.split(['/', '?']).nth(1).unwrap_or_default();
    let is_whole = first.is_empty() || first == VERSION || OPERATIONS.contains(&first);
    let version = if is_whole { "" } else { api::PREFIX };
    format!("{}{version}{path}", shop.trim_end_matches('/'))
}

impl LongAnswer {
    /// The next piece; none at the end.
    ///
    /// # Errors
    /// When the answer breaks off.
    pub async fn next(&mut self) -> Result<Option<Bytes>, ShopError> {
        self.response.chunk().await.map_err(|source| ShopError::BrokenOff { url: self.url.clone(), source })
    }
}

impl<B> Command<'_, B> {
    fn headers(&self) -> Result<HeaderMap, ShopError> {
        let key = HeaderValue::from_str(self.key).map_err(|_| ShopError::InvalidKey(self.key.to_owned()))?;
        let mut headers = HeaderMap::from_iter([(IDEMPOTENCY_KEY, key)]);
        if let Some(occurred_at) = self.occurred_at {
            let text = occurred_at.to_rfc3339_opts(SecondsFormat::AutoSi, true);
            let value = HeaderValue::from_str(&text).map_err(|_| ShopError::InvalidKey(text))?;
            headers.insert(OCCURRED_AT, value);
        }
        if self.wait {
            headers.insert(PREFER, WAIT);
        }
        Ok(headers)
    }
}

fn is_local(base: &Url) -> bool {
    let host = base.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let address = host.parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

fn is_replayed(response: &Response) -> bool {
    response.headers().get(REPLAYED).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"))
}

#[cfg(test)]
mod tests {
    use super::address_of;

    #[test]
    fn everything_but_probes_is_below_the_version() {
        let shop = "http://127.0.0.1:1/";
        for (path, address) in [
            ("/carts?limit=3", "http://127.0.0.1:1/v1/carts?limit=3"),
            ("/v1/orders/7", "http://127.0.0.1:1/v1/orders/7"),
            ("/readyz", "http://127.0.0.1:1/readyz"),
            ("", "http://127.0.0.1:1"),
        ] {
            assert_eq!(address_of(shop, path), address);
        }
    }
}
