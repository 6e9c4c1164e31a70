//! Damage that no start would notice is found by reading everything, and its place is told.

use std::error::Error;

use embedded_event_store::{Config, IndexDamage, Verified, VerifyError, verify};
use fjall::{Database, Keyspace, KeyspaceCreateOptions};
use tempfile::TempDir;

use crate::support::{append, events, soon, start};

/// A closed folder with more events than a start looks at: stream `s` at the positions 1 to 1500, `t` at 1501 to 3000.
async fn closed_folder() -> TempDir {
    let running = start().await;
    for stream in ["s", "t"] {
        for _ in 0..3 {
            append(&running.client, stream, events(500)).await;
        }
    }
    soon(running.store.stop()).await;
    running.folder
}

fn change(folder: &TempDir, keyspace: &str, change: impl FnOnce(&Keyspace)) {
    let database = Database::builder(folder.path().join("log")).open().unwrap();
    change(&database.keyspace(keyspace, KeyspaceCreateOptions::default).unwrap());
}

fn verified(folder: &TempDir) -> Result<Verified, VerifyError> {
    verify(&Config::on_any_port(folder.path()), |_, _| ())
}

fn entry(stream: u64, revision: u64) -> [u8; 16] {
    (u128::from(stream) << 64 | u128::from(revision)).to_be_bytes()
}

#[tokio::test]
async fn a_sound_folder_is_counted() {
    let folder = closed_folder().await;
    let mut heard = Vec::new();
    let found = verify(&Config::on_any_port(folder.path()), |done, total| heard.push((done, total))).unwrap();
    assert_eq!((found.events, found.streams, found.head), (3000, 2, 3000));
    assert!(found.bytes > 0);
    assert_eq!(heard.last(), Some(&(3000, 3000)));
}

#[tokio::test]
async fn a_damaged_old_record_is_found() {
    let folder = closed_folder().await;
    change(&folder, "log", |records| {
        let mut record = records.get(200_u64.to_be_bytes()).unwrap().unwrap().to_vec();
        record[50] ^= 1;
        records.insert(200_u64.to_be_bytes(), record).unwrap();
    });
    let damage = verified(&folder).unwrap_err();
    let source = damage.source().expect("what is damaged").to_string();
    assert!(matches!(damage, VerifyError::Storage { .. }), "{damage}");
    assert!(source.contains("position 200 is damaged"), "{source}");
}

#[tokio::test]
async fn an_index_that_leads_elsewhere_is_found() {
    let folder = closed_folder().await;
    change(&folder, "positions", |entries| entries.insert(entry(1501, 7), 9_u64.to_be_bytes()).unwrap());
    let VerifyError::Index { position, stream, revision, what } = verified(&folder).unwrap_err() else {
        panic!("the index is damaged and nothing else");
    };
    assert_eq!((position, stream.as_str(), revision), (1508, "t", 7));
    assert_eq!(what, IndexDamage::WrongPosition { found: Some(9) });
}

#[tokio::test]
async fn an_index_that_knows_too_much_is_found() {
    let folder = closed_folder().await;
    change(&folder, "positions", |entries| entries.insert(entry(1, 1500), 3001_u64.to_be_bytes()).unwrap());
    let VerifyError::Index { position, what, .. } = verified(&folder).unwrap_err() else {
        panic!("the index is damaged and nothing else");
    };
    assert_eq!((position, what), (1500, IndexDamage::BeyondTheLog { found: Some(1500) }));
}
