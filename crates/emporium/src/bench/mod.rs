//! `emporium bench`: how fast it is on this machine, next to what the machine itself can do.

mod event_store;
mod floors;
mod report;
mod timing;

pub use event_store::BenchError;

use clap::Subcommand;

/// `emporium bench …`
#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// Appends, reads and subscriptions through the official client, next to the disk's fsyncs and the loopback
    EventStore(event_store::EventStoreArgs),
}

impl BenchCommand {
    /// Measures, and prints the figures.
    ///
    /// # Errors
    /// When the store cannot be used.
    pub async fn run(self) -> Result<(), BenchError> {
        match self {
            BenchCommand::EventStore(args) => event_store::run(args).await,
        }
    }
}
