//! `emporium event-store restored`: a log that was restored from a backup is another one from there on.

use super::EventStoreCliError;
use super::source::{Source, SourceArgs};
use clap::Args;

/// `emporium event-store restored …`
#[derive(Debug, Args)]
pub struct RestoredArgs {
    #[command(flatten)]
    pub source: SourceArgs,
}

/// Gives the log a new id and prints it.
pub async fn run(args: RestoredArgs) -> Result<(), EventStoreCliError> {
    let source = Source::open(&args.source).await?;
    let renewed = source.store.renew_log_identity().await;
    source.close().await;
    println!("from here on it is the log {}", renewed?);
    Ok(())
}
