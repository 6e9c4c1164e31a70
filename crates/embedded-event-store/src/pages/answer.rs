//! Answers with the headers of the protocol's own server.

use axum::body::Body;
use axum::response::Response;
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, VARY,
    WWW_AUTHENTICATE,
};
use http::{HeaderValue, StatusCode};

use super::format::Format;

const ANYBODY: HeaderValue = HeaderValue::from_static("*");
const READ: HeaderValue = HeaderValue::from_static("GET, OPTIONS");
const READ_TWICE: HeaderValue = HeaderValue::from_static("GET, GET, OPTIONS");
const ALLOWED_HEADERS: HeaderValue = HeaderValue::from_static(
    "Content-Type, X-Requested-With, X-Forwarded-Host, X-Forwarded-Prefix, X-PINGOTHER, Authorization, ES-LongPoll, \
     ES-ExpectedVersion, ES-EventId, ES-EventType, ES-RequireMaster, ES-RequireLeader, ES-HardDelete, \
     ES-ResolveLinkTos",
);
const EXPOSED_HEADERS: HeaderValue = HeaderValue::from_static("Location, ES-Position, ES-CurrentVersion");
const ALLOWED_METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, OPTIONS");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const METRICS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
const BY_ACCEPT: HeaderValue = HeaderValue::from_static("Accept");
const BY_ENCODING: HeaderValue = HeaderValue::from_static("Accept-Encoding");
const LOG_IN: HeaderValue = HeaderValue::from_static("X-Basic realm=\"ESDB\"");
const A_SECOND: HeaderValue = HeaderValue::from_static("1");
const NOTHING: HeaderValue = HeaderValue::from_static("0");

/// What pages of other sites may do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cors {
    /// It can be read.
    Read,
    /// The same, said twice.
    ReadTwice,
    /// It failed; it is not said what else could be done.
    Failed,
}

impl Cors {
    /// Says so in the answer.
    pub fn on(self, mut answer: Response) -> Response {
        let headers = answer.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, ANYBODY);
        headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED_HEADERS);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS);
        let methods = match self {
            Cors::Read => READ,
            Cors::ReadTwice => READ_TWICE,
            Cors::Failed => return answer,
        };
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, methods);
        answer
    }
}

/// An answer without a body.
pub fn empty(status: StatusCode) -> Response {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = status;
    if status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED {
        answer.headers_mut().insert(CONTENT_LENGTH, NOTHING);
    }
    answer
}

/// The answer to a method that changes something.
pub fn not_allowed() -> Response {
    let mut answer = empty(StatusCode::METHOD_NOT_ALLOWED);
    answer.headers_mut().insert(ALLOW, ALLOWED_METHODS);
    answer
}

/// The answer to a wrong name or password.
pub fn wrong_password() -> Response {
    let mut answer = empty(StatusCode::UNAUTHORIZED);
    answer.headers_mut().insert(WWW_AUTHENTICATE, LOG_IN);
    answer
}

/// The answer to somebody who is no user and asks too often, or for too much at once.
pub fn too_often() -> Response {
    let mut answer = empty(StatusCode::TOO_MANY_REQUESTS);
    answer.headers_mut().insert(RETRY_AFTER, A_SECOND);
    answer
}

/// A body in a format.
pub fn with_body(format: Format, body: Vec<u8>) -> Response {
    let mut answer = if body.is_empty() { empty(StatusCode::OK) } else { Response::new(Body::from(body)) };
    answer.headers_mut().insert(CONTENT_TYPE, format.content_type());
    answer
}

/// The answer depends on the format that was asked for, and may be kept for so long.
pub fn varying(mut answer: Response, kept: HeaderValue) -> Response {
    answer.headers_mut().insert(VARY, BY_ACCEPT);
    answer.headers_mut().insert(CACHE_CONTROL, kept);
    answer
}

/// The answer counts as text.
pub fn as_text(mut answer: Response) -> Response {
    answer.headers_mut().insert(CONTENT_TYPE, TEXT);
    answer
}

/// Measurements in the text format of Prometheus.
pub fn metrics(text: String) -> Response {
    let mut answer = Response::new(Body::from(text));
    answer.headers_mut().insert(CONTENT_TYPE, METRICS);
    answer.headers_mut().insert(VARY, BY_ENCODING);
    answer
}
