//! How a taken command is answered.

use api::PREFIX;
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::OrderId;
use executor::Accepted;
use http_boundary::Wait;
use http_routes::{Answers, Description};
use serde::Serialize;
use utoipa::ToSchema;

pub const POSITION: HeaderName = HeaderName::from_static("emporium-position");
/// Which log that position is a place in.
pub const LOG: HeaderName = HeaderName::from_static("emporium-log");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const ABOUT: &str =
    "The command is recorded. `Emporium-Position` says where in the log, `ETag` the stream's revision.";

/// A body, with the stream's revision (`ETag`) and a log position (`Emporium-Position`) alongside.
pub struct Answer<T> {
    pub accepted: Accepted,
    pub body: T,
    /// The preference that was followed.
    pub waited: Option<Wait>,
}

/// Something was made: 201, with the address where it can be read.
pub struct Created<T> {
    pub answer: Answer<T>,
    /// Below the prefix of all addresses.
    pub location: String,
}

/// About an order whose outcome may not be known yet: then it is 202, with the address where it can be asked for.
pub struct Settling<T> {
    pub answer: Answer<T>,
    pub order_id: OrderId,
    pub has_outcome: bool,
}

impl<T> Answer<T> {
    pub fn new(accepted: Accepted, body: T) -> Self {
        Self { accepted, body, waited: None }
    }

    /// Says that the request's preference was followed.
    pub fn waited(self, wait: Option<Wait>) -> Self {
        Self { waited: wait, ..self }
    }

    /// Something was made, which can be read there.
    pub fn created(self, location: String) -> Created<T> {
        Created { answer: self, location }
    }
}

fn respond<T: Serialize>(status: StatusCode, location: Option<String>, answer: Answer<T>) -> Response {
    let mut response = (status, Json(answer.body)).into_response();
    let headers = response.headers_mut();
    if let Ok(etag) = HeaderValue::try_from(format!("\"{}\"", answer.accepted.revision)) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(POSITION, HeaderValue::from(answer.accepted.position.value()));
    if answer.accepted.replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    let location = location.and_then(|location| HeaderValue::try_from(format!("{PREFIX}{location}")).ok());
    if let Some(location) = location {
        headers.insert(header::LOCATION, location);
    }
    headers.extend(answer.waited.map(Wait::applied));
    response
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        respond(StatusCode::OK, None, self)
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        respond(StatusCode::CREATED, Some(self.location), self.answer)
    }
}

impl<T: Serialize> IntoResponse for Settling<T> {
    fn into_response(self) -> Response {
        let status = if self.has_outcome { StatusCode::OK } else { StatusCode::ACCEPTED };
        // Whoever follows this finds the order, however far the read models have come.
        let location = format!("/orders/{}?min-position={}", self.order_id, self.answer.accepted.position);
        respond(status, Some(location), self.answer)
    }
}

impl<T: ToSchema> Answers for Answer<T> {
    fn describe(description: &mut Description) {
        description.answers_json::<T>(200, ABOUT);
    }
}

impl<T: ToSchema> Answers for Created<T> {
    fn describe(description: &mut Description) {
        description.answers_json::<T>(201, ABOUT);
    }
}

impl<T: ToSchema> Answers for Settling<T> {
    fn describe(description: &mut Description) {
        description.answers_json::<T>(200, ABOUT);
        description.answers_json::<T>(
            202,
            "The command is recorded, and its outcome is not known yet: ask at `Location`.",
        );
    }
}
