//! `emporium event-store` as a process: a history goes out and into another store, and damage is found.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod copying;
mod importing;
mod serving;
#[path = "../store_process/mod.rs"]
mod store_process;
#[path = "../unread/mod.rs"]
mod unread;

use bytes::Bytes;
use copying::fill;
use event_store::{EventStore, ExpectedRevision, RawEvent};
use rstest::rstest;
use serde_json::json;
use std::fs;
use std::path::Path;
use store_process::{StoreProcess, emporium, text};
use unread::ends_quietly;
use uuid::Uuid;

fn event(event_type: &str, is_json: bool, data: &[u8], metadata: &[u8]) -> RawEvent {
    RawEvent {
        id: Uuid::new_v4(),
        event_type: event_type.to_owned(),
        is_json,
        data: Bytes::copy_from_slice(data),
        metadata: Bytes::copy_from_slice(metadata),
    }
}

fn numbered(n: u64) -> RawEvent {
    event("numbered.v1", true, json!({ "n": n }).to_string().as_bytes(), b"")
}

async fn append(store: &EventStore, stream: &str, first: u64, events: Vec<RawEvent>) {
    let expected = match first.checked_sub(1) {
        None => ExpectedRevision::NoStream,
        Some(last) => ExpectedRevision::Exact(last),
    };
    store.append_raw(stream, expected, events).await.unwrap();
}

#[rstest]
#[case::of_a_store(&["event-store", "info", "--data-dir"])]
#[case::of_its_soundness(&["event-store", "verify", "--data-dir"])]
#[case::of_its_events(&["event-store", "export", "--data-dir"])]
#[tokio::test]
async fn a_report_whose_reader_goes_ends_quietly(#[case] command: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreProcess::start(folder.path()).await;
    fill(&store.client()).await;
    store.terminate().await;
    ends_quietly(emporium().args(command).arg(folder.path()));
}

#[tokio::test]
async fn a_flipped_bit_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let store = StoreProcess::start(&data).await;
    append(&store.client(), "s", 0, vec![event("marked", false, b"find-this-text", b"")]).await;
    append(&store.client(), "s", 1, (0..10).map(numbered).collect()).await;
    store.terminate().await;
    let verify = || emporium().args(["event-store", "verify", "--data-dir"]).arg(&data).output().unwrap();
    let sound = text(verify());
    assert!(sound.contains("sound") && sound.contains("events    11"), "{sound}");

    assert!(flip_a_bit(&data, b"find-this-text"), "the data is somewhere in the folder");
    let damaged = verify();
    assert!(!damaged.status.success());
    let said = String::from_utf8_lossy(&damaged.stderr).into_owned();
    assert!(said.contains("is damaged: restore it from a copy"), "{said}");

    let mut elsewhere = emporium();
    let elsewhere =
        elsewhere.args(["event-store", "verify", "--data-dir", "no-such-folder"]).output().unwrap();
    assert!(String::from_utf8_lossy(&elsewhere.stderr).contains("there is no event store"));
    assert!(!Path::new("no-such-folder").exists());
}

fn flip_a_bit(folder: &Path, of: &[u8]) -> bool {
    let mut flipped = false;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            flipped |= flip_a_bit(&path, of);
            continue;
        }
        let mut bytes = fs::read(&path).unwrap();
        if let Some(at) = bytes.windows(of.len()).position(|window| window == of) {
            bytes[at] ^= 1;
            fs::write(&path, bytes).unwrap();
            flipped = true;
        }
    }
    flipped
}
