//! Seals the history: follows the log and appends, now and then, a signed root of the tree over everything that was
//! decided so far to the stream `audit-seals`. What that proves is in `docs/audit.md`.
//!
//! Of all processes that have the key one works, the one that holds the lock `audit_sealing`. It knows nothing that is
//! not in the log: a new one goes on from the last seal. Should two think that it is their turn, the expected revision
//! keeps the seals one after the other.
//!
//! On the way it holds each event against the chain of its stream, and tells of those that no shop has written at once.
//! The same goes for what somebody else writes into the service's own streams (`own_streams`), and for the metadata of the
//! streams of facts, such as their deletion.
//! `verification` holds the log against its seals now and then, whatever was changed in between.

mod config;
mod figures;
mod forged;
mod leaves;
mod own_streams;
mod run;
mod runner;
mod standing;
mod verification;

pub use config::{SealingArgs, SealingConfig};
pub use figures::Figures;
pub use runner::{PART, SealingRunner};
pub use verification::{VerificationConfig, VerificationRunner};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;
