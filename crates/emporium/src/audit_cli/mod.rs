//! `emporium audit`: what auditors ask of a history.

pub mod tamper_evidence;

use clap::Subcommand;
use std::error::Error;
use tamper_evidence::{prove, verify, verify_proof};

/// `emporium audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Show that a history is the one that was sealed, or name what was changed, dropped, added or moved
    Verify(verify::VerifyArgs),
    /// Write a proof that one event was sealed, for somebody who has nothing but the public key
    Prove(prove::ProveArgs),
    /// Check such a proof
    VerifyProof(verify_proof::VerifyProofArgs),
}

impl AuditCommand {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever keeps it from being done, and what was found that must not be.
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        match self {
            AuditCommand::Verify(args) => Ok(verify::run(args).await?),
            AuditCommand::Prove(args) => Ok(prove::run(args).await?),
            AuditCommand::VerifyProof(args) => Ok(verify_proof::run(&args)?),
        }
    }
}
