//! How a taken command is answered.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::OrderId;
use executor::Accepted;
use http_boundary::Wait;
use serde_json::Value;

pub const POSITION: HeaderName = HeaderName::from_static("emporium-position");
/// Which log that position is a place in.
pub const LOG: HeaderName = HeaderName::from_static("emporium-log");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// A body, with the stream's revision (`ETag`) and a log position (`Emporium-Position`) beside it.
pub struct Answer {
    pub status: StatusCode,
    pub accepted: Accepted,
    pub body: Value,
    /// Where what was made can be read.
    pub location: Option<String>,
    /// The preference that was followed.
    pub waited: Option<Wait>,
}

impl Answer {
    pub fn ok(accepted: Accepted, body: Value) -> Self {
        Self { status: StatusCode::OK, accepted, body, location: None, waited: None }
    }

    pub fn created(accepted: Accepted, body: Value, location: String) -> Self {
        Self { status: StatusCode::CREATED, accepted, body, location: Some(location), waited: None }
    }

    /// About an order: whether its outcome is known, or must be asked for where the answer says.
    pub fn of_order(order_id: OrderId, has_outcome: bool, accepted: Accepted, body: Value) -> Self {
        let status = if has_outcome { StatusCode::OK } else { StatusCode::ACCEPTED };
        // Whoever follows this finds the order, however far the read models have come.
        let location = format!("/orders/{order_id}?min-position={}", accepted.position);
        Self { status, accepted, body, location: Some(location), waited: None }
    }

    /// Says that the request's preference was followed.
    pub fn waited(self, wait: Option<Wait>) -> Self {
        Self { waited: wait, ..self }
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
        headers.extend(self.waited.map(Wait::applied));
        response
    }
}
