//! A proof as a file: one line of JSON.
//!
//! The event stands in it as `emporium event-store export` writes it, byte for byte.

use super::history::found;
use crate::event_store_cli::{read_line, write_line};
use audit_seal::prove::InclusionProof;
use audit_seal::verify::Found;
use event_store::RawRecord;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

type Malformed = Box<dyn std::error::Error + Send + Sync>;

#[derive(Serialize, Deserialize)]
struct Written {
    event: Box<RawValue>,
    proof: InclusionProof,
}

/// An event, and that it was sealed.
pub struct ProofFile {
    record: RawRecord,
    /// The proof.
    pub proof: InclusionProof,
}

impl ProofFile {
    /// A proof of this event.
    pub fn new(record: RawRecord, proof: InclusionProof) -> Self {
        Self { record, proof }
    }

    /// The event.
    pub fn event(&self) -> Found<'_> {
        found(&self.record)
    }

    /// As it is written.
    pub fn to_line(&self) -> Result<String, Malformed> {
        let mut line = Vec::new();
        write_line(&self.record, &mut line)?;
        let event = RawValue::from_string(String::from_utf8(line)?.trim_end().to_owned())?;
        Ok(serde_json::to_string(&Written { event, proof: self.proof.clone() })?)
    }

    /// As it is read.
    pub fn read(text: &str) -> Result<Self, Malformed> {
        let Written { event, proof } = serde_json::from_str(text)?;
        Ok(Self { record: read_line(event.get().as_bytes())?, proof })
    }
}
