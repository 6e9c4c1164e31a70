//! What a client is charged for besides its requests: work that is known only while it is done.

use super::{ClientLimits, Kind, Limit};
use crate::answer::Taker;
use crate::{Client, HangUp, Problem};
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;
use axum::response::Response;
use http_body::Body as _;
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

/// So many bytes of an answer, and of a body, count as one request more.
const BYTES_OF_A_REQUEST: u64 = 16 * 1024;
/// Of a history that is read and folded for a request, so many events count as one request more.
const EVENTS_OF_A_REQUEST: u64 = 50;
/// To write an event down and send it costs about twice as much.
const EVENTS_TOLD_OF_A_REQUEST: u64 = 25;
/// What a request is worth whose client goes away before it is answered.
const REQUESTS_OF_ONE_GIVEN_UP: u64 = 10;

/// For so long nothing is done for an address that has forged more than its share: its next forgeries, over all of its
/// connections at once, would each be read before they are known.
const FORGERS_WAIT: Duration = Duration::from_secs(1);

/// What the client of a request may ask for. A request that does the work of many is charged for them.
#[derive(Clone)]
pub struct ClientShare {
    /// None: there is no limit.
    pub(super) share: Option<(ClientLimits, Kind)>,
    pub(super) client: Client,
    pub(super) hang_up: Option<HangUp>,
    pub(super) is_operator: bool,
}

impl ClientShare {
    /// Of a client without limits.
    #[must_use]
    pub fn without_limits(client: Client) -> Self {
        Self { share: None, client, hang_up: None, is_operator: false }
    }

    /// With whose answers its own are counted until they are taken.
    pub(crate) fn taker(&self) -> Taker {
        match &self.share {
            Some(_) => Taker::Address(self.client.address),
            None if self.is_operator => Taker::Operator,
            None => Taker::Unlimited,
        }
    }

    /// Charges the client for so many requests more.
    ///
    /// # Errors
    /// 429 `too-many-requests` when the share is used up.
    pub fn charge(&self, requests: usize) -> Result<(), Problem> {
        let Some((limit, requests)) = self.more(requests) else { return Ok(()) };
        let taken = limit.bucket.take_many(self.client, requests);
        taken.map(drop).map_err(|refused| limit.refusal(refused.wait))
    }

    /// The same for what a person does now and then: its connection does not count as busy for it.
    ///
    /// # Errors
    /// 429 `too-many-requests` when the share is used up.
    pub fn charge_a_person(&self, requests: usize) -> Result<(), Problem> {
        let Some((limit, requests)) = self.more(requests) else { return Ok(()) };
        let taken = limit.bucket.take_more(self.client, requests);
        taken.map_err(|refused| limit.refusal(refused.wait))
    }

    /// Charges the client for a body of so many bytes, before it is looked at.
    ///
    /// # Errors
    /// 429 `too-many-requests` when the share is used up.
    pub fn charge_for_body(&self, bytes: usize) -> Result<(), Problem> {
        self.charge(usize::try_from(bytes as u64 / BYTES_OF_A_REQUEST).unwrap_or(usize::MAX))
    }

    /// The client's request had so many events read and folded. What that is worth in requests is counted, even if there is
    /// no room for it: the client's next requests wait for that.
    pub fn has_read(&self, events: u64) {
        self.owe(events / EVENTS_OF_A_REQUEST);
    }

    /// The client is answered; a large answer counts as more requests, as [`Self::has_read`] does.
    pub(crate) fn is_answered(&self, answer: &Response) {
        // Of a HEAD request, the body was made and left out.
        let declared =
            answer.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let bytes = answer.body().size_hint().exact().max(declared);
        self.owe(bytes.unwrap_or_default() / BYTES_OF_A_REQUEST);
    }

    /// The client is told so many events, in so many bytes, of an answer whose size nobody knows before: counted as
    /// [`Self::has_read`] does, besides the reading.
    pub fn is_told(&self, events: u64, bytes: u64) {
        self.owe(events.div_ceil(EVENTS_TOLD_OF_A_REQUEST) + bytes / BYTES_OF_A_REQUEST);
    }

    /// The client went away before its answer. Nobody knows how large that would have been, and the work is done.
    pub(crate) fn has_gone(&self) {
        self.owe(REQUESTS_OF_ONE_GIVEN_UP);
    }

    fn owe(&self, requests: u64) {
        if let Some((limit, requests)) = self.more(usize::try_from(requests).unwrap_or(usize::MAX)) {
            limit.bucket.owe(self.client, requests);
        }
    }

    fn more(&self, requests: usize) -> Option<(&Limit, NonZeroU32)> {
        let (limits, kind) = self.share.as_ref()?;
        let requests = NonZeroU32::new(u32::try_from(requests).unwrap_or(u32::MAX))?;
        Some((limits.limit(*kind)?, requests))
    }

    /// Charges the client for a request that is a forgery. Once its share is used up, [`Self::refuse_forgers`] refuses its
    /// next ones until it may ask again.
    ///
    /// # Errors
    /// 429 `too-many-requests` when the share is used up.
    pub fn charge_for_forgery(&self) -> Result<(), Problem> {
        let charged = self.charge(1);
        if let (Err(_), Some((limits, _))) = (&charged, &self.share) {
            let until = Instant::now() + FORGERS_WAIT;
            limits.forging().put(self.client.address, until);
        }
        charged
    }

    /// Refuses a client that has forged more than its share a moment ago, slowly and before anything is done for it.
    ///
    /// # Errors
    /// 429 `too-many-requests`.
    pub async fn refuse_forgers(&self) -> Result<(), Problem> {
        let Some((limits, kind)) = &self.share else { return Ok(()) };
        let until = limits.forging().get(&self.client.address).copied();
        let wait = until.and_then(|until| until.checked_duration_since(Instant::now()));
        let (Some(wait), Some(limit)) = (wait, limits.limit(*kind)) else { return Ok(()) };
        limits.hold_back(self.client, self.hang_up.as_ref()).await;
        Err(limit.refusal(wait))
    }
}

impl<S: Sync> FromRequestParts<S> for ClientShare {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        if let Some(share) = parts.extensions.get::<Self>() {
            return Ok(share.clone());
        }
        // A route without limits.
        Client::from_request_parts(parts, state).await.map(Self::without_limits)
    }
}
