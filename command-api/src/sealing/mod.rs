//! Seals the history: follows the log and appends, now and then, a signed root of the tree over everything that was
//! decided so far to the stream `audit-seals`. What that proves is in `docs/audit.md`.
//!
//! Of all processes that have the key one works, the one that holds the lock `audit_sealing`. It knows nothing that is
//! not in the log: a new one goes on from the last seal. Should two think that it is their turn, the expected revision
//! keeps the seals one after the other.

mod config;
mod figures;
mod leaves;
mod runner;
mod standing;

pub use config::{SealingArgs, SealingConfig};
pub use figures::Figures;
pub use runner::{PART, SealingRunner};

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests;
