//! `emporium event-store verify`: looks for damage in a data folder.

use super::EventStoreCliError;
use super::progress::Progress;
use super::source::must_hold_a_store;
use clap::Args;
use embedded_event_store::{Config, OpenError, VerifyError, verify};
use std::path::PathBuf;

/// `emporium event-store verify …`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The data folder of an embedded store that is not running
    #[arg(long, value_name = "PATH", default_value = ".data/event-store")]
    pub data_dir: PathBuf,
}

/// Reads it all, and prints what it holds or where it is damaged.
pub async fn run(args: VerifyArgs) -> Result<(), EventStoreCliError> {
    must_hold_a_store(&args.data_dir)?;
    let config = Config::on_any_port(&args.data_dir);
    let reading = tokio::task::spawn_blocking(move || {
        let mut progress = None;
        let verified = verify(&config, |done, total| {
            progress.get_or_insert_with(|| Progress::start("verifying", total)).at(done, done);
        });
        let duration = progress.map(Progress::finish).unwrap_or_default();
        verified.map(|verified| (verified, duration))
    });
    let (verified, duration) =
        reading.await.map_err(EventStoreCliError::Reading)?.map_err(|source| match source {
            VerifyError::Open(source @ OpenError::Locked { .. }) => EventStoreCliError::InUse(source),
            source => EventStoreCliError::Damaged { path: args.data_dir.clone(), source },
        })?;
    println!("sound: {}", args.data_dir.display());
    println!("events    {}", verified.events);
    println!("streams   {}", verified.streams);
    println!("head      {}", verified.head);
    println!("records   {} bytes", verified.bytes);
    println!("took      {:.1} s", duration.as_secs_f64());
    Ok(())
}
