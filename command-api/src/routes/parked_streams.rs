//! Streams that cannot be read: look at them, have them tried again, or have the event passed over at which one stands.

use super::Shared;
use crate::fulfilment::ParkedOrder;
use crate::ids::order_id_of;
use crate::problems;
use crate::request::CommandRequest;
use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use domain::{CartId, OrderId};
use event_store::{Position, check_stream_name};
use executor::{Described, Envelope};
use http_boundary::{Caller, Operator, PathParams, Problem};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// Letters of a reason.
const MAX_REASON: usize = 500;

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/parked-streams", get(list))
        .route("/parked-streams/{stream}/retry", post(retry))
        .route("/parked-streams/{stream}/skip", post(skip))
}

#[derive(Serialize)]
struct Parked {
    streams: Vec<StreamView>,
    orders: Vec<ParkedOrder>,
}

#[derive(Serialize)]
struct StreamView {
    #[serde(flatten)]
    at: Described,
    since: DateTime<Utc>,
}

/// Those that this process has met since it started, and the orders that wait for them if it runs order fulfilment.
async fn list(State(shared): State<Shared>, caller: Caller) -> Result<Json<Parked>, Problem> {
    caller.require_operator()?;
    let streams = shared.executor.parked.all();
    let streams = streams.into_iter().map(|parked| StreamView { at: parked.at, since: parked.since });
    Ok(Json(Parked { streams: streams.collect(), orders: shared.parked_orders.all() }))
}

/// The next one who asks for the stream has it read again, and orders that wait for it try again.
async fn retry(
    State(shared): State<Shared>,
    caller: Caller,
    PathParams(stream): PathParams<String>,
) -> Result<Json<Value>, Problem> {
    caller.require_operator()?;
    if !shared.executor.parked.free(&stream) {
        if !shared.parked_orders.wait_for(&stream) {
            return Err(Problem::not_found(format!("The stream `{stream}` is not parked.")));
        }
        shared.executor.parked.wake(&stream);
    }
    Ok(Json(json!({ "stream": stream })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Skip {
    /// The event at which it stands, so that nobody has another one passed over than the one they looked at.
    revision: u64,
    reason: String,
}

#[derive(Serialize)]
struct Skipped {
    stream: String,
    /// The event that is passed over.
    skipped: u64,
    /// The marker that says so.
    revision: u64,
    position: Position,
}

async fn skip(
    _: Operator,
    State(shared): State<Shared>,
    PathParams(stream): PathParams<String>,
    CommandRequest { body: Skip { revision, reason }, context }: CommandRequest<Skip>,
) -> Result<Json<Skipped>, Problem> {
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
    let envelope = Envelope { fingerprint: String::new(), ..context.envelope(correlation_id) };
    let marker = shared.executor.skip(&stream, revision, reason, &envelope).await;
    let marker = marker.map_err(problems::of_skip)?;
    let (skipped, revision, position) = (revision, marker.revision, marker.position);
    Ok(Json(Skipped { stream, skipped, revision, position }))
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
