//! `emporium event-store import`: an exported file's events into any EventStoreDB.
//!
//! The events go in in the file's order, each with the revision that it has. An append says which revision it expects, so
//! nothing is ever put where something else is. First the target's log is read along with the file: as much of the file as
//! is there already, in this order, is passed over, and a target that holds anything else is refused.

use super::EventStoreCliError;
use super::copying::{Copying, Goes};
use super::exported_file::ExportedFile;
use super::progress::Progress;
use super::target::Target;
use super::writer::{Batch, Writer};
use crate::store_password;
use clap::Args;
use event_store::{EventStore, RawRecord, is_of_log_identity};
use futures::TryStreamExt;
use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;

/// `emporium event-store import …`
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The exported file, plain or packed with zstd
    pub file: PathBuf,
    /// The store to append to, for example esdb://127.0.0.1:2113?tls=false
    #[arg(long)]
    pub url: String,
    /// Into a target that holds other streams as well, or what comes before the file; otherwise such a target is refused
    #[arg(long)]
    pub alongside: bool,
    /// The server's own `$` streams too, if the file has them
    #[arg(long)]
    pub system_streams: bool,
}

/// An event of the file, and how it goes into the target.
#[derive(Debug)]
pub struct Line {
    pub record: RawRecord,
    pub goes_alone: bool,
}

/// The events of the file that go into the target.
struct Lines {
    file: ExportedFile,
    copying: Copying,
    left_out: u64,
}

impl Lines {
    fn next(&mut self) -> Result<Option<Line>, EventStoreCliError> {
        while let Some(record) = self.file.next()? {
            match self.copying.next(&record) {
                Goes::LeftOut => self.left_out += 1,
                goes => return Ok(Some(Line { record, goes_alone: goes == Goes::Alone })),
            }
        }
        self.file.must_be_whole()?;
        Ok(None)
    }
}

/// Imports the file and prints what became of its events.
pub async fn run(args: ImportArgs) -> Result<(), EventStoreCliError> {
    let url = store_password::found_for(&args.url);
    let store = EventStore::connect(&url)?;
    let file = ExportedFile::open(&args.file)?;
    let origin = file.origin().clone();
    let mut lines = Lines { file, copying: Copying::new(args.system_streams), left_out: 0 };
    let mut target = Target::new(store.clone());
    let missing = match find_where_to_go_on(&store, &mut lines, &mut target, args.alongside).await {
        Ok(missing) => missing,
        Err(error)
            if target.tally.present > 0 && !matches!(error, EventStoreCliError::SomethingElse { .. }) =>
        {
            return Err(error.with_there(target.tally.present));
        }
        Err(error) => return Err(error),
    };
    let mut progress = Progress::start("importing", lines.file.total());
    let (tally, written) = if missing.lines.is_empty() {
        (target.tally, Ok(()))
    } else {
        // Before any event of the file: nobody takes half a history for a whole one. And what was noted in the other log
        // without an id must not pass for noted in this one.
        store.begin_import(&origin).await?;
        let mut writer = Writer::new(&url, target)?;
        let written = write(missing.lines, &mut lines, &mut writer, &mut progress).await;
        let (tally, settled) = writer.finish().await;
        (tally, written.and(settled))
    };
    let duration = progress.finish();
    written.map_err(|error| error.with_there(tally.imported + tally.present))?;
    store.end_import(&origin, lines.file.events()).await?;
    println!("imported        {} events in {:.1} s", tally.imported, duration.as_secs_f64());
    println!("there already   {} events", tally.present);
    let left_out = tally.left_out + lines.left_out;
    if left_out > 0 {
        println!("left out        {left_out} events of the server's own, for which the target has others");
    }
    if missing.further > 0 {
        let further = missing.further;
        println!("more            the target goes on after this file: {further} more events");
    }
    if !lines.file.says_its_end() {
        println!(
            "unknown         an older program wrote the file, which does not say how many events belong to it"
        );
    }
    Ok(())
}

/// Puts what is missing into the target.
async fn write(
    mut missing: VecDeque<Line>,
    lines: &mut Lines,
    writer: &mut Writer,
    progress: &mut Progress,
) -> Result<(), EventStoreCliError> {
    let mut batch = Batch::default();
    loop {
        let next = match missing.pop_front() {
            Some(line) => Ok(Some(line)),
            None => lines.next(),
        };
        let line = match next {
            Ok(Some(line)) => line,
            Ok(None) => return writer.put(batch).await,
            // What came before it goes in: it is not to be read again.
            Err(error) => return writer.put(batch).await.and(Err(error)),
        };
        if !batch.takes(&line) {
            writer.put(std::mem::take(&mut batch)).await?;
        }
        batch.add(line);
        progress.at(lines.file.done(), writer.done());
    }
}

/// What the target has not, as far as the file was read for that, and what it has after all that is in the file.
struct Missing {
    /// The server's own events that are not waited for, and the event that comes next. None if all of the file is there.
    lines: VecDeque<Line>,
    /// So many events come after those of the file.
    further: u64,
}

/// Reads the target's log, and the file as far as its events are found there in the file's order.
///
/// A server's own streams are not waited for: the target may have its own. What stands before an event that was
/// imported has been imported, or left out. Metadata that the target wrote by itself may come sooner than in the file.
async fn find_where_to_go_on(
    store: &EventStore,
    lines: &mut Lines,
    target: &mut Target,
    alongside: bool,
) -> Result<Missing, EventStoreCliError> {
    let head = store.head().await?.map_or(0, |head| head.value());
    let mut progress = Progress::start("reading the target", head);
    let mut passed = VecDeque::new();
    let mut early: HashMap<(String, u64), RawRecord> = HashMap::new();
    let mut awaited = next_to_wait_for(lines, &mut passed)?;
    let mut events = std::pin::pin!(store.read_log(None));
    let (mut read, mut further) = (0, 0);
    while let Some(there) = events.try_next().await? {
        read += 1;
        progress.at(there.position.value(), read);
        target.stands(&there.stream, there.revision);
        if is_servers_own(&there.stream) || is_of_log_identity(&there.stream) {
            continue;
        }
        if awaited.as_ref().is_some_and(|wanted| is_same(&wanted.record, &there)) {
            target.tally.present += 1 + passed.len() as u64;
            passed.clear();
            awaited = next_to_wait_for(lines, &mut passed)?;
            while let Some(wanted) = &awaited
                && let Some(there) = early.remove(&(wanted.record.stream.clone(), wanted.record.revision))
                && is_same(&wanted.record, &there)
            {
                target.tally.present += 1;
                awaited = next_to_wait_for(lines, &mut passed)?;
            }
        } else if awaited.is_none() {
            further += 1;
        } else if there.stream.starts_with("$$") {
            early.insert((there.stream.clone(), there.revision), there);
        } else if !alongside {
            let (stream, revision) = (there.stream, there.revision);
            return Err(EventStoreCliError::SomethingElse { stream, revision });
        }
    }
    progress.finish();
    Ok(Missing { lines: passed.into_iter().chain(awaited).collect(), further })
}

fn next_to_wait_for(
    lines: &mut Lines,
    passed: &mut VecDeque<Line>,
) -> Result<Option<Line>, EventStoreCliError> {
    while let Some(line) = lines.next()? {
        if !is_servers_own(&line.record.stream) {
            return Ok(Some(line));
        }
        passed.push_back(line);
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
