use crate::event_store_cli::EventStoreCliError;
use audit_seal::key::InvalidKey;
use audit_seal::prove::{FalseProof, NoProof};
use event_store::{EventStoreError, IMPORT_HAS_NOT_ENDED, InvalidConnectionString};
use std::io;
use std::path::PathBuf;
use thiserror::Error;
use tokio::task::JoinError;

/// Why an auditor gets no answer, or one that must not be.
#[derive(Debug, Error)]
pub enum EvidenceError {
    #[error(transparent)]
    History(Box<EventStoreCliError>),
    #[error(transparent)]
    Address(#[from] InvalidConnectionString),
    #[error("{IMPORT_HAS_NOT_ENDED}, then verify it; nothing can be said of half a history")]
    HalfAHistory,
    #[error("the task that checked the history broke down; try again")]
    Checking(#[source] JoinError),
    #[error("`{}` cannot be read", path.display())]
    File {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error(
        "`{given}` is neither a public key nor a file of public keys, one a line, as DATA_DIR/audit-public-key is"
    )]
    Key {
        given: String,
        #[source]
        source: InvalidKey,
    },
    #[error("`{}` holds no seals: give what GET /audit/seals has answered", path.display())]
    Seals {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{findings} findings: this is not the history that was sealed")]
    Altered { findings: usize },
    #[error(
        "no seal of a key that was given is in this history, so nothing is shown: whoever changes events can compute their \
         chains anew"
    )]
    NothingSealed,
    #[error(
        "there is no event {revision} in stream `{stream}` of this history, or it is not one that is sealed"
    )]
    NoSuchEvent { stream: String, revision: u64 },
    #[error("event {revision} of stream `{stream}` is not sealed yet: try again when the next seal is made")]
    NotSealedYet { stream: String, revision: u64 },
    #[error(transparent)]
    NoProof(#[from] NoProof),
    #[error("the proof cannot be written")]
    WriteProof(#[source] serde_json::Error),
    #[error("`{}` is not a proof: give what `emporium audit prove` has written, byte for byte", path.display())]
    NotAProof {
        path: PathBuf,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the proof in `{}` proves nothing", path.display())]
    FalseProof {
        path: PathBuf,
        #[source]
        source: FalseProof,
    },
}

impl From<EventStoreError> for EvidenceError {
    fn from(error: EventStoreError) -> Self {
        EventStoreCliError::from(error).into()
    }
}

impl From<EventStoreCliError> for EvidenceError {
    fn from(error: EventStoreCliError) -> Self {
        Self::History(Box::new(error))
    }
}
