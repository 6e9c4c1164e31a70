//! Damaged data is refused, and the refusal says where.

use std::error::Error;
use std::path::{Path, PathBuf};

use embedded_event_store::{Config, EmbeddedEventStore};
use eventstore::EventData;
use tempfile::TempDir;

use crate::support::{append, events, soon, start};

/// A folder with ten events, closed in order.
async fn closed_folder() -> TempDir {
    let running = start().await;
    append(&running.client, "s", events(5)).await;
    append(&running.client, "s", vec![EventData::binary("marked", b"find-this-text".as_slice().into())])
        .await;
    append(&running.client, "s", events(4)).await;
    soon(running.store.stop()).await;
    running.folder
}

/// Starts the store and gives the whole chain of its refusal.
async fn refusal(folder: &TempDir) -> String {
    let Err(refused) = EmbeddedEventStore::start(Config::on_any_port(folder.path())).await else {
        panic!("the damage was not noticed");
    };
    let mut chain = refused.to_string();
    let mut source = refused.source();
    while let Some(error) = source {
        chain = format!("{chain}: {error}");
        source = error.source();
    }
    chain
}

fn journal(folder: &Path) -> PathBuf {
    let files = std::fs::read_dir(folder.join("log")).unwrap();
    let mut journals =
        files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|e| e == "jnl"));
    journals.next().expect("a young log has one journal")
}

#[tokio::test]
async fn a_damaged_record_is_named_by_its_position() {
    let folder = closed_folder().await;
    {
        let database = fjall::Database::builder(folder.path().join("log")).open().unwrap();
        let records = database.keyspace("log", fjall::KeyspaceCreateOptions::default).unwrap();
        let mut record = records.get(3_u64.to_be_bytes()).unwrap().unwrap().to_vec();
        record[50] ^= 1;
        records.insert(3_u64.to_be_bytes(), record).unwrap();
    }
    let refused = refusal(&folder).await;
    assert!(refused.contains("position 3 is damaged") && refused.contains("checksum"), "{refused}");
}

#[tokio::test]
async fn a_missing_record_is_named_by_its_position() {
    let folder = closed_folder().await;
    {
        let database = fjall::Database::builder(folder.path().join("log")).open().unwrap();
        database
            .keyspace("log", fjall::KeyspaceCreateOptions::default)
            .unwrap()
            .remove(4_u64.to_be_bytes())
            .unwrap();
    }
    let refused = refusal(&folder).await;
    assert!(refused.contains("position 4 is missing"), "{refused}");
}

/// A closed folder's journal, its bytes, and where a text stands that only one event has.
fn marked(folder: &TempDir) -> (PathBuf, Vec<u8>, usize) {
    let path = journal(folder.path());
    let bytes = std::fs::read(&path).unwrap();
    let marked = bytes.windows(14).position(|window| window == b"find-this-text");
    (path, bytes, marked.expect("the data is in the journal"))
}

#[tokio::test]
async fn a_flipped_bit_on_disk_is_noticed_and_its_place_is_named() {
    let folder = closed_folder().await;
    let (path, mut bytes, marked) = marked(&folder);
    bytes[marked] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let refused = refusal(&folder).await;
    let place = format!("the journal {} is damaged at byte ", path.display());
    assert!(refused.contains(&place) && refused.contains("and not at its end"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes, "the damaged journal is left as it is");
}

#[tokio::test]
async fn a_lost_end_of_the_log_is_noticed() {
    let folder = closed_folder().await;
    let (path, bytes, marked) = marked(&folder);
    std::fs::write(&path, &bytes[..marked]).unwrap();
    let refused = refusal(&folder).await;
    assert!(refused.contains("would end at position 5, but events up to 10 were acknowledged"), "{refused}");
    // A group ends with these bytes; the marked one is the second but last. Without it, the journal is whole.
    let ends = bytes[..marked].windows(4).rposition(|window| window == b"FJL\x03").unwrap() + 4;
    std::fs::write(&path, &bytes[..ends]).unwrap();
    let refused = refusal(&folder).await;
    assert!(refused.contains("ends at position 5, but events up to 10 were acknowledged"), "{refused}");
}

#[tokio::test]
async fn a_damaged_table_is_refused_with_the_position_that_cannot_be_read() {
    let folder = closed_folder().await;
    {
        let database = fjall::Database::builder(folder.path().join("log")).open().unwrap();
        let records = database.keyspace("log", fjall::KeyspaceCreateOptions::default).unwrap();
        records.rotate_memtable_and_wait().unwrap();
    }
    // Nothing is left in the journal; it is all in the table.
    let mut garbled = 0;
    for key_space in std::fs::read_dir(folder.path().join("log/keyspaces")).unwrap() {
        let key_space = key_space.unwrap();
        if key_space.file_name() == "0" {
            continue;
        }
        for table in std::fs::read_dir(key_space.path().join("tables")).unwrap() {
            let path = table.unwrap().path();
            let mut bytes = std::fs::read(&path).unwrap();
            // The first block holds the records.
            bytes[100] ^= 1;
            std::fs::write(path, bytes).unwrap();
            garbled += 1;
        }
    }
    assert_eq!(garbled, 1);
    let refused = refusal(&folder).await;
    assert!(refused.contains("cannot be opened") && refused.contains("position"), "{refused}");
}

#[tokio::test]
async fn a_lost_list_of_tables_is_refused_and_the_tables_are_kept() {
    let folder = closed_folder().await;
    {
        let database = fjall::Database::builder(folder.path().join("log")).open().unwrap();
        let records = database.keyspace("log", fjall::KeyspaceCreateOptions::default).unwrap();
        records.rotate_memtable_and_wait().unwrap();
    }
    let key_space = folder.path().join("log/keyspaces/1");
    std::fs::remove_file(key_space.join("current")).unwrap();
    let refused = refusal(&folder).await;
    assert!(refused.contains("keyspaces/1 has tables but not the file 'current'"), "{refused}");
    assert_eq!(std::fs::read_dir(key_space.join("tables")).unwrap().count(), 1);
}
