//! `emporium-bench audit-verify`: how fast a sealed history is verified, from a file and from a store.

use super::error::BenchError;
use super::folder::Folder;
use super::timing::per_second;
use clap::Args;
use embedded_event_store::{Config, EmbeddedEventStore};
use emporium::audit_cli::tamper_evidence::HistoryArgs;
use emporium::audit_cli::tamper_evidence::verify::verified;
use emporium::event_store_cli::write_line;
use event_store::{ExpectedRevision, RawRecord, UnmendedClient};
use futures::{StreamExt, TryStreamExt, stream};
use history::Writer;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

mod history;

/// Appends that are on their way at once while the store is filled. One session keeps their order.
const IN_FLIGHT: usize = 64;
/// The aim: ten million in a minute.
const AIM: f64 = 10_000_000.0 / 60.0;

/// `emporium-bench audit-verify …`
#[derive(Debug, Args)]
pub struct AuditVerifyArgs {
    /// How many events the history has
    #[arg(long, default_value_t = 2_000_000)]
    pub events: u64,
    /// Where the history is made; it is removed in the end
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub folder: PathBuf,
}

/// Measures, and prints the figures as they come.
pub async fn run(args: AuditVerifyArgs) -> Result<(), BenchError> {
    let folder = Folder::make(&args.folder)?;
    let result = measure(&args, folder.path()).await;
    folder.remove();
    result
}

async fn measure(args: &AuditVerifyArgs, folder: &Path) -> Result<(), BenchError> {
    let [plain, packed, data_dir] =
        ["history.ndjson", "history.ndjson.zst", "store"].map(|name| folder.join(name));
    let (path, events) = (plain.clone(), args.events);
    let writing = tokio::task::spawn_blocking(move || write_files(&path, events));
    let failed = |source| BenchError::Folder { path: folder.to_owned(), source };
    let bytes = writing.await.map_err(std::io::Error::other).flatten().map_err(failed)?;
    println!(
        "{} events of shoppers, {:.0} bytes of data and metadata in each, sealed every 10,000; {} cores; load {}",
        args.events,
        bytes as f64 / args.events as f64,
        std::thread::available_parallelism().map_or(1, usize::from),
        super::report::load(),
    );
    let file = |path: &Path| HistoryArgs { file: Some(path.to_owned()), url: None, data_dir: None };
    verify("a file", args.events, &file(&plain)).await?;
    verify("a file packed with zstd", args.events, &file(&packed)).await?;
    let store = EmbeddedEventStore::start(Config::on_any_port(&data_dir)).await?;
    let url = store.connection_string();
    fill(&url, args.events).await?;
    let history = HistoryArgs { file: None, url: Some(url), data_dir: None };
    verify("the embedded event store, running", args.events, &history).await?;
    store.stop().await;
    Ok(())
}

async fn verify(what: &str, events: u64, history: &HistoryArgs) -> Result<(), BenchError> {
    let started = Instant::now();
    let outcome = verified(history, history::key().public().into(), vec![]).await;
    let took = started.elapsed();
    let outcome = outcome.map_err(|error| BenchError::Verify(Box::new(error)))?.outcome;
    if outcome.events != events || outcome.unsealed != 0 || !outcome.findings.is_empty() {
        return Err(BenchError::NotIntact(format!("{outcome:?}")));
    }
    let rate = per_second(events, took);
    println!(
        "{what:<36} {:>6.1} s  {rate:>9.0} events/s  {:>3.0}% of 10 million a minute",
        took.as_secs_f64(),
        100.0 * rate / AIM
    );
    Ok(())
}

/// The history as an exported file, plain and packed; gives its bytes of data and metadata.
fn write_files(plain: &Path, events: u64) -> std::io::Result<u64> {
    let mut bytes = 0;
    let mut file = BufWriter::new(File::create(plain)?);
    let mut packed = zstd::stream::write::Encoder::new(
        BufWriter::new(File::create(plain.with_extension("ndjson.zst"))?),
        zstd::DEFAULT_COMPRESSION_LEVEL,
    )?;
    let mut line = Vec::new();
    for records in Writer::new(events) {
        for record in records {
            bytes += record.event.size() as u64;
            line.clear();
            write_line(&record, &mut line).map_err(std::io::Error::other)?;
            file.write_all(&line)?;
            packed.write_all(&line)?;
        }
    }
    file.flush()?;
    packed.finish()?.flush()?;
    Ok(bytes)
}

async fn fill(url: &str, events: u64) -> Result<(), BenchError> {
    let session = UnmendedClient::connect(url)?.session().await?;
    let appends = stream::iter(Writer::new(events)).map(|records: Vec<RawRecord>| {
        let (stream, first) =
            records.first().map(|record| (record.stream.clone(), record.revision)).unwrap_or_default();
        let expected = first.checked_sub(1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        let events = records.into_iter().map(|record| record.event).collect();
        let session = &session;
        async move { session.append(&stream, expected, events).await }
    });
    appends.buffered(IN_FLIGHT).try_collect::<()>().await?;
    Ok(())
}
