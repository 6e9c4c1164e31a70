//! `emporium event-store import`: an exported file's events into any EventStoreDB.
//!
//! The events go in one after the other, in the file's order, each with the revision that it has. An append says which
//! revision it expects, so nothing is ever put where something else is. First the target's log is read along with the
//! file: as much of the file as is there already, in this order, is passed over.

use super::EventStoreCliError;
use super::exported_file::ExportedFile;
use super::progress::Progress;
use super::target::Target;
use crate::store_password;
use clap::Args;
use event_store::{EventStore, RawEvent, RawRecord};
use futures::TryStreamExt;
use std::collections::VecDeque;
use std::path::PathBuf;

/// Far enough below the 1 MiB that a server takes in one append, and not too much to be read again.
const BATCH_BYTES: usize = 512 * 1024;
const BATCH_EVENTS: usize = 500;

/// `emporium event-store import …`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The exported file, plain or packed with zstd
    pub file: PathBuf,
    /// The store to append to, for example esdb://127.0.0.1:2113?tls=false
    #[arg(long)]
    pub url: String,
}

/// Imports the file and prints what became of its events.
pub async fn run(args: ImportArgs) -> Result<(), EventStoreCliError> {
    let store = EventStore::connect(&store_password::found_for(&args.url))?;
    let mut lines = ExportedFile::open(&args.file)?;
    let mut target = Target::new(store.clone());
    let mut pending = find_where_to_go_on(&store, &mut lines, &mut target).await?;
    let mut progress = Progress::start("importing", lines.total());
    let mut batch = Batch::default();
    while let Some(record) = next(&mut pending, &mut lines)? {
        if !batch.takes(&record) {
            target.put(std::mem::take(&mut batch)).await?;
        }
        batch.add(record);
        progress.at(lines.done(), target.tally.imported + target.tally.present);
    }
    target.put(batch).await?;
    let duration = progress.finish();
    println!("imported        {} events in {:.1} s", target.tally.imported, duration.as_secs_f64());
    println!("there already   {} events", target.tally.present);
    if target.tally.left_out > 0 {
        println!(
            "left out        {} events of the server's own streams: the target has its own",
            target.tally.left_out
        );
    }
    Ok(())
}

fn next(
    pending: &mut VecDeque<RawRecord>,
    lines: &mut ExportedFile,
) -> Result<Option<RawRecord>, EventStoreCliError> {
    match pending.pop_front() {
        Some(record) => Ok(Some(record)),
        None => lines.next(),
    }
}

/// Reads the target's whole log, and the file as far as its events are found there in the file's order. Gives the
/// records that were read from the file and are not known to be there.
///
/// A server's own streams are not waited for: the target may have its own. What stands before an event that was
/// imported has been imported, or left out.
async fn find_where_to_go_on(
    store: &EventStore,
    lines: &mut ExportedFile,
    target: &mut Target,
) -> Result<VecDeque<RawRecord>, EventStoreCliError> {
    let head = store.head().await?.map_or(0, |head| head.value());
    let mut progress = Progress::start("reading the target", head);
    let mut pending = VecDeque::new();
    let mut awaited = None;
    let mut events = std::pin::pin!(store.read_log(None));
    let mut read = 0;
    while let Some(there) = events.try_next().await? {
        read += 1;
        progress.at(there.position.value(), read);
        target.stands(&there.stream, there.revision);
        if awaited.is_none() {
            awaited = next_to_wait_for(lines, &mut pending)?;
        }
        if awaited.as_ref().is_some_and(|wanted| is_same(wanted, &there)) {
            target.tally.present += 1 + pending.len() as u64;
            pending.clear();
            awaited = None;
        }
    }
    progress.finish();
    pending.extend(awaited);
    Ok(pending)
}

fn next_to_wait_for(
    lines: &mut ExportedFile,
    passed: &mut VecDeque<RawRecord>,
) -> Result<Option<RawRecord>, EventStoreCliError> {
    while let Some(record) = lines.next()? {
        if !is_servers_own(&record.stream) {
            return Ok(Some(record));
        }
        passed.push_back(record);
    }
    Ok(None)
}

/// Whether a server writes the stream for itself: statistics, users, projections, and their metadata.
pub fn is_servers_own(stream: &str) -> bool {
    stream.starts_with('$') && (!stream.starts_with("$$") || stream.starts_with("$$$"))
}

/// Whether the target has this event of the file. A server gives ids of its own to tombstones, and to the metadata that
/// it writes when a deleted stream goes on.
pub fn is_same(wanted: &RawRecord, there: &RawRecord) -> bool {
    if wanted.stream != there.stream || wanted.revision != there.revision {
        return false;
    }
    let metadata = |record: &RawRecord| serde_json::from_slice::<serde_json::Value>(&record.event.data).ok();
    wanted.event.id == there.event.id
        || (wanted.is_tombstone() && there.is_tombstone())
        || (wanted.stream.starts_with("$$")
            && wanted.event.event_type == there.event.event_type
            && metadata(wanted) == metadata(there))
}

/// Events of one stream, one after the other, for one append.
#[derive(Debug, Default)]
pub struct Batch {
    /// The events, with their revisions in a row.
    pub records: VecDeque<RawRecord>,
    bytes: usize,
}

impl Batch {
    fn takes(&self, record: &RawRecord) -> bool {
        let Some(last) = self.records.back() else { return true };
        last.stream == record.stream
            && last.revision.checked_add(1) == Some(record.revision)
            && !record.is_tombstone()
            && self.records.len() < BATCH_EVENTS
            && self.bytes + size(&record.event) <= BATCH_BYTES
    }

    fn add(&mut self, record: RawRecord) {
        self.bytes += size(&record.event);
        self.records.push_back(record);
    }
}

fn size(event: &RawEvent) -> usize {
    event.size() + event.event_type.len()
}
