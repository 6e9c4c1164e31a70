//! What one client may ask for: requests a second by address, for reads, writes and probes apart. Operators have no limit.

mod bucket;
mod held;
mod share;
#[cfg(test)]
mod tests;

pub use share::ClientShare;

use crate::{Caller, Client, HangUp, OperatorToken, Peer, Problem, ProxyArgs, Refusals};
use api::problem;
use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use bucket::{Bucket, IsBusy, Refused};
use clap::Args;
use connection_limits::{KnownAddresses, NewConnections};
use governor::clock::DefaultClock;
use held::Held;
use lru::LruCache;
use std::net::IpAddr;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A client that goes on when it is refused gets its refusals no faster than this over each connection: thousands of them in
/// a second would take the processor from others. `Retry-After` asks it to wait longer in any case. When too many are held
/// back, the connection is closed instead.
const BEFORE_A_REFUSAL: Duration = Duration::from_millis(500);
/// What asks whether the service lives and is ready: counted apart, so that no flood of anything else from the same address
/// keeps an orchestrator out.
const PROBES: [&str; 2] = ["/livez", "/readyz"];
/// An orchestrator asks a few times a second.
const PROBES_A_SECOND: NonZeroU32 = NonZeroU32::new(50).unwrap();

/// A new connection costs as much as so many small requests.
const REQUESTS_OF_A_CONNECTION: u32 = 3;

/// So many addresses are known that have forged more than their share, the last ones.
const FORGING_KNOWN: NonZeroUsize = NonZeroUsize::new(4_096).unwrap();

/// How many requests a client without the operator's token may send.
#[derive(Debug, Clone, Args)]
pub struct ClientLimitArgs {
    #[command(flatten)]
    pub proxies: ProxyArgs,

    /// Queries that one address may send in a second without the operator's token; 0 for any number
    #[arg(long, env = "EMPORIUM_READS_PER_SECOND_BY_ADDRESS", default_value_t = 300, value_name = "N")]
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
pub struct ClientLimits {
    shared: Arc<Limits>,
    /// The address whose handler counts.
    counted_by_handler: Option<(Method, &'static str)>,
    /// Where the token was shown, if that is enough to connect as often as one likes.
    connect_freely: Option<Arc<KnownAddresses>>,
}

struct Limits {
    proxies: ProxyArgs,
    operator_token: OperatorToken,
    refusals: Refusals,
    reads: Option<Limit>,
    writes: Option<Limit>,
    probes: Option<Limit>,
    held: Held,
    /// Addresses that have forged more than their share, and until when nothing is done for them.
    forging: Mutex<LruCache<IpAddr, Instant>>,
}

/// What a request is counted as.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Read,
    Write,
    Probe,
}

impl Kind {
    fn of(parts: &Parts) -> Self {
        if PROBES.contains(&parts.uri.path()) {
            Self::Probe
        } else if parts.method.is_safe() {
            Self::Read
        } else {
            Self::Write
        }
    }
}

/// The limit of one kind of requests.
struct Limit {
    name: &'static str,
    a_second: NonZeroU32,
    burst_seconds: NonZeroU32,
    bucket: Bucket,
}

impl ClientLimits {
    /// Limits with nothing used yet. What they refuse is counted.
    #[must_use]
    pub fn new(args: &ClientLimitArgs, operator_token: OperatorToken, refusals: Refusals) -> Self {
        let limit = |name, a_second| {
            let a_second = NonZeroU32::new(a_second)?;
            let burst_seconds = args.burst_seconds_by_address;
            let bucket = Bucket::new(a_second, burst_seconds, &DefaultClock::default());
            Some(Limit { name, a_second, burst_seconds, bucket })
        };
        let shared = Arc::new(Limits {
            proxies: args.proxies.clone(),
            operator_token,
            refusals,
            reads: limit("reads", args.reads_per_second_by_address),
            writes: limit("writes", args.writes_per_second_by_address),
            // Who lets any number of pages be asked for means this as well.
            forging: Mutex::new(LruCache::new(FORGING_KNOWN)),
            held: Held::default(),
            probes: limit("probes", args.reads_per_second_by_address.min(1) * PROBES_A_SECOND.get()),
        });
        Self { shared, counted_by_handler: None, connect_freely: None }
    }

    /// Addresses from which somebody has shown the token within the last minute may make any number of new connections.
    #[must_use]
    pub fn with_free_connections_for_token_holders(self) -> Self {
        Self { connect_freely: Some(Arc::default()), ..self }
    }

    /// Requests for this address count only as far as their handler [charges](ClientShare::charge) for them.
    #[must_use]
    pub fn except(self, address: (Method, &'static str)) -> Self {
        Self { counted_by_handler: Some(address), ..self }
    }

    fn forging(&self) -> MutexGuard<'_, LruCache<IpAddr, Instant>> {
        // Nothing panics while it holds the lock.
        self.shared.forging.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets pass what is within the limits, and finds out for the extractors [`Client`] and [`Caller`] whose request it is.
    /// Otherwise returns the refusal. The share is that of the request's client.
    pub(crate) async fn admit(&self, request: Request) -> Result<(Request, ClientShare), Problem> {
        let (mut parts, body) = request.into_parts();
        let Ok(peer) = Peer::from_request_parts(&mut parts, &()).await;
        let client = self.shared.proxies.client(peer, &parts.headers);
        let caller = Caller::of(&parts.headers, &self.shared.operator_token);
        let kind = Kind::of(&parts);
        if let (Some(holders), Ok(Caller::Operator)) = (&self.connect_freely, &caller) {
            holders.note(peer.address);
        }
        let is_operator = caller.as_ref().is_ok_and(|caller| caller.is_operator());
        let limit = self.limit(kind).filter(|_| !is_operator);
        let by_handler = self.counted_by_handler.as_ref();
        let by_handler =
            by_handler.is_some_and(|(method, path)| *method == parts.method && *path == parts.uri.path());
        let counted = limit.filter(|_| !by_handler);
        let client = match counted.map(|limit| (limit, limit.bucket.take(client))) {
            Some((_, Ok(IsBusy(is_busy)))) => Client { is_busy, ..client },
            // Whether the connection is busy or has just been made for this request.
            Some((limit, Err(Refused { wait }))) => {
                let hang_up = parts.extensions.remove::<HangUp>();
                drop((parts, body));
                self.hold_back(client, hang_up.as_ref()).await;
                return Err(limit.refusal(wait));
            }
            None => client,
        };
        match caller {
            Ok(caller) => drop(parts.extensions.insert(caller)),
            // Where no token is asked for, one that is not known does no harm; elsewhere the handler refuses it. It is counted
            // in any case, because somebody may be guessing.
            Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
                self.shared.refusals.count_guess(problem.id(), client.address);
            }
            Err(problem) => return Err(problem),
        }
        let share = limit.is_some().then(|| (self.clone(), kind));
        let hang_up = parts.extensions.get::<HangUp>().cloned();
        let share = ClientShare { share, client, hang_up, is_operator };
        parts.extensions.insert(client);
        parts.extensions.insert(share.clone());
        Ok((Request::from_parts(parts, body), share))
    }

    /// A refusal to this client waits, if there is room for one more that does.
    async fn hold_back(&self, client: Client, hang_up: Option<&HangUp>) {
        match (self.shared.held.take(client.address), hang_up) {
            (Some(_place), _) => tokio::time::sleep(BEFORE_A_REFUSAL).await,
            (None, Some(hang_up)) => hang_up.now(),
            (None, None) => {}
        }
    }

    /// How many new connections an address may make: in proportion to the queries that it may send, so that nobody who lifts
    /// that limit meets this one. Proxies connect for others.
    pub(crate) fn new_connections(&self) -> Option<NewConnections> {
        let a_second = self.shared.reads.as_ref()?.a_second.get().div_ceil(REQUESTS_OF_A_CONNECTION);
        let limits = self.clone();
        let are_exempt = move |peer| {
            let holders = limits.connect_freely.as_ref();
            limits.shared.proxies.is_trusted(peer) || holders.is_some_and(|holders| holders.has(peer))
        };
        Some(NewConnections { a_second: NonZeroU32::new(a_second)?, are_exempt: Arc::new(are_exempt) })
    }

    /// Counts an answer that refuses its request for want of room.
    pub(crate) fn count<B>(&self, response: &axum::http::Response<B>) {
        self.shared.refusals.count_answer(response);
    }

    /// The operator's token, for which there is no limit.
    pub(crate) fn operator_token(&self) -> OperatorToken {
        self.shared.operator_token.clone()
    }

    fn limit(&self, kind: Kind) -> Option<&Limit> {
        match kind {
            Kind::Read => self.shared.reads.as_ref(),
            Kind::Write => self.shared.writes.as_ref(),
            Kind::Probe => self.shared.probes.as_ref(),
        }
    }
}

impl Limit {
    /// 429, with when to ask again. Only a refusal has these headers: they are for those who are near a limit.
    fn refusal(&self, wait: Duration) -> Problem {
        let wait = u32::try_from(wait.as_secs()).unwrap_or(u32::MAX).saturating_add(1);
        let burst = self.a_second.saturating_mul(self.burst_seconds);
        let problem = Problem::new(
            problem::TOO_MANY_REQUESTS,
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
