//! `emporium-bench event-store`.

use super::error::BenchError;
use super::floors;
use super::folder::Folder;
use super::relayed::Relayed;
use super::report::{self, Allowed, Way};
use super::timing::{Laps, Measured, all_at_once, per_second};
use super::unary;
use bytes::Bytes;
use clap::Args;
use emporium::store_password;
use event_store::{AppendError, EventStoreError, ExpectedRevision, RawEvent, Session, UnmendedClient};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use uuid::Uuid;

const EVENT_BYTES: usize = 300;
/// Events of one append while the log is filled for reading.
const FILLED_AT_ONCE: u64 = 500;
const FILLED_STREAMS: u64 = 100;

/// `emporium-bench event-store …`
#[derive(Debug, Args)]
pub struct EventStoreArgs {
    /// A server to measure; without it, an embedded store in this process
    #[arg(long)]
    pub url: Option<String>,
    /// Go to the embedded store through a TCP relay that acknowledges as late as a real server does; first it is said what
    /// a call costs with and without it
    #[arg(long, conflicts_with = "url")]
    pub relay: bool,
    /// Leave Nagle's algorithm on, as the official client does; the service switches it off
    #[arg(long)]
    pub nagle: bool,
    /// How many events are read
    #[arg(long, default_value_t = 300_000)]
    pub events: u64,
    /// How long each figure is measured
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// How many write at once; each has a stream of its own
    #[arg(long, value_delimiter = ',', default_values_t = [1, 16, 64, 256])]
    pub writers: Vec<usize>,
    /// The disk to measure: files are made in a folder here, and removed in the end
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub folder: PathBuf,
}

/// Measures, and prints the figures as they come.
pub async fn run(args: EventStoreArgs) -> Result<(), BenchError> {
    let folder = Folder::make(&args.folder)?;
    let result = measure(&args, folder.path()).await;
    folder.remove();
    result
}

async fn measure(args: &EventStoreArgs, folder: &Path) -> Result<(), BenchError> {
    let own = match &args.url {
        Some(_) => None,
        None => Some(Relayed::start(folder).await?),
    };
    let (url, name) = match (&own, &args.url) {
        (Some(own), _) if args.relay => {
            (own.url(), "the embedded event store, in this process, behind a relay")
        }
        (Some(own), _) => (own.direct_url(), "the embedded event store, in this process"),
        (None, url) => {
            let url = url.as_deref().unwrap_or_default();
            (store_password::found_for(url).into_owned(), url)
        }
    };
    println!(
        "{name}; {} cores, {EVENT_BYTES} bytes of data in an event, {} s for each figure\n",
        std::thread::available_parallelism().map_or(1, usize::from),
        args.seconds
    );
    let span = Duration::from_secs(args.seconds);
    if let Some(own) = own.as_ref().filter(|_| args.relay) {
        unary::compare(own, span).await?;
        println!();
    }
    let client = UnmendedClient::connect(&url)?;
    client.round_trip().await?;
    if !args.nagle {
        client.switch_nagle_off().await?;
    }
    let mut allowed = Vec::new();
    for writers in &args.writers {
        allowed.push(allowed_to(*writers, &client, folder, span).await?);
    }
    println!("\nwhat that allows              a second      p50      p99");
    for (writers, allowed) in args.writers.iter().zip(&allowed) {
        report::print_allowed(*writers, allowed);
    }
    report::print_appends_head();
    for (writers, allowed) in args.writers.iter().zip(&allowed) {
        for way in [Way::Plain, Way::Batch] {
            let measured = appends(&client, way, *writers, span).await?;
            report::print_appends(way, *writers, &measured, allowed);
        }
    }
    reads(&client, args.events, span).await?;
    if let Some(own) = own {
        own.stop().await;
    }
    Ok(())
}

async fn allowed_to(
    writers: usize,
    client: &UnmendedClient,
    folder: &Path,
    span: Duration,
) -> Result<Allowed, BenchError> {
    let bytes = writers * EVENT_BYTES;
    let path = folder.to_owned();
    let fsyncs = tokio::task::spawn_blocking(move || floors::fsyncs(&path, bytes, span)).await;
    let fsyncs = fsyncs
        .map_err(io::Error::other)
        .flatten()
        .map_err(|source| BenchError::Folder { path: folder.to_owned(), source })?;
    report::print_fsyncs(bytes, &fsyncs);
    let by_loopback = floors::round_trips(writers, EVENT_BYTES, span).await.map_err(BenchError::Loopback)?;
    let by_client = all_at_once((0..writers).map(|_| {
        let client = client.clone();
        async move {
            let mut laps = Laps::start(span);
            while let Some(begun) = laps.next() {
                client.round_trip().await?;
                laps.done(begun);
            }
            Ok::<_, EventStoreError>(laps.finish())
        }
    }))
    .await?;
    // Counts of writers are small enough for a float.
    Ok(Allowed { by_disk: fsyncs.rate * writers as f64, by_loopback, by_client })
}

async fn appends(
    client: &UnmendedClient,
    way: Way,
    writers: usize,
    span: Duration,
) -> Result<Measured, BenchError> {
    let session = match way {
        Way::Plain => None,
        Way::Batch => Some(Arc::new(client.session().await?)),
    };
    let measured = all_at_once((0..writers).map(|_| {
        let (client, session) = (client.clone(), session.clone());
        async move { write(&client, session.as_deref(), span).await }
    }))
    .await?;
    Ok(measured)
}

async fn write(
    client: &UnmendedClient,
    session: Option<&Session>,
    span: Duration,
) -> Result<Vec<Duration>, AppendError> {
    let stream = format!("bench-{}", Uuid::new_v4());
    let mut expected = ExpectedRevision::NoStream;
    let mut laps = Laps::start(span);
    while let Some(begun) = laps.next() {
        let events = vec![event()];
        match session {
            Some(session) => session.append(&stream, expected, events).await?,
            None => client.append(&stream, expected, events).await?,
        }
        expected = match expected {
            ExpectedRevision::NoStream => ExpectedRevision::Exact(0),
            ExpectedRevision::Exact(revision) => ExpectedRevision::Exact(revision + 1),
        };
        laps.done(begun);
    }
    Ok(laps.finish())
}

async fn reads(client: &UnmendedClient, events: u64, span: Duration) -> Result<(), BenchError> {
    let (there, _) = client.count_log(events).await?;
    fill(client, events.saturating_sub(there)).await?;
    let loopback = floors::throughput(span).await.map_err(BenchError::Loopback)?;
    println!("\nloopback, one way            {:>9.0} MiB/s", loopback / f64::from(1 << 20));
    let started = Instant::now();
    let (count, bytes) = client.count_log(events).await?;
    let rate = per_second(count, started.elapsed());
    let bytes_of_event = bytes as f64 / count.max(1) as f64;
    report::print_reads("read of $all, client", count, rate, bytes_of_event, loopback);
    let started = Instant::now();
    let count = client.count_subscribed(events).await?;
    let rate = per_second(count, started.elapsed());
    report::print_reads("subscription to $all", count, rate, bytes_of_event, loopback);
    Ok(())
}

/// Adds events, so that there is something to read.
async fn fill(client: &UnmendedClient, mut missing: u64) -> Result<(), BenchError> {
    let session = client.session().await?;
    let name = Uuid::new_v4();
    let mut revisions = vec![ExpectedRevision::NoStream; usize::try_from(FILLED_STREAMS).unwrap_or(1)];
    let streams = revisions.len();
    let mut at = 0;
    while missing > 0 {
        let count = missing.min(FILLED_AT_ONCE);
        let events = (0..count).map(|_| event()).collect();
        session.append(&format!("bench-{name}-{at}"), revisions[at], events).await?;
        let next = match revisions[at] {
            ExpectedRevision::NoStream => 0,
            ExpectedRevision::Exact(last) => last + 1,
        };
        revisions[at] = ExpectedRevision::Exact(next + count - 1);
        at = (at + 1) % streams;
        missing -= count;
    }
    Ok(())
}

fn event() -> RawEvent {
    let mut data = br#"{"filler":""#.to_vec();
    data.resize(EVENT_BYTES - 2, b'x');
    data.extend_from_slice(br#""}"#);
    RawEvent {
        id: Uuid::new_v4(),
        event_type: "bench.appended.v1".to_owned(),
        is_json: true,
        data: Bytes::from(data),
        metadata: Bytes::new(),
    }
}
