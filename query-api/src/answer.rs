//! What an answer looks like.

use crate::freshness::Reached;
use api::problem;
use axum::Json;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use event_store::EventStoreError;
use http_boundary::{PerSecond, Problem};
use http_routes::{Answers, Description};
use serde::Serialize;
use tracing::{error, warn};
use utoipa::ToSchema;

/// A body that is true at a position of the log at least.
pub struct Answer<T> {
    pub body: T,
    pub reached: Reached,
    /// Of the one stream that the answer is about.
    pub revision: Option<i64>,
}

impl<T> Answer<T> {
    pub fn new(body: T, reached: Reached) -> Self {
        Self { body, reached, revision: None }
    }

    pub fn of_stream(body: T, reached: Reached, revision: i64) -> Self {
        Self { body, reached, revision: Some(revision) }
    }
}

impl<T: ToSchema> Answers for Answer<T> {
    fn describe(description: &mut Description) {
        let about =
            "The answer. `Emporium-Position` says up to which position of the log it is true at least.";
        description.answers_json::<T>(200, about);
    }
}

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = Json(self.body).into_response();
        let headers = response.headers_mut();
        self.reached.write(headers);
        if let Some(revision) = self.revision
            && let Ok(etag) = HeaderValue::from_str(&format!("\"{revision}\""))
        {
            headers.insert(header::ETAG, etag);
        }
        // The next command changes the answer, and some answers are for their reader alone.
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
        response
    }
}

/// There is no such thing, up to this position at least.
pub fn nothing(what: &str, id: impl std::fmt::Display, reached: Reached) -> Problem {
    reached.tell(Problem::not_found(format!("No {what} is known as `{id}`.")))
}

/// The database did not answer. What went wrong is in the log.
#[expect(clippy::needless_pass_by_value, reason = "it is given to `map_err`")]
pub fn failed_query(error: sqlx::Error) -> Problem {
    // Not migrated yet; too long; stopping; no more connections.
    let is_passing = match &error {
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code == "42P01" || ["08", "53", "57"].iter().any(|class| code.starts_with(class))
        }),
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        _ => false,
    };
    // A value, from a cursor for example, that has the right form and that Postgres cannot hold.
    if error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code.starts_with("22")) {
        return Problem::invalid("A value in the query is beyond what can be looked for.");
    }
    if is_passing {
        // Each request that is refused is counted; why needs no line for each.
        static SAID: PerSecond = PerSecond::once();
        if SAID.is_due() {
            warn!(error = &error as &dyn std::error::Error, "the read models cannot be read at the moment");
        }
        Problem::unavailable("The read models cannot be read at the moment: ask again in a moment.")
    } else {
        error!(error = &error as &dyn std::error::Error, "a query has failed");
        Problem::internal()
    }
}

/// The event store did not answer.
pub fn failed_read(error: EventStoreError) -> Problem {
    match error {
        EventStoreError::Unavailable(error) => {
            static SAID: PerSecond = PerSecond::once();
            if SAID.is_due() {
                warn!(error, "the event store cannot be read at the moment");
            }
            Problem::unavailable("The event store cannot be read at the moment: ask again in a moment.")
        }
        EventStoreError::AccessDenied => {
            static SAID: PerSecond = PerSecond::once();
            if SAID.is_due() {
                error!("the event store does not let its user read: see the rights in /readyz");
            }
            Problem::event_store_access_denied()
        }
        EventStoreError::Refused(error) => {
            error!(error, "the event store has refused to be read");
            Problem::internal()
        }
        EventStoreError::Deleted => Problem::new(
            problem::STREAM_UNREADABLE,
            "Somebody has deleted this history in the event store: the shop's operator has to look at it.",
        ),
    }
}
