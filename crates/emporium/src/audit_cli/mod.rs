//! `emporium audit`: the auditor's questions to a running shop, one command each.

mod diff;
mod export;
mod history;
mod price;
mod purchase;
mod selection;
mod show;
mod thing;
mod trail;

use crate::operator::{OperatorArgs, OperatorError};
use crate::shop_client::ShopError;
use clap::{Args, Subcommand};
use std::io;
use std::path::PathBuf;
use thiserror::Error;

/// `emporium audit …`
#[derive(Debug, Args)]
pub struct AuditCommand {
    #[command(flatten)]
    operator: OperatorArgs,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// What a cart, an order, a product or a stock looked like at a moment
    Show(show::ShowArgs),
    /// What happened to it, a line for each event
    History(history::HistoryArgs),
    /// What changed between two moments, and the events that did it
    Diff(diff::DiffArgs),
    /// Who changed a product's price, and which orders were sold at it
    Price(price::PriceArgs),
    /// What a purchase set off, from the shopper's first command to the last shipment
    Purchase(purchase::PurchaseArgs),
    /// The events of a selection
    Trail(trail::TrailArgs),
    /// The events of a selection as a file: NDJSON, CSV or Parquet
    Export(export::ExportArgs),
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
    /// Asks what was asked.
    ///
    /// # Errors
    /// When the shop refuses or does not answer, and when a file cannot be written.
    pub async fn run(self) -> Result<(), AuditError> {
        let shop = self.operator.client().await?;
        let asked = match self.what {
            What::Show(args) => show::run(&shop, &args).await,
            What::History(args) => history::run(&shop, &args).await,
            What::Diff(args) => diff::run(&shop, &args).await,
            What::Price(args) => price::run(&shop, &args).await,
            What::Purchase(args) => purchase::run(&shop, &args).await,
            What::Trail(args) => trail::run(&shop, &args).await,
            What::Export(args) => export::run(&shop, &args).await,
        };
        match asked {
            // Whoever reads it has read enough.
            Err(AuditError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            asked => asked,
        }
    }
}
