//! What is taken from callers without a user, and how they are refused before anything is read.

use axum::body::Body;
use axum::response::Response;
use tonic::{Code, Status};

use super::errors;
use crate::strangers::Most;

/// More than any request has that is no append.
const REQUEST_BYTES: usize = 64 * 1024;
const STREAMS: &str = "/event_store.client.streams.Streams/";
const GROUPS: &str = "/event_store.client.persistent_subscriptions.PersistentSubscriptions/";

/// How much is taken of a call without a user, by the call's path; nothing of one that needs a user. `may_append` is the
/// largest append if strangers may use streams.
pub fn taken_from_strangers(path: &str, may_append: Option<usize>) -> Option<Most> {
    if let Some(method) = path.strip_prefix(STREAMS) {
        return match (method, may_append) {
            ("Read" | "Append" | "Delete" | "Tombstone", None) => None,
            // What surrounds small events is as large as they are.
            ("Append", Some(bytes)) => Some(Most::Whole(bytes.saturating_mul(2).max(REQUEST_BYTES))),
            // Each append of it is refused by itself, and the call goes on.
            ("BatchAppend", None) => Some(Most::EachMessage(REQUEST_BYTES)),
            ("BatchAppend", Some(bytes)) => {
                Some(Most::EachMessage(bytes.saturating_mul(2).max(REQUEST_BYTES)))
            }
            _ => Some(Most::Whole(REQUEST_BYTES)),
        };
    }
    match path.strip_prefix(GROUPS) {
        Some(
            "Create" | "Update" | "Delete" | "Read" | "GetInfo" | "ReplayParked" | "List"
            | "RestartSubsystem",
        ) => None,
        // What is open to everybody, or not there.
        _ => Some(Most::Whole(REQUEST_BYTES)),
    }
}

/// The answer to a wrong name or password.
pub fn wrong_password() -> Response {
    errors::unauthenticated().into_http::<Body>()
}

/// The answer to a call that needs a user.
pub fn access_denied() -> Response {
    errors::access_denied().into_http::<Body>()
}

/// The answer to a call that is refused for this reason.
pub fn refused(code: Code, sentence: &str) -> Response {
    Status::new(code, sentence).into_http::<Body>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_user_is_taken_from_nobody_else() {
        let taken = |path: &str| taken_from_strangers(path, None);
        for (service, methods) in [
            (STREAMS, &["Read", "Append", "Delete", "Tombstone"][..]),
            (GROUPS, &["Create", "Update", "Delete", "Read", "GetInfo", "ReplayParked", "List"][..]),
        ] {
            for method in methods {
                assert_eq!(taken(&format!("{service}{method}")), None, "{method}");
            }
        }
        for open in ["/event_store.client.gossip.Gossip/Read", "/nope/Nope"] {
            assert_eq!(taken(open), Some(Most::Whole(REQUEST_BYTES)), "{open}");
        }
        let batch = format!("{STREAMS}BatchAppend");
        assert_eq!(taken(&batch), Some(Most::EachMessage(REQUEST_BYTES)));
        let append = format!("{STREAMS}Append");
        assert_eq!(taken_from_strangers(&append, Some(1 << 20)), Some(Most::Whole(2 << 20)));
    }
}
