//! A proof as a file: one line of JSON.
//!
//! Of the event it holds what is proved and nothing else: neither its position nor the time when the store took it are.

use crate::event_store_cli::{decoded, encoded};
use audit_seal::prove::InclusionProof;
use audit_seal::verify::Found;
use bytes::Bytes;
use event_store::RawRecord;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use uuid::Uuid;

type Malformed = Box<dyn std::error::Error + Send + Sync>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written<'a> {
    #[serde(borrow)]
    event: Event<'a>,
    proof: Cow<'a, InclusionProof>,
}

/// What is JSON stands here byte for byte, as in an exported file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event<'a> {
    stream: Cow<'a, str>,
    revision: u64,
    id: Uuid,
    #[serde(rename = "type")]
    event_type: Cow<'a, str>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata_base64: Option<String>,
}

/// The line of a proof for this event.
///
/// # Errors
/// Never for what was read from a history; the encoder asks for it.
pub fn write(record: &RawRecord, proof: &InclusionProof) -> Result<String, serde_json::Error> {
    let (data, data_base64) = encoded(&record.event.data);
    let (metadata, metadata_base64) = encoded(&record.event.metadata);
    let event = Event {
        stream: Cow::Borrowed(&record.stream),
        revision: record.revision,
        id: record.event.id,
        event_type: Cow::Borrowed(&record.event.event_type),
        data,
        data_base64,
        metadata,
        metadata_base64,
    };
    serde_json::to_string(&Written { event, proof: Cow::Borrowed(proof) })
}

/// An event, and that it was sealed.
pub struct ProofFile {
    stream: String,
    revision: u64,
    id: Uuid,
    event_type: String,
    data: Bytes,
    metadata: Bytes,
    /// The proof.
    pub proof: InclusionProof,
}

impl ProofFile {
    /// Reads what [`write`] has written.
    ///
    /// # Errors
    /// When it is something else.
    pub fn read(text: &str) -> Result<Self, Malformed> {
        let Written { event, proof } = serde_json::from_str(text)?;
        Ok(Self {
            stream: event.stream.into_owned(),
            revision: event.revision,
            id: event.id,
            event_type: event.event_type.into_owned(),
            data: decoded(event.data, event.data_base64)?,
            metadata: decoded(event.metadata, event.metadata_base64)?,
            proof: proof.into_owned(),
        })
    }

    /// The event.
    pub fn event(&self) -> Found<'_> {
        Found {
            stream: &self.stream,
            revision: self.revision,
            position: 0,
            id: self.id,
            event_type: &self.event_type,
            data: &self.data,
            metadata: &self.metadata,
        }
    }
}
