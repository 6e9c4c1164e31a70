//! Errors as the protocol says them: a status, and trailers that name the error and its parts.

use std::borrow::Cow;

use connection_limits::descriptors;
use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::groups::{GroupError, GroupId};
use crate::log::StorageError;
use crate::log::writer::{Expected, WriteError};
use crate::service::ReadError;

const EXCEPTION: &str = "exception";
const TOO_LONG: &str = "Received message exceeds the maximum configured message size.";

/// The status for a change that was refused.
pub fn write_status(error: WriteError) -> Status {
    let message = error.to_string();
    match error {
        WriteError::WrongExpected { stream, expected, current } => {
            let expected = expected_number(expected).to_string();
            let actual = current.map_or_else(|| "-1".to_owned(), |revision| revision.to_string());
            // Some clients read the message, not the trailers. Appends are refused in another way.
            let message = format!(
                "Delete failed due to WrongExpectedVersion. Stream: {stream}, Expected version: {expected}, Actual \
                 version: {actual}"
            );
            let parts = [("stream-name", stream), ("expected-version", expected), ("actual-version", actual)];
            named(Code::FailedPrecondition, message, "wrong-expected-version", &parts)
        }
        WriteError::StreamDeleted { stream } => stream_deleted(stream),
        WriteError::TooLarge { max, .. } => named(
            Code::InvalidArgument,
            format!("Maximum Append Size of {max} Exceeded."),
            "maximum-append-size-exceeded",
            &[("maximum-append-size", max.to_string())],
        ),
        // Clients that hear `unavailable` take the connection for broken, and cannot be let in again without descriptors.
        WriteError::DiskFull { .. } | WriteError::NoDescriptors => Status::resource_exhausted(message),
        WriteError::Storage(error) if descriptors::is_behind(&error) => Status::resource_exhausted(message),
        WriteError::Stopping => Status::unavailable(message),
        WriteError::Storage(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "an append could not be decided");
            Status::internal(message)
        }
    }
}

/// The status for a read or a subscription that failed.
pub fn read_status(error: ReadError) -> Status {
    let message = error.to_string();
    match error {
        ReadError::StreamDeleted { stream } => stream_deleted(stream),
        ReadError::Denied => access_denied(),
        ReadError::Unprojected { .. } => Status::unimplemented(message),
        ReadError::BeyondEnd { .. } | ReadError::Filter(_) => Status::invalid_argument(message),
        ReadError::Stopping => Status::unavailable(message),
        // It passes.
        ReadError::Storage(StorageError::Closed) => Status::unavailable(message),
        ReadError::Storage(error) if descriptors::is_behind(&error) => {
            descriptors::note_shortage();
            Status::unavailable(message)
        }
        ReadError::Storage(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a read failed");
            Status::internal(message)
        }
    }
}

/// The status for what was refused about a group.
pub fn group_status(error: GroupError) -> Status {
    let message = error.to_string();
    let parts = |source_name, name| [("stream-name", source_name), ("group-name", name)];
    match error {
        GroupError::Missing { source_name, name } => named(
            Code::NotFound,
            message,
            "persistent-subscription-does-not-exist",
            &parts(source_name, name),
        ),
        GroupError::NoneOf { source_name } => named(
            Code::NotFound,
            message,
            "persistent-subscription-does-not-exist",
            &[("stream-name", source_name)],
        ),
        GroupError::Exists { source_name, name } => {
            named(Code::AlreadyExists, message, "persistent-subscription-exists", &parts(source_name, name))
        }
        GroupError::Full { source_name, name } => {
            named(Code::FailedPrecondition, message, "maximum-subscribers-reached", &parts(source_name, name))
        }
        GroupError::Invalid(_) => Status::invalid_argument(message),
        GroupError::Unworkable { source_name, name, reason } => {
            let [stream, group] = parts(source_name, name);
            let parts = [stream, group, ("reason", reason)];
            named(Code::Internal, message, "persistent-subscription-failed", &parts)
        }
        GroupError::Json(error) => {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "persistent subscriptions cannot be stored"
            );
            Status::internal(message)
        }
        GroupError::Stopping => Status::unavailable(message),
        GroupError::Read(error) => read_status(error),
        GroupError::Write(error) => write_status(error),
    }
}

/// The status with which a consumer is dropped.
pub fn dropped(id: &GroupId) -> Status {
    let message = format!("Subscription group {} on stream {} was dropped.", id.name, id.source.name());
    named(Code::Cancelled, message, "persistent-subscription-dropped", &parts_of(id))
}

/// The status with which a consumer's subscription ends when its source cannot be read.
pub fn failed(id: &GroupId) -> Status {
    group_status(GroupError::unworkable(
        id,
        "its source cannot be read; look at the event store's log, then subscribe again",
    ))
}

/// The status for somebody who may not do what they asked for.
pub fn access_denied() -> Status {
    named(Code::PermissionDenied, "Access Denied".to_owned(), "access-denied", &[])
}

/// The status for a wrong name or password.
pub fn unauthenticated() -> Status {
    Status::unauthenticated("Unauthenticated")
}

fn parts_of(id: &GroupId) -> [(&'static str, String); 2] {
    [("stream-name", id.source.name().to_owned()), ("group-name", id.name.clone())]
}

/// The status for an event without one of the properties that every event has.
pub fn missing_property(missing: &str, required: &[&str]) -> Status {
    let required = required.join(",");
    named(
        Code::InvalidArgument,
        format!("Required Metadata Property '{missing}' is missing"),
        "missing-required-metadata-property",
        &[("required-metadata-properties", required)],
    )
}

/// The number by which the protocol's trailers tell an expectation.
fn expected_number(expected: Expected) -> i64 {
    match expected {
        Expected::NoStream => -1,
        Expected::Any => -2,
        Expected::StreamExists => -4,
        Expected::Revision(revision) => i64::try_from(revision).unwrap_or(i64::MAX),
    }
}

/// The status for a request in which one of several parts must be set, and none is. `choice` is the server's name for it.
pub fn nothing_chosen(choice: &str) -> Status {
    Status::invalid_argument(format!("'None' is not a valid EventStore.Client.Streams.{choice}"))
}

/// The status for a request whose messages are too long to be read; any other stays as it is.
pub fn too_long(status: Status) -> Status {
    match status.code() {
        Code::OutOfRange => Status::resource_exhausted(TOO_LONG),
        _ => status,
    }
}

fn stream_deleted(stream: String) -> Status {
    let message = format!("Event stream '{stream}' is deleted.");
    named(Code::FailedPrecondition, message, "stream-deleted", &[("stream-name", stream)])
}

fn named(code: Code, message: String, name: &'static str, parts: &[(&'static str, String)]) -> Status {
    let mut trailers = MetadataMap::new();
    trailers.insert(EXCEPTION, MetadataValue::from_static(name));
    for (key, value) in parts {
        if let Ok(value) = MetadataValue::<Ascii>::try_from(&*sendable(value)) {
            trailers.insert(*key, value);
        }
    }
    Status::with_metadata(code, message, trailers)
}

/// A stream's name may hold what a header cannot. Then its bytes are written as in an address: `%` and two digits.
fn sendable(value: &str) -> Cow<'_, str> {
    let is_plain = |byte: u8| (b' '..=b'~').contains(&byte);
    if value.bytes().all(is_plain) {
        return Cow::Borrowed(value);
    }
    let mut encoded = String::with_capacity(value.len() * 3);
    for byte in value.bytes() {
        match byte {
            b'%' => encoded.push_str("%25"),
            byte if is_plain(byte) => encoded.push(char::from(byte)),
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groups::Source;

    #[test]
    fn a_name_that_no_header_can_hold_is_encoded() {
        let deleted = |name: &str| read_status(ReadError::StreamDeleted { stream: name.into() });
        for (name, sent) in [("a%41 b", "a%41 b"), ("ä%\t", "%C3%A4%25%09")] {
            assert_eq!(trailer(&deleted(name), "stream-name"), sent);
        }
    }

    fn trailer<'a>(status: &'a Status, key: &str) -> &'a str {
        status.metadata().get(key).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }

    #[test]
    fn what_is_refused_about_a_group_has_its_status_and_names_the_group() {
        let id = GroupId { source: Source::Stream("s".into()), name: "g".into() };
        let (source_name, name) = (String::from("s"), String::from("g"));
        let missing = GroupError::Missing { source_name: source_name.clone(), name: name.clone() };
        let exists = GroupError::Exists { source_name: source_name.clone(), name: name.clone() };
        let full = GroupError::Full { source_name, name };
        let unworkable = GroupError::unworkable(&id, "it has no buffer");
        let expected = [
            (group_status(missing), Code::NotFound, "persistent-subscription-does-not-exist"),
            (group_status(exists), Code::AlreadyExists, "persistent-subscription-exists"),
            (group_status(full), Code::FailedPrecondition, "maximum-subscribers-reached"),
            (dropped(&id), Code::Cancelled, "persistent-subscription-dropped"),
            (failed(&id), Code::Internal, "persistent-subscription-failed"),
            (group_status(unworkable), Code::Internal, "persistent-subscription-failed"),
        ];
        for (status, code, exception) in expected {
            assert_eq!((status.code(), trailer(&status, EXCEPTION)), (code, exception));
            assert_eq!((trailer(&status, "stream-name"), trailer(&status, "group-name")), ("s", "g"));
        }
        assert_eq!(group_status(GroupError::Stopping).code(), Code::Unavailable);
    }

    #[test]
    fn what_is_said_about_a_group_is_what_the_protocols_own_server_says() {
        let id = GroupId { source: Source::All, name: "g".into() };
        let (source_name, name) = (|| String::from("s"), || String::from("g"));
        for (status, text) in [
            (
                group_status(GroupError::Missing { source_name: source_name(), name: name() }),
                "Subscription group g on stream s does not exist.",
            ),
            (
                group_status(GroupError::NoneOf { source_name: source_name() }),
                "Subscription group  on stream s does not exist.",
            ),
            (
                group_status(GroupError::Exists { source_name: source_name(), name: name() }),
                "Subscription group g on stream s exists.",
            ),
            (
                group_status(GroupError::Full { source_name: source_name(), name: name() }),
                "Maximum subscriptions reached for subscription group g on stream s.",
            ),
            (
                group_status(GroupError::unworkable(&id, "Consumer strategy x does not exist.")),
                "Subscription group g on stream $all failed: 'Consumer strategy x does not exist.'",
            ),
            (dropped(&id), "Subscription group g on stream $all was dropped."),
        ] {
            assert_eq!(status.message(), text);
        }
        let none = group_status(GroupError::NoneOf { source_name: source_name() });
        assert!(none.metadata().get("group-name").is_none(), "no group is named");
    }

    #[test]
    fn the_message_of_a_full_group_begins_as_clients_expect() {
        let full = GroupError::Full { source_name: "s".into(), name: "g".into() };
        assert!(group_status(full).message().starts_with("Maximum subscriptions reached"));
    }
}
