//! `emporium audit`: the auditor's questions, one command each.

mod diff;
mod export;
mod history;
mod price;
mod purchase;
mod reconcile;
mod selection;
mod show;
pub mod tamper_evidence;
mod thing;
mod trail;

use clap::{Args, Subcommand};
use shop_client::ShopError;
use shop_client::operator::{OperatorArgs, OperatorError};
use std::error::Error;
use std::io;
use std::path::PathBuf;
use tamper_evidence::{prove, verify, verify_proof};
use thiserror::Error;

/// `emporium audit …`
#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// What a cart, an order, a product or a stock looked like at a moment
    Show(OfShop<show::ShowArgs>),
    /// What happened to it, a line for each event
    History(OfShop<history::HistoryArgs>),
    /// What changed between two moments, and the events that did it
    Diff(OfShop<diff::DiffArgs>),
    /// Who changed a product's price, and which orders were sold at it
    Price(OfShop<price::PriceArgs>),
    /// What a purchase set off, from the shopper's first command to the last shipment
    Purchase(OfShop<purchase::PurchaseArgs>),
    /// The events of a selection
    Trail(OfShop<trail::TrailArgs>),
    /// The events of a selection as a file: NDJSON, CSV or Parquet
    Export(OfShop<export::ExportArgs>),
    /// Hold every row, every SKU's units and every order's and day's money against the log
    Reconcile(OfShop<reconcile::ReconcileArgs>),
    /// Show that a history is the one that was sealed, or name what was changed, dropped, added or moved
    Verify(verify::VerifyArgs),
    /// Write a proof that one event was sealed, for somebody who has nothing but the public key
    Prove(prove::ProveArgs),
    /// Check such a proof
    VerifyProof(verify_proof::VerifyProofArgs),
}

/// A question to a running shop.
#[derive(Debug, Args)]
pub struct OfShop<T: Args> {
    #[command(flatten)]
    question: T,
    #[command(flatten)]
    operator: OperatorArgs,
}

/// What went wrong.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The shop cannot be asked.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// It refuses, or does not answer.
    #[error(transparent)]
    Shop(#[from] ShopError),
    /// The form of an export is not clear.
    #[error("the name of {0} does not say its form: end it in .ndjson, .csv or .parquet, or give --format")]
    Form(PathBuf),
    /// The answer cannot be printed.
    #[error("the answer cannot be printed")]
    Output(#[from] io::Error),
    /// A file cannot be written.
    #[error("{path} cannot be written")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl AuditCommand {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever keeps it from being done, and what was found that must not be.
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        match self.answer().await {
            // Whoever reads it has read enough.
            Err(error) if is_broken_pipe(error.as_ref()) => Ok(()),
            answered => answered,
        }
    }

    async fn answer(self) -> Result<(), Box<dyn Error>> {
        match self {
            Self::Show(of) => Ok(show::run(&of.operator.client().await?, &of.question).await?),
            Self::History(of) => Ok(history::run(&of.operator.client().await?, &of.question).await?),
            Self::Diff(of) => Ok(diff::run(&of.operator.client().await?, &of.question).await?),
            Self::Price(of) => Ok(price::run(&of.operator.client().await?, &of.question).await?),
            Self::Purchase(of) => Ok(purchase::run(&of.operator.client().await?, &of.question).await?),
            Self::Trail(of) => Ok(trail::run(&of.operator.client().await?, &of.question).await?),
            Self::Export(of) => Ok(export::run(&of.operator.client().await?, &of.question).await?),
            Self::Reconcile(of) => Ok(reconcile::run(&of.operator.client().await?, &of.question).await?),
            Self::Verify(args) => Ok(verify::run(args).await?),
            Self::Prove(args) => Ok(prove::run(args).await?),
            Self::VerifyProof(args) => Ok(verify_proof::run(&args)?),
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    matches!(
        error.downcast_ref(),
        Some(AuditError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe
    )
}
