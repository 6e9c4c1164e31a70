//! Small parts that many requests share: stream names, event ids, proposed events.

use std::collections::HashMap;

use bytes::Bytes;
use tonic::Status;
use uuid::Uuid;

use super::errors;
use super::messages::{StreamIdentifier, Uuid as WireUuid, uuid::Value};
use crate::log::record::{MAX_EVENT_TYPE_BYTES, MAX_STREAM_NAME_BYTES, ProposedEvent};

const TYPE: &str = "type";
const CONTENT_TYPE: &str = "content-type";

/// The stream's name as text.
pub fn stream_name(identifier: Option<StreamIdentifier>) -> Result<String, Status> {
    let Some(StreamIdentifier { stream_name }) = identifier else {
        return Err(Status::invalid_argument("the request names no stream; set stream_identifier"));
    };
    let name = String::from_utf8(stream_name.into())
        .map_err(|_| Status::invalid_argument("the stream's name is not UTF-8; choose another"))?;
    if name.is_empty() || name.len() > MAX_STREAM_NAME_BYTES {
        return Err(Status::invalid_argument(format!(
            "a stream's name has between 1 and {MAX_STREAM_NAME_BYTES} bytes; this one has {}",
            name.len()
        )));
    }
    Ok(name)
}

/// Refuses what is no stream of its own. The metadata of the whole log can be written: it says who may read the log.
pub fn must_be_writable(name: &str) -> Result<(), Status> {
    if name == "$all" {
        return Err(Status::invalid_argument(format!(
            "{name} is not a stream that can be written to; choose another"
        )));
    }
    Ok(())
}

/// The stream's name for an answer.
pub fn identifier(name: String) -> StreamIdentifier {
    StreamIdentifier { stream_name: Bytes::from(name) }
}

/// An id, in either of its two forms.
pub fn uuid(id: Option<WireUuid>) -> Result<Uuid, Status> {
    match id.and_then(|id| id.value) {
        None => Err(Status::invalid_argument("an id is missing; give every event and every batch one")),
        Some(Value::String(text)) => text
            .parse()
            .map_err(|_| Status::invalid_argument(format!("{text:?} is not a UUID; correct the id"))),
        Some(Value::Structured(two)) => {
            let most = u64::from_be_bytes(two.most_significant_bits.to_be_bytes());
            let least = u64::from_be_bytes(two.least_significant_bits.to_be_bytes());
            Ok(Uuid::from_u64_pair(most, least))
        }
    }
}

/// An event that a client proposes.
pub fn proposed(
    id: Option<WireUuid>,
    mut metadata: HashMap<String, String>,
    custom_metadata: Bytes,
    data: Bytes,
) -> Result<ProposedEvent, Status> {
    let missing = |property| errors::missing_property(property, &[TYPE, CONTENT_TYPE]);
    let event_type = metadata.remove(TYPE).ok_or_else(|| missing(TYPE))?;
    let content_type = metadata.get(CONTENT_TYPE).ok_or_else(|| missing(CONTENT_TYPE))?;
    if event_type.is_empty() || event_type.len() > MAX_EVENT_TYPE_BYTES {
        return Err(Status::invalid_argument(format!(
            "an event type's name has between 1 and {MAX_EVENT_TYPE_BYTES} bytes; this one has {}",
            event_type.len()
        )));
    }
    let is_json = content_type == "application/json";
    Ok(ProposedEvent { id: uuid(id)?, event_type, is_json, metadata: custom_metadata, data })
}
