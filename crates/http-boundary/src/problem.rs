use api::problem::{self, ProblemKind};
use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

/// A refusal as a client sees it: RFC 9457, with a `type` that never changes its meaning.
#[derive(Debug, Clone)]
pub struct Problem {
    kind: &'static ProblemKind,
    detail: String,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// A problem of this kind: `detail` is a sentence for this case that says what to do.
    #[must_use]
    pub fn new(kind: &'static ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), members: Map::new(), headers: Vec::new() }
    }

    /// With a field for machines. Its name must not be one of the standard's own.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        debug_assert!(!["type", "title", "status", "detail", "instance"].contains(&name), "{name} is taken");
        self.members.insert(name.to_owned(), value.into());
        self
    }

    /// With a response header.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// With `Retry-After`, in seconds.
    #[must_use]
    pub fn retry_after(self, seconds: u32) -> Self {
        self.header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// Its stable id.
    #[must_use]
    pub fn id(&self) -> &'static str {
        self.kind.id
    }

    /// Its HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        StatusCode::from_u16(self.kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// Something in the request cannot be read or is out of its bounds.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        Self::new(problem::INVALID_REQUEST, detail)
    }

    /// The request is not well-formed.
    #[must_use]
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(problem::MALFORMED_REQUEST, detail)
    }

    /// There is no such thing.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(problem::NOT_FOUND, detail)
    }

    /// Something that we need is away for the moment.
    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(problem::UNAVAILABLE, detail).retry_after(1)
    }

    /// The event store does not allow its user what the request needs. Asking again does not help: `/readyz` tells the operator
    /// which right is missing.
    #[must_use]
    pub fn event_store_access_denied() -> Self {
        Self::new(
            problem::EVENT_STORE_ACCESS_DENIED,
            "The event store does not allow it to the service, and nothing was changed: tell the shop. Asking again does not \
             help.",
        )
    }

    /// A fault of ours. The cause is in the log, not in the answer.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            problem::INTERNAL_ERROR,
            "The request could not be handled; what went wrong is in the service's log.",
        )
    }
}

/// Which problem an answer is, for those whom it passes on its way out.
#[derive(Debug, Clone, Copy)]
pub struct ProblemId(pub &'static str);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut body = json!({
            "type": format!("urn:emporium:problem:{}", self.kind.id),
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
        });
        if let Value::Object(fields) = &mut body {
            fields.extend(self.members);
        }
        let mut response = (status, Json(body)).into_response();
        response.extensions_mut().insert(ProblemId(self.kind.id));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_problem_is_complete_and_of_its_own_media_type() {
        let problem = Problem::not_found("There is nothing at /x.").with("sku", "A").retry_after(3);
        let response = problem.into_response();
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(response.headers()[header::RETRY_AFTER], "3");
        let body = axum::body::to_bytes(response.into_body(), 10_000).await.unwrap();
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["type"], "urn:emporium:problem:not-found");
        assert_eq!((&body["status"], &body["sku"]), (&json!(404), &json!("A")));
    }
}
