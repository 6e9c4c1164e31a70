//! The command line.

use crate::{OnlineRetailArgs, olist};
use clap::{Parser, Subcommand};
use std::error::Error;

/// Send somebody else's orders to a running Emporium, as commands.
#[derive(Parser)]
#[command(name = "emporium-import", version, about)]
pub struct CommandLine {
    #[command(subcommand)]
    source: Source,
}

#[derive(Subcommand)]
enum Source {
    /// The UCI Online Retail file: a year of a giftware retailer's invoices, as CSV or .zst
    OnlineRetail(OnlineRetailArgs),
    /// The Olist files: two years of a Brazilian marketplace, as the folder of the official CSV files or .zst
    Olist(olist::OlistArgs),
}

impl CommandLine {
    /// Imports.
    ///
    /// # Errors
    /// What keeps it from being imported, as a sentence for a person.
    pub async fn run(self) -> Result<(), Box<dyn Error>> {
        match self.source {
            Source::OnlineRetail(args) => Ok(crate::run(args).await?),
            Source::Olist(args) => Ok(olist::run(args).await?),
        }
    }
}
