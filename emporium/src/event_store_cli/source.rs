//! Where events are read from: a running store, or a data folder that is opened for this alone.

use super::EventStoreCliError;
use crate::store_password;
use clap::Args;
use embedded_event_store::{Config, EmbeddedEventStore};
use event_store::EventStore;
use std::io;
use std::path::{Path, PathBuf};

/// Which store.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct SourceArgs {
    /// A running store, for example esdb://127.0.0.1:2113?tls=false
    #[arg(long)]
    pub url: Option<String>,
    /// The data folder of an embedded store that is not running
    #[arg(long, value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
}

/// An open source.
pub struct Source {
    /// The way to it.
    pub store: EventStore,
    embedded: Option<EmbeddedEventStore>,
}

impl Source {
    /// Opens it.
    pub async fn open(args: &SourceArgs) -> Result<Self, EventStoreCliError> {
        match (&args.url, &args.data_dir) {
            (Some(url), _) => {
                let store = EventStore::connect(&store_password::found_for(url))?;
                Ok(Self { store, embedded: None })
            }
            (None, folder) => {
                let folder = folder.as_deref().unwrap_or(Path::new("."));
                must_hold_a_store(folder)?;
                // Nobody else is to read or write there meanwhile.
                let user = store_password::user_of_this_process()?;
                let config = Config { users: vec![user.clone()], ..Config::on_any_port(folder) };
                let embedded = EmbeddedEventStore::start(config).await?;
                let url = store_password::with_user(&embedded.connection_string(), &user);
                let store = EventStore::connect(&url)?;
                Ok(Self { store, embedded: Some(embedded) })
            }
        }
    }

    /// Closes the data folder, if it was one.
    pub async fn close(self) {
        drop(self.store);
        if let Some(embedded) = self.embedded {
            embedded.stop().await;
        }
    }
}

/// An embedded store would make a folder that is not there: a slip of the pen would look like an empty store.
pub fn must_hold_a_store(folder: &Path) -> Result<(), EventStoreCliError> {
    let missing = || EventStoreCliError::NoSuchFolder { path: folder.to_owned() };
    match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().map(|_| ()).ok_or_else(missing),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
        Err(source) => Err(EventStoreCliError::Folder { path: folder.to_owned(), source }),
    }
}
