//! HTTP as a shopper's browser speaks it: a lost answer is asked for again under the same idempotency key.

use super::error::BenchError;
use super::timing::Measured;
use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const WAIT: HeaderValue = HeaderValue::from_static("wait=20");
const TIMEOUT: Duration = Duration::from_secs(60);
/// How long a request is sent again before its shopper gives up.
const PATIENCE: Duration = Duration::from_secs(180);
const PROBLEM: &str = "urn:emporium:problem:";

/// The shop's address, and what its answers took.
pub struct Web {
    http: reqwest::Client,
    base: String,
    took: Mutex<BTreeMap<&'static str, Vec<Duration>>>,
    started: Instant,
    /// Microseconds after `started`; zero: never.
    killed_at: AtomicU64,
    back_at: AtomicU64,
    sent_again: AtomicU64,
}

/// A request.
pub struct Ask {
    /// What kind of answer it gets.
    pub kind: &'static str,
    pub path: String,
    pub key: Option<String>,
    /// Whether to wait for the outcome.
    pub wait: bool,
    pub body: Value,
}

/// An answer that is not about the service's own trouble.
#[derive(Debug)]
pub struct Reply {
    pub path: String,
    pub status: u16,
    pub body: Value,
}

impl Reply {
    /// Which problem it is, if it is one.
    pub fn problem(&self) -> Option<&str> {
        self.body["type"].as_str()?.strip_prefix(PROBLEM)
    }

    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A text of the body.
    pub fn text(&self, field: &str) -> Result<&str, BenchError> {
        match self.body[field].as_str() {
            Some(text) if self.is_success() => Ok(text),
            _ => Err(self.unexpected()),
        }
    }

    pub fn unexpected(&self) -> BenchError {
        BenchError::Unexpected { path: self.path.clone(), status: self.status, body: self.body.to_string() }
    }
}

impl Web {
    /// The shop at this address.
    pub fn new(base: String) -> Result<Self, BenchError> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).no_proxy().tcp_nodelay(true).build();
        Ok(Self {
            http: http.map_err(BenchError::Http)?,
            base,
            took: Mutex::default(),
            started: Instant::now(),
            killed_at: AtomicU64::new(0),
            back_at: AtomicU64::new(0),
            sent_again: AtomicU64::new(0),
        })
    }

    /// Posts until there is an answer.
    pub async fn post(&self, ask: Ask) -> Result<Reply, BenchError> {
        let body = ask.body.to_string();
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(Duration::from_millis(50))
            .with_max_delay(Duration::from_secs(1))
            .with_jitter()
            .without_max_times()
            .build();
        let first = Instant::now();
        loop {
            let begun = Instant::now();
            if let Ok((status, body)) = self.attempt(&ask, body.clone()).await
                && status < 500
            {
                let reply = Reply { path: ask.path, status, body };
                let kind = if reply.problem() == Some("sold-out") { "sold out" } else { ask.kind };
                self.note(kind, begun, reply.is_success());
                return Ok(reply);
            }
            if first.elapsed() > PATIENCE {
                return Err(BenchError::NoAnswer { path: ask.path, patience: PATIENCE });
            }
            self.sent_again.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pauses.next().unwrap_or(Duration::from_secs(1))).await;
        }
    }

    async fn attempt(&self, ask: &Ask, body: String) -> reqwest::Result<(u16, Value)> {
        let mut request =
            self.http.post(shop_client::address_of(&self.base, &ask.path)).header(CONTENT_TYPE, JSON);
        if let Some(key) = &ask.key {
            request = request.header(IDEMPOTENCY_KEY, key);
        }
        if ask.wait {
            request = request.header(PREFER, WAIT);
        }
        let response = request.body(body).send().await?;
        let status = response.status().as_u16();
        let bytes = response.bytes().await?;
        Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
    }

    fn note(&self, kind: &'static str, begun: Instant, is_success: bool) {
        // Nothing panics while it holds the lock.
        self.took
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .entry(kind)
            .or_default()
            .push(begun.elapsed());
        let killed_at = self.killed_at.load(Ordering::Acquire);
        // An answer to a request that was sent before the kill may still have come out of a socket after it.
        if is_success && killed_at > 0 && self.micros(begun) > killed_at {
            let _ = self.back_at.compare_exchange(
                0,
                self.micros(Instant::now()),
                Ordering::AcqRel,
                Ordering::Acquire,
            );
        }
    }

    /// The service is dead now.
    pub fn killed(&self) {
        self.killed_at.store(self.micros(Instant::now()), Ordering::Release);
    }

    /// From the kill to the first success of a request that was sent after it.
    pub fn recovery(&self) -> Option<Duration> {
        let (killed_at, back_at) =
            (self.killed_at.load(Ordering::Acquire), self.back_at.load(Ordering::Acquire));
        (killed_at > 0 && back_at > 0).then(|| Duration::from_micros(back_at.saturating_sub(killed_at)))
    }

    /// Requests that were sent once more.
    pub fn sent_again(&self) -> u64 {
        self.sent_again.load(Ordering::Relaxed)
    }

    /// What each kind of answer took, gathered in so long. The answers counted so far are forgotten.
    pub fn take(&self, elapsed: Duration) -> BTreeMap<&'static str, (usize, Measured)> {
        let took = std::mem::take(&mut *self.took.lock().unwrap_or_else(PoisonError::into_inner));
        took.into_iter().map(|(kind, each)| (kind, (each.len(), Measured::new(each, elapsed)))).collect()
    }

    fn micros(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.started).as_micros()).unwrap_or(u64::MAX).max(1)
    }
}
