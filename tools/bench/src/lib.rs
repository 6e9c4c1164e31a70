//! `emporium-bench`: how fast it is on this machine, next to what the machine itself can do.

// Before all modules, which print with its macros.
#[macro_use(println)]
extern crate http_boundary;

mod attack;
mod audit_verify;
pub mod command_line;
mod dashboard;
mod error;
mod event_store;
mod flash_sale;
mod floors;
mod folder;
mod hot_row;
mod programs;
mod purchases;
mod read_your_writes;
mod rebuild;
mod relayed;
mod report;
mod shop;
mod timing;
mod unary;
mod versions;
mod web;

pub use error::BenchError;

use clap::Subcommand;

/// `emporium-bench …`. Those that start a service of their own start it with --reads-per-second-by-address=0 and
/// --writes-per-second-by-address=0, for all their shoppers come from one address. Those that ask a running shop do so
/// as the operator, who has no limit.
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Appends, reads and subscriptions through the official client, next to the disk's fsyncs and the loopback
    EventStore(event_store::EventStoreArgs),
    /// Verifying a sealed history, from a file and from a store
    AuditVerify(audit_verify::AuditVerifyArgs),
    /// Very many shoppers and few units of one SKU, with a kill -9 in the middle; checked from the event history
    ///
    /// All shoppers come from this machine, and every unit can be held unpaid: the service runs with --unpaid-share=100,
    /// --unpaid-orders-of-address=0, --unpaid-orders-of-customer=0, --max-units-of-a-sku=0 and --scarce-below=0.
    FlashSale(flash_sale::FlashSaleArgs),
    /// What strangers can do to it: attacks of our own on a service that is started for them, while shoppers shop on
    Attack(attack::AttackArgs),
    /// Ordinary purchases of shoppers that shop side by side, and adding to carts
    ///
    /// All shoppers come from this machine: the service runs without limits on unpaid orders, as in `flash-sale`.
    Purchases(purchases::PurchasesArgs),
    /// New versions of all read models over a whole history, next to a plain COPY of the same rows; then once more
    /// while an importer writes and queries read
    Rebuild(rebuild::RebuildArgs),
    /// How long after a command is acknowledged its row can be read
    ReadYourWrites(read_your_writes::ReadYourWritesArgs),
    /// What a dashboard asks of a running shop: a year by day, the best sellers, the funnel; and an order's page
    Dashboard(dashboard::DashboardArgs),
}

impl BenchCommand {
    /// Measures, and prints the figures.
    ///
    /// # Errors
    /// When it cannot be measured, or when a figure that must be zero is not.
    pub async fn run(self) -> Result<(), BenchError> {
        match self {
            BenchCommand::EventStore(args) => event_store::run(args).await,
            BenchCommand::AuditVerify(args) => audit_verify::run(args).await,
            BenchCommand::FlashSale(args) => flash_sale::run(args).await,
            BenchCommand::Attack(args) => attack::run(args).await,
            BenchCommand::Purchases(args) => purchases::run(args).await,
            BenchCommand::Rebuild(args) => rebuild::run(args).await,
            BenchCommand::ReadYourWrites(args) => read_your_writes::run(args).await,
            BenchCommand::Dashboard(args) => dashboard::run(args).await,
        }
    }
}
