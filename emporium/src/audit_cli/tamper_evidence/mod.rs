//! Tamper evidence: that a history is the one that was sealed. What it proves and what it cannot is in `docs/audit.md`.

mod error;
mod history;
mod kept_seals;
mod keys;
mod proof_file;
pub mod prove;
pub mod verify;
pub mod verify_proof;

pub use error::EvidenceError;
pub use history::HistoryArgs;
