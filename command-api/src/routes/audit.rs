//! What auditors take away to keep: the public key and the newest seals.

use super::Shared;
use crate::problems;
use audit_seal::seal::Seal;
use audit_seal::{SEAL_TYPE, SEALS_STREAM};
use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use event_store::EventStoreError;
use futures::TryStreamExt;
use http_boundary::{Caller, Problem, QueryParams};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::pin::pin;

/// A seal of many events has about 100 KB.
const MAX_SEALS: usize = 100;

pub fn routes() -> Router<Shared> {
    Router::new().route("/audit/key", get(key)).route("/audit/seals", get(seals))
}

async fn key(State(shared): State<Shared>) -> Json<Value> {
    let key = shared.audit_key;
    Json(json!({ "algorithm": "Ed25519", "name": key.name(), "public_key": key.to_hex() }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Newest {
    #[serde(default = "one")]
    limit: usize,
}

fn one() -> usize {
    1
}

#[derive(Serialize)]
struct Seals {
    items: Vec<Box<RawValue>>,
}

/// The newest first, as they stand in the log. Whatever else somebody has written among them is passed over; seals of a
/// stream that somebody has deleted are in the log only.
async fn seals(
    State(shared): State<Shared>,
    caller: Caller,
    QueryParams(Newest { limit }): QueryParams<Newest>,
) -> Result<Json<Seals>, Problem> {
    caller.require_operator()?;
    if !(1..=MAX_SEALS).contains(&limit) {
        return Err(Problem::invalid(format!("`limit` is a number from 1 to {MAX_SEALS}.")));
    }
    let failed = |error: &EventStoreError| problems::of_read(error);
    let stream = shared.store.own_stream(SEALS_STREAM).await.map_err(|error| failed(&error))?;
    let mut events = pin!(shared.store.read_stream_backwards(stream.name(), None, usize::MAX));
    let mut items = Vec::new();
    while items.len() < limit
        && let Some(event) = events.try_next().await.map_err(|error| failed(&error))?
    {
        let is_seal = event.event_type == SEAL_TYPE && serde_json::from_slice::<Seal>(&event.data).is_ok();
        items.extend(serde_json::from_slice(&event.data).ok().filter(|_| is_seal));
    }
    Ok(Json(Seals { items }))
}
