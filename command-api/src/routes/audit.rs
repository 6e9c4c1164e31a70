//! What auditors take away to keep: the public key and the newest seals.

use super::Shared;
use crate::problems;
use api::audit::{AuditKey, SealFilter, Seals};
use api::permission::{Audit, Public};
use audit_seal::seal::Seal;
use audit_seal::{SEAL_TYPE, SEALS_STREAM};
use axum::Json;
use axum::extract::State;
use event_store::EventStoreError;
use futures::TryStreamExt;
use http_boundary::{Problem, QueryParams};
use http_routes::{Allowed, Routes};
use std::pin::pin;

/// A seal of many events has about 100 KB.
const MAX_SEALS: usize = 100;

pub fn routes() -> Routes<Shared> {
    Routes::new().get("/audit/key", key, "The public key that seals are checked with").get(
        "/audit/seals",
        seals,
        "The newest seals",
    )
}

async fn key(_: Allowed<Public>, State(shared): State<Shared>) -> Json<AuditKey> {
    let key = shared.audit_key;
    let (algorithm, name) = ("Ed25519".to_owned(), key.name());
    Json(AuditKey { algorithm, name, public_key: key.to_hex() })
}

/// The newest first, as they stand in the log. Whatever else somebody has written among them is passed over; seals of a
/// stream that somebody has deleted are in the log only.
async fn seals(
    _: Allowed<Audit>,
    State(shared): State<Shared>,
    QueryParams(SealFilter { limit }): QueryParams<SealFilter>,
) -> Result<Json<Seals>, Problem> {
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
