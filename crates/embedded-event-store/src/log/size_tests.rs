//! How long a large log takes to open, and how much memory. Not run unless asked for:
//!
//!     EMBEDDED_EVENT_STORE_TEST_FOLDER=/some/folder cargo test --release -p embedded-event-store --lib -- \
//!         --ignored --nocapture --test-threads 1 log::size_tests
//!
//! It fills the folder with ten million events unless it holds them already (about 2 GB), and opens it twice.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::watch;
use uuid::Uuid;

use super::Log;
use super::record::ProposedEvent;
use super::writer::{Change, Expected, Writer};
use crate::config::Config;

const EVENTS: u64 = 10_000_000;
const STREAMS: u64 = 100_000;
const IN_AN_APPEND: u64 = 20;
const APPENDS_AT_A_TIME: usize = 256;

fn config() -> Config {
    let folder = std::env::var("EMBEDDED_EVENT_STORE_TEST_FOLDER").expect("name a folder for a large log");
    Config::on_any_port(PathBuf::from(folder))
}

fn some_events() -> Change {
    let event = || ProposedEvent {
        id: Uuid::new_v4(),
        event_type: "counted.v1".into(),
        is_json: true,
        metadata: Bytes::new(),
        data: Bytes::from_static(br#"{"sku":"85123A","quantity":6,"price":{"amount":255,"currency":"GBP"}}"#),
    };
    Change::Append((0..IN_AN_APPEND).map(|_| event()).collect())
}

/// Memory of this process, now and at most, in MiB.
fn memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let of = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1024
    };
    format!("{} MiB now, {} MiB at most", of("VmRSS"), of("VmHWM"))
}

#[tokio::test]
#[ignore = "it writes two gigabytes"]
async fn a_filled_log() {
    let config = config();
    let log = Arc::new(Log::open(&config).unwrap());
    let (writer, thread) = Writer::start(Arc::clone(&log), &config, watch::Sender::new(false)).unwrap();
    let begun = Instant::now();
    let mut waiting = FuturesUnordered::new();
    for n in log.head() / IN_AN_APPEND..EVENTS / IN_AN_APPEND {
        let stream = format!("cart-{}", n % STREAMS);
        waiting.push(writer.hand_over(stream, Expected::Any, some_events()).await.unwrap().wait());
        if waiting.len() >= APPENDS_AT_A_TIME {
            waiting.next().await.unwrap().unwrap();
        }
    }
    while let Some(written) = waiting.next().await {
        written.unwrap();
    }
    println!("{} events, filled in {:?}; {}", log.head(), begun.elapsed(), memory());
    writer.stop();
    thread.join().unwrap();
}

#[test]
#[ignore = "it needs the log that the test above fills"]
fn a_filled_log_is_opened_quickly() {
    let config = config();
    let begun = Instant::now();
    let log = Arc::new(Log::open(&config).unwrap());
    let (writer, thread) = Writer::start(Arc::clone(&log), &config, watch::Sender::new(false)).unwrap();
    let took = begun.elapsed();
    println!("{} events, opened in {took:?}; {}", log.head(), memory());
    writer.stop();
    thread.join().unwrap();
    assert!(took < Duration::from_secs(1), "{took:?}");
}
