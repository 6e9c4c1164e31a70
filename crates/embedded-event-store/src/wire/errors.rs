//! Errors as the protocol says them: a status, and trailers that name the error and its parts.

use tonic::metadata::{Ascii, MetadataMap, MetadataValue};
use tonic::{Code, Status};

use crate::log::writer::{Expected, WriteError};
use crate::service::ReadError;

const EXCEPTION: &str = "exception";

/// The status for a change that was refused.
pub fn write_status(error: WriteError) -> Status {
    let message = error.to_string();
    match error {
        WriteError::WrongExpected { stream, expected, current } => named(
            Code::FailedPrecondition,
            message,
            "wrong-expected-version",
            &[
                ("stream-name", stream),
                ("expected-version", expected_number(expected).to_string()),
                ("actual-version", current.map_or_else(|| "-1".to_owned(), |revision| revision.to_string())),
            ],
        ),
        WriteError::StreamDeleted { stream } => stream_deleted(message, stream),
        WriteError::TooLarge { max, .. } => named(
            Code::InvalidArgument,
            message,
            "maximum-append-size-exceeded",
            &[("maximum-append-size", max.to_string())],
        ),
        WriteError::DiskFull { .. } => Status::resource_exhausted(message),
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
        ReadError::StreamDeleted { stream } => stream_deleted(message, stream),
        ReadError::BeyondEnd { .. } | ReadError::Filter(_) => Status::invalid_argument(message),
        ReadError::Stopping => Status::unavailable(message),
        ReadError::Storage(error) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a read failed");
            Status::internal(message)
        }
    }
}

/// The status for an event without a property that every event has.
pub fn missing_property(required: &[&str]) -> Status {
    let required = required.join(",");
    named(
        Code::InvalidArgument,
        format!("an event lacks one of the metadata properties {required}; set them all"),
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

fn stream_deleted(message: String, stream: String) -> Status {
    named(Code::FailedPrecondition, message, "stream-deleted", &[("stream-name", stream)])
}

fn named(code: Code, message: String, name: &'static str, parts: &[(&'static str, String)]) -> Status {
    let mut trailers = MetadataMap::new();
    trailers.insert(EXCEPTION, MetadataValue::from_static(name));
    for (key, value) in parts {
        // A stream's name may hold what a header cannot; the message still says it.
        if let Ok(value) = MetadataValue::<Ascii>::try_from(value.as_str()) {
            trailers.insert(*key, value);
        }
    }
    Status::with_metadata(code, message, trailers)
}
