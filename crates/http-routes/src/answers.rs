use crate::Description;
use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use http_boundary::Problem;
use utoipa::ToSchema;

/// Something that a handler answers.
pub trait Answers {
    /// Says what of the answer it is.
    fn describe(description: &mut Description);
}

impl<T: Answers> Answers for Result<T, Problem> {
    fn describe(description: &mut Description) {
        T::describe(description);
        description.refuses_with_problems();
    }
}

impl<T: ToSchema> Answers for Json<T> {
    fn describe(description: &mut Description) {
        description.answers_json::<T>(200, "The answer.");
    }
}

/// An answer without a body: 204, or what the handler says.
impl Answers for StatusCode {
    fn describe(description: &mut Description) {
        description.answers(204, "It is done.", None);
    }
}

/// An answer that goes on: server-sent events.
#[derive(Debug)]
pub struct LiveFeed(pub Response);

impl IntoResponse for LiveFeed {
    fn into_response(self) -> Response {
        self.0
    }
}

impl Answers for LiveFeed {
    fn describe(description: &mut Description) {
        description.answers(200, "Events, as they happen.", Some("text/event-stream"));
    }
}
