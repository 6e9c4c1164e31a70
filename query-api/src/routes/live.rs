//! What happens, as it happens: streams of server-sent events. Who sees a page may watch it too.

use super::Shared;
use crate::answer::{failed_read, nothing};
use crate::freshness::{Asked, Freshness, Reached};
use crate::live::NotFollowed;
use crate::live::states::Watched;
use crate::live::told::{BrokenOff, CURRENT, Moment, Told};
use api::permission::{Public, ReadSales, Shop};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use domain::cart::Cart;
use domain::order::Order;
use domain::{CartId, OrderId, Sku};
use event_store::{LogId, Position};
use futures::{Stream, StreamExt};
use http_boundary::{Caller, ClientShare, PathParams, Problem, Stopping};
use http_routes::{Allowed, Description, LiveFeed, Routes, Takes};
use std::convert::Infallible;
use std::time::Duration;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long a browser waits before it connects again.
const COME_BACK_AFTER: Duration = Duration::from_secs(1);

pub fn routes() -> Routes<Shared> {
    Routes::new()
        .get("/carts/{cart_id}/live", cart, "Tells each event of a cart as it happens")
        .get("/orders/{order_id}/live", order, "Tells each event of an order as it happens")
        .get("/stock/{sku}/live", stock, "Tells each new state of a SKU's stock")
        .get("/sales/live", sales, "Tells the figures of today as they change")
}

/// What everybody who watches says of themselves.
struct Listener {
    shared: Shared,
    /// What it has heard already.
    after: Option<Position>,
    share: ClientShare,
    stopping: Stopping,
}

impl FromRequestParts<Shared> for Listener {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Problem> {
        let after = match last_event_id(&parts.headers)? {
            Some((position, Some(log_id))) => {
                let identity = shared.store.log_identity().await.map_err(failed_read)?;
                // Nothing is known of what its listener has heard of this log.
                Some(position).filter(|position| identity.has(Some(log_id), *position))
            }
            Some((position, None)) => Some(position),
            None => None,
        };
        let Ok(share) = ClientShare::from_request_parts(parts, shared).await;
        let Ok(stopping) = Stopping::from_request_parts(parts, shared).await;
        Ok(Self { shared: shared.clone(), after, share, stopping })
    }
}

impl Takes for Listener {
    fn describe(description: &mut Description) {
        let about = "The `id` of the last event that the listener has heard: it goes on after that one.";
        description.header(LAST_EVENT_ID.as_str(), about);
    }
}

/// The position up to which the listener has heard everything, and the log that it is a place in. Earlier programs did not
/// say the log.
fn last_event_id(headers: &HeaderMap) -> Result<Option<(Position, Option<LogId>)>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let read = || {
        let text = value.to_str().ok()?.trim();
        let (position, log_id) = match text.split_once('@') {
            Some((position, log_id)) => (position, Some(log_id.parse().ok()?)),
            None => (text, None),
        };
        Some((position.parse().ok()?, log_id))
    };
    let said = read().ok_or_else(|| {
        Problem::malformed(
            "The Last-Event-ID is not one of ours: leave it out to begin with the present state.",
        )
    })?;
    Ok(Some(said))
}

/// What a listener that connects again says it has heard.
fn event_id(position: Position, log_id: Option<LogId>) -> String {
    log_id.map_or_else(|| position.to_string(), |log_id| format!("{position}@{log_id}"))
}

async fn cart(
    _: Allowed<Public>,
    PathParams(cart_id): PathParams<CartId>,
    Asked { freshness, .. }: Asked,
    listener: Listener,
) -> Result<LiveFeed, Problem> {
    listener.tell_events::<Cart>("cart", cart_id, freshness).await
}

async fn order(
    _: Allowed<Public>,
    PathParams(order_id): PathParams<OrderId>,
    Asked { freshness, .. }: Asked,
    listener: Listener,
) -> Result<LiveFeed, Problem> {
    listener.tell_events::<Order>("order", order_id, freshness).await
}

async fn stock(
    _: Allowed<Shop>,
    caller: Caller,
    PathParams(sku): PathParams<Sku>,
    Asked { freshness, .. }: Asked,
    listener: Listener,
) -> Result<LiveFeed, Problem> {
    let watched = if caller.is_operator() { Watched::Stock(sku) } else { Watched::Available(sku) };
    listener.tell_states(watched, freshness).await
}

async fn sales(
    _: Allowed<ReadSales>,
    Asked { freshness, .. }: Asked,
    listener: Listener,
) -> Result<LiveFeed, Problem> {
    listener.tell_states(Watched::Sales, freshness).await
}

impl Listener {
    /// Each event of a thing.
    async fn tell_events<T: Told>(
        self,
        what: &str,
        id: T::Id,
        freshness: Freshness,
    ) -> Result<LiveFeed, Problem> {
        let reached = self.shared.log.reach(freshness).await?;
        let log_id = self.shared.store.known_log_id();
        let moments =
            self.shared.live_events.follow::<T>(id, self.after, (freshness.asker, self.share.clone())).await;
        let moments = moments.map_err(|error| refused(error, what, id, reached))?;
        let events = moments.map(move |moment| match moment {
            Ok(moment) => Ok(as_event(&moment, log_id)),
            Err(error) => {
                // Anybody can be too slow.
                if matches!(error, BrokenOff::TooSlow) {
                    tracing::debug!(%id, %error, "a live page ends: its listener comes back");
                } else {
                    tracing::warn!(%id, %error, "a live page ends: its listener comes back");
                }
                Err(axum::Error::new(error))
            }
        });
        Ok(self.answer(events, reached))
    }

    /// Each new state of a thing.
    async fn tell_states(self, watched: Watched, freshness: Freshness) -> Result<LiveFeed, Problem> {
        self.shared.checkpoints.show_this_log(watched.model(), freshness).await?;
        let reached = self.shared.checkpoints.reach(watched.model(), freshness).await?;
        let states = self.shared.live_states.follow(watched, self.after, freshness).await?;
        let log_id = self.shared.store.known_log_id();
        let events = states.map(move |state| {
            let event = Event::default().id(event_id(state.position, log_id)).event(CURRENT);
            Ok::<_, Infallible>(event.retry(COME_BACK_AFTER).data(&state.json))
        });
        Ok(self.answer(events, reached))
    }

    /// An answer that breaks off makes the listener come back with the last id that it has.
    fn answer<E>(
        self,
        events: impl Stream<Item = Result<Event, E>> + Send + 'static,
        reached: Reached,
    ) -> LiveFeed
    where
        E: Into<axum::BoxError> + 'static,
    {
        let sse = Sse::new(events.take_until(self.stopping.wait()));
        // A comment after a while without an event, so that whoever stands in between keeps the connection open.
        let heartbeat = KeepAlive::new().interval(self.shared.live_heartbeat);
        let mut response = sse.keep_alive(heartbeat).into_response();
        let headers = response.headers_mut();
        reached.write(headers);
        // A proxy that gathers an answer before it passes it on would make it late.
        headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
        LiveFeed(response)
    }
}

fn refused(error: NotFollowed, what: &str, id: impl std::fmt::Display, reached: Reached) -> Problem {
    match error {
        NotFollowed::Unknown => nothing(what, id, reached),
        error => error.into(),
    }
}

fn as_event(moment: &Moment, log_id: Option<LogId>) -> Event {
    let event = Event::default().id(event_id(moment.position, log_id)).event(&moment.name);
    event.retry(COME_BACK_AFTER).data(&moment.json)
}
