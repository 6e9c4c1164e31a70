//! `emporium event-store`: the event store's own command line. It runs the embedded store alone, looks at one, and takes
//! its history out and into another store.
//!
//! What reads a store reads it through the protocol, so that a running store, a data folder and a cluster are the same
//! to it: a data folder is opened by an embedded store for as long as that takes.

mod copying;
mod error;
mod export;
mod exported_file;
mod frame;
mod grant;
mod import;
mod info;
mod line;
mod progress;
mod restored;
mod serve;
mod source;
mod target;
mod verify;
mod writer;

pub use error::EventStoreCliError;
pub(crate) use exported_file::ExportedFile;
pub use line::write as write_line;
pub(crate) use line::{decoded, encoded};
pub(crate) use progress::Progress;
pub(crate) use source::Source;
pub(crate) use source::SourceArgs;

use clap::Subcommand;

/// `emporium event-store …`
#[derive(Debug, Subcommand)]
pub enum EventStoreCommand {
    /// Run the embedded event store alone, for any EventStoreDB client
    Serve(serve::ServeArgs),
    /// Say what is in a store: events, streams, size, times
    Info(info::InfoArgs),
    /// Read a whole data folder and look for damage
    Verify(verify::VerifyArgs),
    /// Write events to a file, one JSON document a line
    Export(export::ExportArgs),
    /// Let a user read the whole log, as the services have to
    Grant(grant::GrantArgs),
    /// Append an exported file's events to any EventStoreDB; once more changes nothing
    Import(import::ImportArgs),
    /// Say that a log was restored from a backup: what was noted of it after the backup counts no more
    Restored(restored::RestoredArgs),
}

impl EventStoreCommand {
    /// Does what was asked for.
    ///
    /// # Errors
    /// Whatever keeps it from being done.
    pub async fn run(self) -> Result<(), EventStoreCliError> {
        match self {
            EventStoreCommand::Serve(args) => serve::run(args).await,
            EventStoreCommand::Info(args) => info::run(args).await,
            EventStoreCommand::Verify(args) => verify::run(args).await,
            EventStoreCommand::Export(args) => export::run(args).await,
            EventStoreCommand::Grant(args) => grant::run(args).await,
            EventStoreCommand::Import(args) => import::run(args).await,
            EventStoreCommand::Restored(args) => restored::run(args).await,
        }
    }
}
