//! Streams that cannot be read: look at them, have them tried again, or have the event passed over at which one stands.

use super::Shared;
use crate::problems;
use crate::request::CommandRequest;
use api::operations::{EventSkipped, ParkedStream, ParkedStreams, SkipEvent, StreamTried};
use api::permission::Operate;
use axum::Json;
use axum::extract::State;
use domain::fulfilment::order_id_of;
use domain::{CartId, OrderId};
use event_store::check_stream_name;
use executor::{Described, Envelope};
use http_boundary::{PathParams, Problem};
use http_routes::{Allowed, Routes};
use uuid::Uuid;

/// Letters of a reason.
const MAX_REASON: usize = 500;

pub fn routes() -> Routes<Shared> {
    Routes::new()
        .get("/parked-streams", list, "Lists the streams that cannot be read")
        .post("/parked-streams/{stream}/retry", retry, "Has a stream read again")
        .post("/parked-streams/{stream}/skip", skip, "Passes over the event at which a stream stands")
}

/// Those that this process has met since it started, and the orders that wait for them if it runs order fulfilment.
async fn list(_: Allowed<Operate>, State(shared): State<Shared>) -> Json<ParkedStreams> {
    let streams = shared.executor.parked.all().into_iter().map(|parked| {
        let Described { stream, revision, event_type, why } = parked.at;
        ParkedStream { stream, revision, event_type, why, since: parked.since }
    });
    Json(ParkedStreams { streams: streams.collect(), orders: shared.parked_orders.all() })
}

/// The next one who asks for the stream has it read again, and orders that wait for it try again.
async fn retry(
    _: Allowed<Operate>,
    State(shared): State<Shared>,
    PathParams(stream): PathParams<String>,
) -> Result<Json<StreamTried>, Problem> {
    if !shared.executor.parked.free(&stream) {
        if !shared.parked_orders.wait_for(&stream) {
            return Err(Problem::not_found(format!("The stream `{stream}` is not parked.")));
        }
        shared.executor.parked.wake(&stream);
    }
    Ok(Json(StreamTried { stream }))
}

async fn skip(
    _: Allowed<Operate>,
    State(shared): State<Shared>,
    PathParams(stream): PathParams<String>,
    CommandRequest { body: SkipEvent { revision, reason }, context }: CommandRequest<SkipEvent>,
) -> Result<Json<EventSkipped>, Problem> {
    let reason = reason.trim();
    if reason.is_empty() || reason.chars().count() > MAX_REASON {
        let allowed =
            format!("`reason` says in at most {MAX_REASON} letters why the event is passed over for good.");
        return Err(Problem::invalid(allowed));
    }
    check_stream_name(&stream)
        .map_err(|error| Problem::malformed(format!("No stream is parked so: {error}.")))?;
    let correlation_id = purchase_of(&stream).unwrap_or(context.command_id);
    // The marker itself tells a repetition.
    let envelope =
        Envelope { fingerprint: executor::Fingerprint::none(), ..context.envelope(correlation_id) };
    let marker = shared.executor.skip(&stream, revision, reason, &envelope).await;
    let marker = marker.map_err(problems::of_skip)?;
    let (skipped, revision, position) = (revision, marker.revision, marker.position.value());
    Ok(Json(EventSkipped { stream, skipped, revision, position }))
}

/// The purchase that a cart's or an order's events are of.
fn purchase_of(stream: &str) -> Option<Uuid> {
    let (category, id) = stream.split_once('-')?;
    match category {
        "order" => Some(id.parse::<OrderId>().ok()?.0),
        "cart" => Some(order_id_of(id.parse::<CartId>().ok()?).0),
        _ => None,
    }
}
