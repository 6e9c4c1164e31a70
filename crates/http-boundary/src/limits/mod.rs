//! What one client may ask for: requests a second by address, for reads and writes apart. Operators have no limit.

mod bucket;

use crate::{Caller, Client, OperatorToken, Peer, Problem, ProxyArgs};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bucket::{Bucket, IsBusy, Refused};
use clap::Args;
use governor::clock::DefaultClock;
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

/// A busy connection that goes on when it is refused gets its refusals no faster than this: thousands of them in a second
/// would take the processor from others. `Retry-After` asks it to wait longer in any case.
const BEFORE_A_REFUSAL: Duration = Duration::from_millis(500);

/// How many requests a client without the operator's token may send.
#[derive(Debug, Clone, Args)]
pub struct ClientLimitArgs {
    #[command(flatten)]
    pub proxies: ProxyArgs,

    /// Queries that one address may send in a second without the operator's token; 0 for any number
    #[arg(long, env = "EMPORIUM_READS_PER_SECOND_BY_ADDRESS", default_value_t = 500, value_name = "N")]
    pub reads_per_second_by_address: u32,

    /// Commands that one address may send in a second without the operator's token; 0 for any number
    #[arg(long, env = "EMPORIUM_WRITES_PER_SECOND_BY_ADDRESS", default_value_t = 100, value_name = "N")]
    pub writes_per_second_by_address: u32,

    /// How many seconds' worth of requests an address may send at once, after it was silent for as long
    #[arg(long, env = "EMPORIUM_BURST_SECONDS_BY_ADDRESS", default_value = "10", value_name = "SECONDS")]
    pub burst_seconds_by_address: NonZeroU32,
}

impl ClientLimitArgs {
    /// Nobody is limited, and there are no proxies.
    #[must_use]
    pub fn without_limits() -> Self {
        Self {
            proxies: ProxyArgs::default(),
            reads_per_second_by_address: 0,
            writes_per_second_by_address: 0,
            burst_seconds_by_address: NonZeroU32::MIN,
        }
    }
}

/// The limits of a service. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct ClientLimits(Arc<Limits>);

struct Limits {
    proxies: ProxyArgs,
    operator_token: OperatorToken,
    reads: Option<Limit>,
    writes: Option<Limit>,
}

/// The limit of one kind of requests.
struct Limit {
    name: &'static str,
    a_second: NonZeroU32,
    burst_seconds: NonZeroU32,
    bucket: Bucket,
}

impl ClientLimits {
    /// Limits of which nothing is used yet.
    #[must_use]
    pub fn new(args: &ClientLimitArgs, operator_token: OperatorToken) -> Self {
        let limit = |name, a_second| {
            let a_second = NonZeroU32::new(a_second)?;
            let burst_seconds = args.burst_seconds_by_address;
            let bucket = Bucket::new(a_second, burst_seconds, &DefaultClock::default());
            Some(Limit { name, a_second, burst_seconds, bucket })
        };
        Self(Arc::new(Limits {
            proxies: args.proxies.clone(),
            operator_token,
            reads: limit("reads", args.reads_per_second_by_address),
            writes: limit("writes", args.writes_per_second_by_address),
        }))
    }

    /// Finds out whose request it is, for the extractors [`Client`] and [`Caller`] as well. No caller: its token is not
    /// known. Where no token is asked for that does no harm; elsewhere the handler refuses it.
    async fn identify(&self, parts: &mut Parts) -> Result<(Client, Option<Caller>), Problem> {
        let Ok(peer) = Peer::from_request_parts(parts, &()).await;
        let client = self.0.proxies.client(peer, &parts.headers);
        let caller = match Caller::of(&parts.headers, &self.0.operator_token) {
            Ok(caller) => Some(caller),
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => None,
            Err(problem) => return Err(problem),
        };
        if let Some(caller) = caller {
            parts.extensions.insert(caller);
        }
        Ok((client, caller))
    }

    fn limit(&self, method: &Method) -> Option<&Limit> {
        if method.is_safe() { self.0.reads.as_ref() } else { self.0.writes.as_ref() }
    }
}

impl Limit {
    /// 429, with when to ask again. Only a refusal has these headers: they are for those who are near a limit.
    fn refusal(&self, wait: Duration) -> Problem {
        let wait = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let burst = self.a_second.saturating_mul(self.burst_seconds);
        let problem = Problem::new(
            StatusCode::TOO_MANY_REQUESTS,
            "too-many-requests",
            "Too many requests come from this address",
            format!(
                "An address may send {} {} a second, and {burst} at once: send the next one in {wait} s.",
                self.a_second, self.name
            ),
        );
        let policy = format!("\"{}\";q={burst};w={}", self.name, self.burst_seconds);
        let left = format!("\"{}\";r=0;t={wait}", self.name);
        let text = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
        problem
            .retry_after(wait)
            .header(HeaderName::from_static("ratelimit-policy"), text(policy))
            .header(HeaderName::from_static("ratelimit"), text(left))
            .header(HeaderName::from_static("x-ratelimit-limit"), HeaderValue::from(burst.get()))
            .header(HeaderName::from_static("x-ratelimit-remaining"), HeaderValue::from(0))
            .header(HeaderName::from_static("x-ratelimit-reset"), HeaderValue::from(wait))
    }
}

/// A middleware that lets pass what is within the limits.
pub async fn limit_clients(State(limits): State<ClientLimits>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let (client, caller) = match limits.identify(&mut parts).await {
        Ok(identified) => identified,
        Err(problem) => return problem.into_response(),
    };
    let limit = limits.limit(&parts.method).filter(|_| !caller.is_some_and(Caller::is_operator));
    let client = match limit.map(|limit| (limit, limit.bucket.take(client))) {
        Some((_, Ok(IsBusy(is_busy)))) => Client { is_busy, ..client },
        Some((limit, Err(Refused { wait, is_busy }))) => {
            if is_busy {
                tokio::time::sleep(BEFORE_A_REFUSAL).await;
            }
            return limit.refusal(wait).into_response();
        }
        None => client,
    };
    let share = limit.is_some().then(|| (limits.clone(), parts.method.clone()));
    parts.extensions.insert(client);
    parts.extensions.insert(ClientShare { share, client });
    next.run(Request::from_parts(parts, body)).await
}

/// What the client of a request may ask for. A request that does the work of many is charged for them.
#[derive(Clone)]
pub struct ClientShare {
    /// None: there is no limit.
    share: Option<(ClientLimits, Method)>,
    client: Client,
}

impl ClientShare {
    /// Charges the client for so many requests more.
    ///
    /// # Errors
    /// 429 `too-many-requests` when the share is used up.
    pub fn charge(&self, requests: usize) -> Result<(), Problem> {
        let requests = NonZeroU32::new(u32::try_from(requests).unwrap_or(u32::MAX));
        let limit = self.share.as_ref().and_then(|(limits, method)| limits.limit(method));
        let (Some(limit), Some(requests)) = (limit, requests) else { return Ok(()) };
        let taken = limit.bucket.take_many(self.client, requests);
        taken.map(drop).map_err(|refused| limit.refusal(refused.wait))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientShare {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        if let Some(share) = parts.extensions.get::<Self>() {
            return Ok(share.clone());
        }
        // A route without limits.
        Ok(Self { share: None, client: Client::from_request_parts(parts, state).await? })
    }
}
