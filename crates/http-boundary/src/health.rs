//! Whether the parts of a service do their work: `/livez` and `/readyz`.

use axum::Json;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What every part of a process last said of itself. Cheap to clone; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Health {
    parts: Arc<Mutex<BTreeMap<String, Result<(), String>>>>,
}

impl Health {
    /// A part does its work.
    pub fn is_well(&self, part: &str) {
        self.report(part, Ok(()));
    }

    /// A part does not do its work, and why.
    pub fn is_ill(&self, part: &str, why: impl Into<String>) {
        self.report(part, Err(why.into()));
    }

    /// Whether every part does its work.
    #[must_use]
    pub fn is_all_well(&self) -> bool {
        self.lock().values().all(Result::is_ok)
    }

    fn report(&self, part: &str, state: Result<(), String>) {
        self.lock().insert(part.to_owned(), state);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Result<(), String>>> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `GET /livez`: the process answers. `GET /readyz`: every part does its work, or 503 with those that do not.
    pub fn routes(&self) -> Router {
        let health = self.clone();
        Router::new()
            .route("/livez", get(|| async { Json(json!({ "status": "alive" })) }))
            .route("/readyz", get(move || async move { health.answer() }))
    }

    fn answer(&self) -> (StatusCode, Json<Value>) {
        let parts: BTreeMap<String, Value> = self
            .lock()
            .iter()
            .map(|(part, state)| match state {
                Ok(()) => (part.clone(), json!({ "ready": true })),
                Err(why) => (part.clone(), json!({ "ready": false, "why": why })),
            })
            .collect();
        let ready = self.is_all_well();
        let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, Json(json!({ "ready": ready, "parts": parts })))
    }
}
