//! An order as it happens: a stream of server-sent events, straight from the event store.

use super::Shared;
use crate::answer::{failed_read, nothing};
use crate::live_orders::{Moment, NotFollowed};
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use domain::OrderId;
use event_store::Position;
use futures::StreamExt;
use http_boundary::{PathParams, Problem, Stopping};
use std::time::Duration;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// How long a browser waits before it connects again.
const COME_BACK_AFTER: Duration = Duration::from_secs(1);

pub fn routes() -> Router<Shared> {
    Router::new().route("/orders/{order_id}/live", get(follow))
}

async fn follow(
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    stopping: Stopping,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let after = last_event_id(&headers)?;
    let moments = shared.live_orders.follow(order_id, after).await.map_err(|error| match error {
        NotFollowed::Unknown => nothing("order", order_id, None),
        NotFollowed::TooMany => Problem::unavailable("Too many listen at the moment: ask again in a moment."),
        NotFollowed::Store(error) => failed_read(error),
    })?;
    let events = moments.map(move |moment| match moment {
        Ok(moment) => as_event(&moment),
        Err(error) => {
            tracing::warn!(%order_id, %error, "a live order ends: its listener comes back");
            Err(axum::Error::new(error))
        }
    });
    // An answer that breaks off makes the listener come back with the last id that it has.
    let sse = Sse::new(events.take_until(stopping.wait()));
    // A comment after a while without an event, so that whoever stands in between keeps the connection open.
    let heartbeat = KeepAlive::new().interval(shared.live_heartbeat);
    let mut response = sse.keep_alive(heartbeat).into_response();
    // A proxy that gathers an answer before it passes it on would make it late.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    Ok(response)
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Position>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else { return Ok(None) };
    let position = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    let position = position.ok_or_else(|| {
        Problem::malformed(
            "The Last-Event-ID is not one of ours: leave it out to begin with the present state.",
        )
    })?;
    Ok(Some(Position::new(position)))
}

fn as_event(moment: &Moment) -> Result<Event, axum::Error> {
    let event = Event::default().id(moment.position.value().to_string()).event(&moment.name);
    event.retry(COME_BACK_AFTER).json_data(moment)
}
