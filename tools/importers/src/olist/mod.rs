//! Brings the orders of the Olist marketplace into a running shop: sellers, products and their changing prices, freight,
//! payments, parcels and cancellations, each at its own time.
//!
//! Reading (`files`) joins the folder's files; `draft` says one order in the domain's words and tries it against the
//! domain's own rules (`rehearsal`), so that an order goes in whole or not at all; `plan` puts the orders of a SKU
//! and its prices into sequence; `send` sends; the report proves that the figures of the files are those of the
//! imported and of the refused orders together.

mod draft;
mod files;
mod plan;
mod refusal;
mod rehearsal;
mod report;
mod send;
mod table;
mod totals;
mod turns;

pub use draft::Times;
pub use files::{Elsewhere, Files, ItemRow, OrderRow, PaymentRow, Unreadable};
pub use plan::{Plan, PlannedLine, PlannedOrder, PlannedParcel, PlannedPayment, PlannedProduct};
pub use refusal::{Refusal, RefusedOrder};
pub use report::Report;
pub use send::Sent;
pub use table::ReadError;
pub use totals::Totals;

use super::progress::Progress;
use super::{ImportError, ShopArgs};
use clap::Args;
use std::path::{Path, PathBuf};

/// How this importer's ids, keys and references begin.
const SOURCE: &str = "olist";
/// The files have no country, for there is only one.
const COUNTRY: &str = "BR";
/// Nor a currency.
const CURRENCY: &str = "BRL";

/// `emporium-import olist …`
#[derive(Debug, Args)]
pub struct OlistArgs {
    /// The folder with the official files olist_….csv, plain or packed with zstd
    pub folder: PathBuf,
    /// Import only the first N orders of the files, by the time of purchase
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Write every order that the rules refuse to this CSV file, with its reason and amounts
    #[arg(long, value_name = "PATH")]
    pub refused: Option<PathBuf>,
    #[command(flatten)]
    pub shop: ShopArgs,
}

/// Imports the folder and prints the report.
///
/// # Errors
/// When nothing could be sent, or not everything that the rules take went in: the report has said what.
pub async fn run(args: OlistArgs) -> Result<(), ImportError> {
    let report = import(args).await?;
    print!("{report}");
    if report.is_complete() { Ok(()) } else { Err(ImportError::Incomplete) }
}

/// Imports the folder.
///
/// # Errors
/// When nothing could be sent. What the rules or the shop refused stands in the report.
pub async fn import(args: OlistArgs) -> Result<Report, ImportError> {
    let client = args.shop.operator.client().await?;
    client.find().await?;
    let (folder, limit) = (args.folder.clone(), args.limit);
    let reading = tokio::task::spawn_blocking(move || {
        let files = Files::read(&folder)?;
        Ok::<_, ReadError>((Plan::new(&files, limit), files.elsewhere))
    });
    let (plan, elsewhere) = reading.await.map_err(ImportError::Reading)??;
    if let Some(path) = &args.refused {
        write_refused(path, &plan.refused)
            .map_err(|source| ImportError::List { path: path.clone(), source })?;
    }
    let lines = plan.orders.iter().map(|order| order.lines.len() as u64).sum();
    let progress = Progress::start(plan.orders.len(), lines);
    let sent = send::send(&client, &plan, usize::from(args.shop.concurrency), &progress).await;
    Ok(Report { folder: args.folder, plan, sent, elsewhere, duration: progress.finish() })
}

/// One line for each refused order.
fn write_refused(path: &Path, refused: &[RefusedOrder]) -> Result<(), csv::Error> {
    let mut file = csv::Writer::from_path(path)?;
    file.write_record(["order_id", "reason", "detail", "items", "price", "freight_value", "payment_value"])?;
    for order in refused {
        let totals = &order.totals;
        let money = |amount: i128| super::report::decimal(amount).replace(',', "");
        file.write_record([
            order.id.as_str(),
            order.refusal.heading(),
            &order.refusal.to_string(),
            &totals.items.to_string(),
            &money(totals.goods),
            &money(totals.freight),
            &money(totals.paid().1),
        ])?;
    }
    file.flush()?;
    Ok(())
}
