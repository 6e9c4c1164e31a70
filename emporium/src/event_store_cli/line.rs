//! One event as one line of JSON.
//!
//! Data and metadata that are JSON stand in the line as they are, byte for byte; everything else stands in Base64, under
//! a name of its own. What is JSON but would not come back as it was (white space around it or line breaks within, or a
//! bare `null`) also stands in Base64. Empty parts are left out.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use event_store::{Position, RawEvent, RawRecord};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use thiserror::Error;
use uuid::Uuid;

const JSON: &str = "application/json";
const BYTES: &str = "application/octet-stream";
const TICKS_PER_SECOND: u64 = 10_000_000;

/// Why a line is not an event.
#[derive(Debug, Error)]
pub enum LineError {
    /// Not the JSON that is expected.
    #[error("it has not the fields of an event")]
    Json(#[from] serde_json::Error),
    /// Not Base64.
    #[error("what should be Base64 is not")]
    Base64(#[from] base64::DecodeError),
    /// Another content type.
    #[error("its content type is `{0}`; it can be {JSON} or {BYTES}")]
    ContentType(String),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(borrow)]
    stream: Cow<'a, str>,
    revision: u64,
    position: u64,
    id: Uuid,
    #[serde(rename = "type", borrow)]
    event_type: Cow<'a, str>,
    #[serde(borrow)]
    content_type: Cow<'a, str>,
    /// The target's clock says when it took an event: the time is for people.
    created: String,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_base64: Option<String>,
}

/// Adds the event's line, with its line break.
///
/// # Errors
/// Never for an event of a store; the encoder asks for it.
pub fn write(record: &RawRecord, line: &mut Vec<u8>) -> Result<(), LineError> {
    let event = &record.event;
    let (data, data_base64) = if event.is_json { encoded(&event.data) } else { in_base64(&event.data) };
    let (metadata, metadata_base64) = encoded(&event.metadata);
    let form = Line {
        stream: Cow::Borrowed(&record.stream),
        revision: record.revision,
        position: record.position.value(),
        id: event.id,
        event_type: Cow::Borrowed(&event.event_type),
        content_type: Cow::Borrowed(if event.is_json { JSON } else { BYTES }),
        created: time(record.created_ticks),
        data,
        data_base64,
        metadata,
        metadata_base64,
    };
    serde_json::to_writer(&mut *line, &form)?;
    line.push(b'\n');
    Ok(())
}

/// Reads an event from its line.
///
/// # Errors
/// When the line was not written by [`write`].
pub fn read(line: &[u8]) -> Result<RawRecord, LineError> {
    let form: Line<'_> = serde_json::from_slice(line)?;
    let is_json = match form.content_type.as_ref() {
        JSON => true,
        BYTES => false,
        other => return Err(LineError::ContentType(other.to_owned())),
    };
    Ok(RawRecord {
        revision: form.revision,
        position: Position::new(form.position),
        created_ticks: 0,
        event: RawEvent {
            id: form.id,
            event_type: form.event_type.into_owned(),
            is_json,
            data: decoded(form.data, form.data_base64)?,
            metadata: decoded(form.metadata, form.metadata_base64)?,
        },
        stream: form.stream.into_owned(),
    })
}

/// When the store took an event, to its 100 ns.
pub fn time(ticks: u64) -> String {
    let seconds = i64::try_from(ticks / TICKS_PER_SECOND).ok();
    let time: DateTime<Utc> = seconds.and_then(|s| DateTime::from_timestamp(s, 0)).unwrap_or_default();
    format!("{}.{:07}Z", time.format("%Y-%m-%dT%H:%M:%S"), ticks % TICKS_PER_SECOND)
}

/// Bytes as JSON, if they come back from it byte for byte, or else in Base64; neither if there are none.
pub fn encoded(bytes: &[u8]) -> (Option<&RawValue>, Option<String>) {
    match serde_json::from_slice::<&RawValue>(bytes) {
        Ok(json) if comes_back(json, bytes) => (Some(json), None),
        _ => in_base64(bytes),
    }
}

fn in_base64(bytes: &[u8]) -> (Option<&RawValue>, Option<String>) {
    (None, (!bytes.is_empty()).then(|| BASE64_STANDARD.encode(bytes)))
}

fn comes_back(json: &RawValue, bytes: &[u8]) -> bool {
    json.get().len() == bytes.len()
        && json.get() != "null"
        && !bytes.iter().any(|b| matches!(b, b'\n' | b'\r'))
}

/// The bytes again.
///
/// # Errors
/// When what should be Base64 is not.
pub fn decoded(json: Option<&RawValue>, base64: Option<String>) -> Result<Bytes, LineError> {
    Ok(match (json, base64) {
        (Some(json), _) => Bytes::copy_from_slice(json.get().as_bytes()),
        (None, Some(base64)) => BASE64_STANDARD.decode(base64)?.into(),
        (None, None) => Bytes::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn record(is_json: bool, data: &[u8], metadata: &[u8]) -> RawRecord {
        RawRecord {
            stream: "cart-\"1\"\n".to_owned(),
            revision: 3,
            position: Position::new(9),
            created_ticks: 0,
            event: RawEvent {
                id: Uuid::from_u128(7),
                event_type: "cart.opened.v1".to_owned(),
                is_json,
                data: Bytes::copy_from_slice(data),
                metadata: Bytes::copy_from_slice(metadata),
            },
        }
    }

    #[rstest]
    #[case::json(true, br#"{"b":1,"a":1.00,"a":"\u00e9"}"#, br#"{"$correlationId":"x"}"#)]
    #[case::white_space(true, b" {\n}\n", b"\t1")]
    #[case::null(true, b"null", b"null")]
    #[case::empty(true, b"", b"")]
    #[case::bytes(false, b"\x00\xff", b"\xff")]
    #[case::bytes_that_look_like_json(false, b"{}", b"{}")]
    #[case::marked_as_json_but_is_not(true, b"{", b"")]
    fn an_event_comes_back_byte_for_byte(
        #[case] is_json: bool,
        #[case] data: &[u8],
        #[case] metadata: &[u8],
    ) {
        let record = record(is_json, data, metadata);
        let mut line = Vec::new();
        write(&record, &mut line).unwrap();
        assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        assert_eq!(read(&line).unwrap(), record);
    }

    #[test]
    fn a_time_keeps_its_ticks() {
        assert_eq!(time(16_000_000_000_000_123), "2020-09-13T12:26:40.0000123Z");
    }
}
