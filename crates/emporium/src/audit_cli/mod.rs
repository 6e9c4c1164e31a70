//! `emporium audit`: what an auditor asks of a shop.

mod reconcile;

use clap::Subcommand;
use std::error::Error;

/// `emporium audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Hold every row, every SKU's units and every order's and day's money against the log
    Reconcile(reconcile::ReconcileArgs),
}

impl AuditCommand {
    /// Does what was asked for.
    ///
    /// # Errors
    /// When the shop refuses or does not answer, and when something is not as it should be.
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Reconcile(args) => Ok(args.run().await?),
        }
    }
}
