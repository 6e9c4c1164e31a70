//! `emporium audit`: what auditors ask of a shop and of its history.

mod reconcile;
pub mod tamper_evidence;

use clap::Subcommand;
use std::error::Error;
use tamper_evidence::{prove, verify, verify_proof};

/// `emporium audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Hold every row, every SKU's units and every order's and day's money against the log
    Reconcile(reconcile::ReconcileArgs),
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
            Self::Reconcile(args) => Ok(args.run().await?),
            Self::Verify(args) => Ok(verify::run(args).await?),
            Self::Prove(args) => Ok(prove::run(args).await?),
            Self::VerifyProof(args) => Ok(verify_proof::run(&args)?),
        }
    }
}
