//! `emporium event-store info`: what is in a store.

use super::EventStoreCliError;
use super::line::time;
use super::progress::Progress;
use super::source::{Source, SourceArgs};
use clap::Args;
use event_store::{EventStore, IMPORT_HAS_NOT_ENDED};
use futures::TryStreamExt;
use std::collections::HashSet;
use std::path::Path;
use std::{fs, io};

/// `emporium event-store info …`
#[derive(Debug, Args)]
pub struct InfoArgs {
    #[command(flatten)]
    pub source: SourceArgs,
}

#[derive(Debug, Default)]
struct Contents {
    events: u64,
    streams: HashSet<String>,
    head: u64,
    bytes: u64,
    oldest: Option<u64>,
    newest: u64,
}

/// Reads the log once, because no store tells these figures, and prints them.
pub async fn run(args: InfoArgs) -> Result<(), EventStoreCliError> {
    let source = Source::open(&args.source).await?;
    let (contents, identity) = (read(&source.store).await, source.store.read_log_identity().await);
    source.close().await;
    let contents = contents?;
    if let Some(identity) = identity? {
        println!("log        {}", identity.id());
        if identity.imports().is_one_under_way() {
            println!("import     {IMPORT_HAS_NOT_ENDED}");
        }
    }
    println!("events     {}, with the server's own and the log's about itself", contents.events);
    println!("streams    {}", contents.streams.len());
    println!("head       {}", contents.head);
    println!("contents   {} bytes of data and metadata", contents.bytes);
    if let Some(folder) = &args.source.data_dir {
        let failed = |source| EventStoreCliError::Folder { path: folder.clone(), source };
        println!("on disk    {} bytes", size(folder).map_err(failed)?);
    }
    if let Some(oldest) = contents.oldest {
        println!("oldest     {}", time(oldest));
        println!("newest     {}", time(contents.newest));
    }
    Ok(())
}

async fn read(store: &EventStore) -> Result<Contents, EventStoreCliError> {
    let mut contents = Contents::default();
    let head = store.head().await?.map_or(0, |head| head.value());
    let mut progress = Progress::start("reading", head);
    let mut events = std::pin::pin!(store.read_log(None));
    while let Some(record) = events.try_next().await? {
        contents.events += 1;
        contents.head = record.position.value();
        contents.bytes += record.event.size() as u64;
        contents.oldest.get_or_insert(record.created_ticks);
        contents.newest = record.created_ticks;
        progress.at(contents.head, contents.events);
        if !contents.streams.contains(&record.stream) {
            contents.streams.insert(record.stream);
        }
    }
    progress.finish();
    Ok(contents)
}

fn size(path: &Path) -> io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
