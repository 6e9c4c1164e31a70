//! `emporium-import`: brings the orders of a real retailer into a running shop.
//!
//! Reading (`online_retail`) turns a file into the domain's words, the plan picks what is needed, sending goes
//! through the public HTTP API, and the report says what went in, what was left out and why. `olist` does the same
//! with a marketplace's folder of files, where an order has sellers, freight, payments and parcels with times of
//! their own.

// Before all modules, which print with its macros.
#[macro_use(print)]
extern crate http_boundary;

pub mod command_line;
pub mod history;
pub mod olist;
pub mod online_retail;
mod packed;
mod plan;
mod price;
mod progress;
mod report;
mod send;

pub use plan::Plan;
pub use report::{Report, Tally};
pub use send::SendError;

use clap::Args;
use domain::Currency;
use domain::money::InvalidCurrency;
use progress::Progress;
use shop_client::ShopError;
use shop_client::operator::{OperatorArgs, OperatorError};
use std::path::PathBuf;
use thiserror::Error;
use tokio::task::JoinError;

/// `emporium-import online-retail …`
#[derive(Debug, Args)]
pub struct OnlineRetailArgs {
    /// The file online_retail.csv, plain or packed with zstd
    pub file: PathBuf,
    /// Import only the first N orders
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    #[command(flatten)]
    pub shop: ShopArgs,
}

/// Which shop, as whom, and how fast.
#[derive(Debug, Args)]
pub struct ShopArgs {
    #[command(flatten)]
    pub operator: OperatorArgs,
    /// How many orders are on their way at once
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub concurrency: u16,
}

/// The import could not begin, or not everything went in.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] online_retail::ReadError),
    /// A file of the folder cannot be read.
    #[error(transparent)]
    Folder(#[from] olist::ReadError),
    /// The list of refused orders cannot be written.
    #[error("the list of refused orders cannot be written to {path}")]
    List {
        /// Where to.
        path: PathBuf,
        /// Why.
        #[source]
        source: csv::Error,
    },
    /// There is no token, or the address does not have the form of one.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// Nobody answers.
    #[error(transparent)]
    Shop(#[from] ShopError),
    /// The file's currency.
    #[error(transparent)]
    Currency(#[from] InvalidCurrency),
    /// The reading itself broke down.
    #[error("reading the file broke down: report this with the file")]
    Reading(#[source] JoinError),
    /// Something was refused.
    #[error("not everything was imported: see the report above, mend what it says and import again")]
    Incomplete,
}

/// Imports the file "Online Retail" and prints the report.
///
/// # Errors
/// When nothing could be sent, or not everything went in: the report has said what.
pub async fn run(args: OnlineRetailArgs) -> Result<(), ImportError> {
    let report = import(args).await?;
    print!("{report}");
    if report.is_complete() { Ok(()) } else { Err(ImportError::Incomplete) }
}

/// Imports the file "Online Retail".
///
/// # Errors
/// When nothing could be sent. What the shop refused stands in the report.
pub async fn import(args: OnlineRetailArgs) -> Result<Report, ImportError> {
    let client = args.shop.operator.client().await?;
    client.find().await?;
    let currency: Currency = "GBP".parse()?;
    let file = args.file.clone();
    let reading = tokio::task::spawn_blocking(move || online_retail::read_file(&file, currency));
    let mut history = reading.await.map_err(ImportError::Reading)??;
    let skipped = std::mem::take(&mut history.skipped);
    let plan = Plan::new(&history, args.limit);
    let progress = Progress::start(plan.orders.len(), plan.lines);
    let tally = send::send(&client, &history, &plan, usize::from(args.shop.concurrency), &progress).await;
    Ok(Report {
        file: args.file,
        planned_orders: plan.orders.len() as u64,
        tally,
        skipped,
        duration: progress.finish(),
        currency,
    })
}
