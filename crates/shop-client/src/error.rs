use reqwest::header::RETRY_AFTER;
use reqwest::{Response, Url};
use serde_json::{Value, json};
use std::time::Duration;
use thiserror::Error;

/// The client cannot be made.
#[derive(Debug, Error)]
pub enum InvalidClient {
    /// Not an address.
    #[error("`{0}` is not the address of a shop: give one like http://127.0.0.1:8080")]
    Url(String),
    /// Not a token.
    #[error("the operator's token has characters that a header cannot carry: copy it again")]
    Token,
    /// The HTTP client itself.
    #[error("the HTTP client cannot be set up")]
    Http(#[source] reqwest::Error),
}

/// A command was not accepted.
#[derive(Debug, Error)]
pub enum ShopError {
    /// Nobody answers, or the answer was lost, for as long as the client was patient.
    #[error(
        "the shop does not answer at {url}: start it with `emporium serve`, or give its address with --url"
    )]
    Unreachable {
        /// Where.
        url: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The answer ended before its end.
    #[error("the answer of {url} broke off: ask again, and look into the service's log")]
    BrokenOff {
        /// Where.
        url: Url,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The shop says no.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// The shop says something else than its contract.
    #[error(
        "the answer of {url} has another form than expected: do client and service have the same version?"
    )]
    UnreadableAnswer {
        /// Where.
        url: Url,
        /// How.
        #[source]
        source: serde_json::Error,
    },
    /// An idempotency key that a header cannot carry.
    #[error("`{0}` cannot be sent in a header: use plain characters")]
    InvalidKey(String),
}

impl ShopError {
    /// Whether the same command may be accepted a little later.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { source, .. } => !source.is_builder(),
            Self::Refused(refusal) => refusal.may_pass(),
            Self::UnreadableAnswer { .. } | Self::BrokenOff { .. } | Self::InvalidKey(_) => false,
        }
    }

    /// Whether the service is down, rather than busy with this very command.
    pub(super) fn is_away(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(refusal) => refusal.status == 503,
            Self::UnreadableAnswer { .. } | Self::BrokenOff { .. } | Self::InvalidKey(_) => false,
        }
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused(refusal) => refusal.retry_after,
            _ => None,
        }
    }

    /// Whether every other command will fail in the same way: the service stays away or does not know us.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused(refusal) => matches!(refusal.status, 401 | 403 | 503),
            Self::UnreadableAnswer { .. } | Self::BrokenOff { .. } | Self::InvalidKey(_) => false,
        }
    }
}

/// The shop's no, with the problem document that says why.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: u16,
    /// The problem's stable id, without the urn before it.
    pub id: String,
    /// The whole document.
    pub problem: Value,
    retry_after: Option<Duration>,
}

impl Refusal {
    pub(super) async fn read(response: Response) -> Result<Self, reqwest::Error> {
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.and_then(|text| text.parse().ok()).map(Duration::from_secs);
        let bytes = response.bytes().await?;
        // Something between us and the service may answer in its own words.
        let problem = serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| json!({ "detail": String::from_utf8_lossy(&bytes[..bytes.len().min(500)]) }));
        let id = problem.get("type").and_then(Value::as_str).unwrap_or("about:blank");
        let id = id.strip_prefix("urn:emporium:problem:").unwrap_or(id).to_owned();
        Ok(Self { status, id, problem, retry_after })
    }

    /// Busy or away, and not a real no.
    fn may_pass(&self) -> bool {
        match self.status {
            409 => self.id == "idempotency-key-in-flight",
            429 | 502 | 503 | 504 => true,
            _ => false,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let detail = self.problem.get("detail").and_then(Value::as_str).unwrap_or("no reason given");
        write!(f, "{} {}: {detail}", self.status, self.id)
    }
}
