//! Power cuts and damage, made by hand: the journal is cut and garbled at many places, and the log is opened again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;

use bytes::Bytes;
use proptest::prelude::*;
use tempfile::TempDir;
use tokio::sync::watch;
use uuid::Uuid;

use super::database::Tables;
use super::journal::{Flaw, Scan, scan};
use super::record::ProposedEvent;
use super::writer::{Change, Expected, Writer};
use super::{JournalError, Log, OpenError, StorageError};
use crate::config::Config;

const ACKNOWLEDGED: u64 = 30;
const BLOCK: usize = 4096;

struct Open {
    log: Arc<Log>,
    writer: Writer,
    thread: JoinHandle<()>,
}

fn open(folder: &Path) -> Result<Open, OpenError> {
    let config = Config::on_any_port(folder);
    let log = Arc::new(Log::open(&config)?);
    let (writer, thread) = Writer::start(Arc::clone(&log), &config, watch::Sender::new(false))?;
    Ok(Open { log, writer, thread })
}

impl Open {
    /// Appends events as one group, and waits until they are confirmed.
    fn append(&self, count: u64, bytes: usize) {
        let events = (0..count).map(|n| ProposedEvent {
            id: Uuid::new_v4(),
            event_type: "t".into(),
            is_json: false,
            metadata: Bytes::new(),
            // No zeros, and nothing that repeats: every place of the journal can be told from every other.
            data: (0..bytes).map(|at| (at as u64 * 31 + n * 7).to_le_bytes()[0] | 1).collect(),
        });
        let change = Change::Append(events.collect());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let written = runtime.block_on(async {
            self.writer.hand_over("s".into(), Expected::Any, change).await.unwrap().wait().await
        });
        written.unwrap();
    }

    fn close(self) {
        self.writer.stop();
        self.thread.join().unwrap();
    }
}

fn journal(folder: &Path) -> PathBuf {
    folder.join("log/0.jnl")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A folder with acknowledged events, and what the journal would hold if one more large group had been written.
struct Prepared {
    folder: TempDir,
    acknowledged: Vec<u8>,
    with_more: Vec<u8>,
}

fn prepare() -> Prepared {
    let folder = tempfile::tempdir().unwrap();
    // Opened twice: the second time the journal has no preallocated room any more, so that its copies are small.
    open(folder.path()).unwrap().close();
    let store = open(folder.path()).unwrap();
    for _ in 0..ACKNOWLEDGED / 3 {
        store.append(3, 500);
    }
    store.close();
    let acknowledged = std::fs::read(journal(folder.path())).unwrap();
    let later = tempfile::tempdir().unwrap();
    copy(folder.path(), later.path());
    let store = open(later.path()).unwrap();
    // Events larger than a block: then a block can be lost without any length being lost.
    store.append(8, 20_000);
    store.close();
    let with_more = std::fs::read(journal(later.path())).unwrap();
    assert_eq!(with_more[..acknowledged.len()], acknowledged);
    Prepared { folder, acknowledged, with_more }
}

impl Prepared {
    /// The folder as it would be after a power cut that left this journal.
    fn with_journal(&self, bytes: &[u8]) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        copy(self.folder.path(), folder.path());
        std::fs::write(journal(folder.path()), bytes).unwrap();
        folder
    }

    /// The log must open with everything acknowledged and nothing else, and go on.
    fn survives(&self, bytes: &[u8], what: &str) {
        let folder = self.with_journal(bytes);
        for round in 0..2 {
            let store = open(folder.path()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
            let head = ACKNOWLEDGED + round;
            assert_eq!(store.log.head(), head, "{what}");
            let page = store.log.page((1, head), 1000, usize::MAX).unwrap();
            assert_eq!(page.len() as u64, head, "{what}");
            store.append(1, 100);
            store.close();
        }
    }
}

#[test]
fn a_group_torn_by_a_power_cut_is_cut_off_wherever_it_is_torn() {
    let prepared = prepare();
    let (begin, end) = (prepared.acknowledged.len(), prepared.with_more.len());
    // Cut: at every byte of the group's head and tail, and here and there between.
    let cuts =
        (begin + 1..begin + 80).step_by(3).chain((begin + 80..end - 40).step_by(4999)).chain(end - 40..end);
    for (n, cut) in cuts.enumerate() {
        let mut torn = prepared.with_more[..cut].to_vec();
        // Half of the time followed by zeros, as in a journal with room allocated beforehand.
        torn.resize(cut + (n % 2) * BLOCK, 0);
        prepared.survives(&torn, &format!("cut at {cut}"));
    }
}

#[test]
fn a_group_whose_blocks_reached_the_disk_out_of_order_is_cut_off() {
    let prepared = prepare();
    let (begin, end) = (prepared.acknowledged.len(), prepared.with_more.len());
    let mut checksums = 0;
    for missing in (begin.next_multiple_of(BLOCK)..end).step_by(BLOCK) {
        // The last block got there, another one did not: the form is whole, the checksum is not.
        let mut torn = prepared.with_more.clone();
        let until = (missing + BLOCK).min(end);
        torn[missing..until].fill(0);
        checksums += usize::from(scan(&torn).flaw == Some(Flaw::Checksum));
        prepared.survives(&torn, &format!("zeros at {missing}"));
        let garbage = (missing..until).map(|at| (at * 167 + missing).to_le_bytes()[0]);
        torn.splice(missing..until, garbage);
        prepared.survives(&torn, &format!("garbage at {missing}"));
        // Only the blocks behind this one got there.
        torn[begin..until].fill(0);
        if torn[begin..].iter().any(|byte| *byte != 0) {
            prepared.survives(&torn, &format!("nothing up to {until}"));
        }
    }
    assert!(checksums > 10, "the form was whole and only the checksum wrong {checksums} times");
}

#[test]
fn a_changed_bit_in_what_was_acknowledged_is_refused_with_its_place_and_nothing_is_changed() {
    let prepared = prepare();
    let mut groups = vec![0];
    let whole = |end: usize| scan(&prepared.acknowledged[..end]).flaw.is_none();
    groups.extend((1..=prepared.acknowledged.len()).filter(|end| whole(*end)));
    assert_eq!(groups.len() as u64, ACKNOWLEDGED / 3 + 1);
    for at in (0..prepared.acknowledged.len()).step_by(97) {
        let mut damaged = prepared.acknowledged.clone();
        damaged[at] ^= 1 << (at % 8);
        let folder = prepared.with_journal(&damaged);
        let Err(OpenError::Storage { source: StorageError::Journal(refused), .. }) = open(folder.path())
        else {
            panic!("byte {at}: it was not noticed")
        };
        let (JournalError::Damaged { path, offset, .. } | JournalError::Acknowledged { path, offset, .. }) =
            refused
        else {
            panic!("byte {at}: {refused}")
        };
        assert_eq!(path, journal(folder.path()));
        let group = groups.iter().rposition(|begin| *begin <= at).unwrap();
        assert_eq!(offset, groups[group], "byte {at}");
        assert_eq!(std::fs::read(&path).unwrap(), damaged, "byte {at}");
    }
}

#[test]
fn a_store_that_ended_while_it_was_made_is_made_anew() {
    let made = tempfile::tempdir().unwrap();
    open(made.path()).unwrap().close();
    let unfinished: [(&str, &[&str], bool); 3] = [
        (
            "before the version was noted",
            &["version", "keyspaces/0", "keyspaces/1", "keyspaces/2", "keyspaces/3"],
            false,
        ),
        (
            "while the version was noted",
            &["version", "keyspaces/0", "keyspaces/1", "keyspaces/2", "keyspaces/3"],
            true,
        ),
        (
            "before there were key spaces",
            &["keyspaces/0", "keyspaces/1", "keyspaces/2", "keyspaces/3"],
            false,
        ),
    ];
    for (what, missing, empty_version) in unfinished {
        let folder = tempfile::tempdir().unwrap();
        copy(made.path(), folder.path());
        for name in missing {
            let path = folder.path().join("log").join(name);
            if path.is_dir() {
                std::fs::remove_dir_all(path).unwrap();
            } else {
                std::fs::remove_file(path).unwrap();
            }
        }
        if empty_version {
            std::fs::write(folder.path().join("log/version"), "").unwrap();
        }
        let store = open(folder.path()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
        store.append(1, 1);
        store.close();
        assert_eq!(open(folder.path()).unwrap().log.head(), 1, "{what}");
    }
}

#[test]
fn events_are_never_taken_for_a_store_that_was_not_finished() {
    let prepared = prepare();
    let folder = prepared.with_journal(&prepared.acknowledged);
    std::fs::remove_file(folder.path().join("log/version")).unwrap();
    assert!(open(folder.path()).is_err());
    assert_eq!(std::fs::read(journal(folder.path())).unwrap(), prepared.acknowledged);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_can_be_looked_through(bytes in proptest::collection::vec(prop_oneof![0..5_u8, any::<u8>()], 0..400)) {
        crate::fuzzing::journal(&bytes);
        crate::fuzzing::record(&bytes);
        crate::fuzzing::metadata(&bytes);
    }

    #[test]
    fn a_sequence_number_out_of_order_is_noticed(later in any::<u64>()) {
        let bytes = [group_of_one_item(9), group_of_one_item(later)].concat();
        let in_order = (10..=9 + (1 << 32)).contains(&later);
        prop_assert_eq!(scan(&bytes).flaw.is_none(), in_order);
    }

    #[test]
    fn a_garbled_journal_is_whole_up_to_the_damage(
        groups in 1..5_usize, from in 0..2000_usize, garbage in proptest::collection::vec(any::<u8>(), 1..40),
    ) {
        let length = group_of_one_item(0).len();
        let mut bytes: Vec<u8> = (9..).take(groups).flat_map(group_of_one_item).collect();
        let from = from % bytes.len();
        let until = (from + garbage.len()).min(bytes.len());
        // The checksum does not cover the sequence number, the 6th to 13th byte of a group.
        prop_assume!((from..until).any(|at| !(5..13).contains(&(at % length)) && bytes[at] != garbage[at - from]));
        bytes[from..until].copy_from_slice(&garbage[..until - from]);
        let Scan { whole, flaw, .. } = scan(&bytes);
        prop_assert!(flaw.is_some());
        // What was overwritten may begin with bytes as they were.
        prop_assert!(whole >= from / length * length && whole < until);
        crate::fuzzing::journal(&bytes);
    }
}

fn group_of_one_item(sequence: u64) -> Vec<u8> {
    let mut item = vec![2, 0, 0];
    item.extend(7_u64.to_le_bytes());
    item.extend(3_u16.to_le_bytes());
    item.extend(5_u32.to_le_bytes());
    item.extend(5_u32.to_le_bytes());
    item.extend(b"keyvalue");
    let mut group = vec![1];
    group.extend(1_u32.to_le_bytes());
    group.extend(sequence.to_le_bytes());
    group.extend(&item);
    group.push(3);
    group.extend(xxhash_rust::xxh3::xxh3_64(&item).to_le_bytes());
    group.extend(b"FJL\x03");
    group
}

#[test]
fn what_the_tables_hold_is_taken_out_of_the_journal_and_nothing_is_lost() {
    const MIB: u64 = 1024 * 1024;
    let folder = TempDir::new().unwrap();
    let store = open(folder.path()).unwrap();
    store.append(8, 1000 * 1000);
    store.log.disk.with(Tables::flush_and_wait).unwrap();
    store.append(3, 100 * 1000);
    store.close();
    let in_use = |folder: &Path| {
        let bytes = std::fs::read(journal(folder)).unwrap();
        scan(&bytes).whole as u64
    };
    assert!(in_use(folder.path()) > 8 * MIB - MIB);
    for _ in 0..2 {
        let store = open(folder.path()).unwrap();
        assert!(in_use(folder.path()) < MIB, "only what the tables do not hold is left");
        let page = store.log.page((1, 11), 11, usize::MAX).unwrap();
        let sizes: Vec<usize> = page.iter().map(|record| record.data().len()).collect();
        assert_eq!(sizes, [vec![1000 * 1000; 8], vec![100 * 1000; 3]].concat());
        store.close();
    }
    let store = open(folder.path()).unwrap();
    store.append(1, 10);
    assert_eq!(store.log.head(), 12);
    store.close();
}
