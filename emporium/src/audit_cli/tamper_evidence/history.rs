//! Where a history is read from, and the walk through it.
//!
//! One task reads and unpacks while another computes: on two cores neither waits for the other.

use super::EvidenceError;
use crate::event_store_cli::{EventStoreCliError, ExportedFile, Progress, Source, SourceArgs};
use clap::Args;
use event_store::{EventStore, Position, RawRecord};
use futures::TryStreamExt;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::pin::pin;
use tokio::sync::mpsc::{Receiver, Sender, channel};

/// Events that go from the reader to the checker at once.
const CHUNK: usize = 512;
/// Chunks that wait between them.
const AHEAD: usize = 16;

/// Which history.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct HistoryArgs {
    /// A file that `emporium event-store export` has written, of the whole log
    pub file: Option<PathBuf>,
    /// A running event store, for example esdb://127.0.0.1:2113?tls=false
    #[arg(long)]
    pub url: Option<String>,
    /// The data folder of an embedded event store that is not running
    #[arg(long, value_name = "PATH")]
    pub data_dir: Option<PathBuf>,
}

/// What came of a walk.
pub struct Walked<S> {
    pub state: S,
    /// Why the file is not whole, by what it says of itself. What was dropped from it is another question.
    pub not_whole: Option<EventStoreCliError>,
}

/// Walks through the whole history, in the order of the log, until the visitor has seen enough.
pub async fn walk<S: Send + 'static>(
    args: &HistoryArgs,
    verb: &'static str,
    mut state: S,
    visit: fn(&mut S, RawRecord) -> ControlFlow<()>,
) -> Result<Walked<S>, EvidenceError> {
    let mut not_whole = None;
    let (sender, receiver) = channel(AHEAD);
    let checking = tokio::task::spawn_blocking(move || {
        let _ = visit_all(receiver, |record| visit(&mut state, record));
        state
    });
    match &args.file {
        Some(file) => {
            let file = file.clone();
            let reading = tokio::task::spawn_blocking(move || read_file(&file, verb, &sender));
            not_whole = reading.await.map_err(EventStoreCliError::Reading)??;
        }
        None => {
            let source = SourceArgs { url: args.url.clone(), data_dir: args.data_dir.clone() };
            let source = Source::open(&source).await?;
            let read = read_store(&source.store, verb, sender).await;
            source.close().await;
            read?;
        }
    }
    let state = checking.await.map_err(EvidenceError::Checking)?;
    Ok(Walked { state, not_whole })
}

fn visit_all(
    mut receiver: Receiver<Vec<RawRecord>>,
    mut visit: impl FnMut(RawRecord) -> ControlFlow<()>,
) -> ControlFlow<()> {
    while let Some(chunk) = receiver.blocking_recv() {
        chunk.into_iter().try_for_each(&mut visit)?;
    }
    ControlFlow::Continue(())
}

/// Gives why the file is not whole, if it was read to its end and is not.
fn read_file(
    path: &Path,
    verb: &'static str,
    sender: &Sender<Vec<RawRecord>>,
) -> Result<Option<EventStoreCliError>, EvidenceError> {
    let mut file = ExportedFile::open(path)?;
    let mut progress = Progress::start(verb, file.total());
    let mut events = 0;
    let mut chunk = Vec::with_capacity(CHUNK);
    while let Some(record) = file.next()? {
        chunk.push(record);
        if chunk.len() == CHUNK {
            events += CHUNK as u64;
            progress.at(file.done(), events);
            // Nobody wants more.
            if sender.blocking_send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK))).is_err() {
                return Ok(None);
            }
        }
    }
    let _ = sender.blocking_send(chunk);
    progress.finish();
    Ok(file.must_be_whole().err())
}

/// Reads up to what is the end of the log now.
async fn read_store(
    store: &EventStore,
    verb: &'static str,
    sender: Sender<Vec<RawRecord>>,
) -> Result<(), EvidenceError> {
    let identity = store.read_log_identity().await?;
    if identity.is_some_and(|identity| identity.imports().is_one_under_way()) {
        return Err(EvidenceError::HalfAHistory);
    }
    let head = store.head().await?.unwrap_or(Position::new(0));
    let mut progress = Progress::start(verb, head.value());
    let mut events = 0;
    let mut chunk = Vec::with_capacity(CHUNK);
    let mut records = pin!(store.read_log(None));
    while let Some(record) = records.try_next().await? {
        let position = record.position;
        if position > head {
            break;
        }
        chunk.push(record);
        if chunk.len() == CHUNK {
            events += CHUNK as u64;
            progress.at(position.value(), events);
            if sender.send(std::mem::replace(&mut chunk, Vec::with_capacity(CHUNK))).await.is_err() {
                break;
            }
        }
    }
    let _ = sender.send(chunk).await;
    progress.finish();
    Ok(())
}

impl std::fmt::Display for HistoryArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (&self.file, &self.data_dir) {
            (Some(path), _) | (None, Some(path)) => path.display().fmt(f),
            // An address may hold a password.
            (None, None) => f.write_str("the running event store"),
        }
    }
}
