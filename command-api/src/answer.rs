//! How a taken command is answered.

use crate::executor::Accepted;
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

const POSITION: HeaderName = HeaderName::from_static("emporium-position");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A body, with the stream's revision (`ETag`) and a log position (`Emporium-Position`) beside it.
pub struct Answer {
    pub status: StatusCode,
    pub accepted: Accepted,
    pub body: Value,
    /// Where what was made can be read.
    pub location: Option<String>,
}

impl Answer {
    pub fn ok(accepted: Accepted, body: Value) -> Self {
        Self { status: StatusCode::OK, accepted, body, location: None }
    }

    pub fn created(accepted: Accepted, body: Value, location: String) -> Self {
        Self { status: StatusCode::CREATED, accepted, body, location: Some(location) }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        let headers = response.headers_mut();
        if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", self.accepted.revision)) {
            headers.insert(header::ETAG, etag);
        }
        headers.insert(POSITION, HeaderValue::from(self.accepted.position.value()));
        if self.accepted.replayed {
            headers.insert(REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(location) = self.location.and_then(|location| HeaderValue::try_from(location).ok()) {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}
