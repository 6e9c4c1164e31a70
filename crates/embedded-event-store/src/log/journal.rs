//! Looks through the database's journals before the database opens them.
//!
//! The database writes every group of changes to a journal first, and replays the journals when it opens. What it does
//! with a damaged one does not suit us: some damage it cuts off without a word, with all that follows it, and a torn end
//! whose last bytes happened to reach the disk makes it refuse to open. So we look first, and it only ever sees journals
//! that are whole.
//!
//! The next group is written only after the disk has confirmed the one before. Hence only the last group of the newest
//! journal can be torn, and it was never acknowledged: it is cut off, and the log says so. Anything else that is wrong was
//! damaged later: then nothing is changed, and the error says where.
//!
//! That the disk confirmed a group is also known from `confirmed`, a note of the newest confirmed position. Nothing is cut
//! that it knows of.
//!
//! A group in a journal: a start (tag 1, number of items, sequence number), its items (tag 2), and an end (tag 3, checksum
//! of the items, four fixed bytes). Numbers are little-endian. Unused room at a journal's end is filled with zeros.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

use super::record::Record;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const CLEAR: u8 = 4;
const TRAILER: [u8; 4] = *b"FJL\x03";
const KEY_OF_A_RECORD: usize = 8;
/// From one group to a later one, the sequence number never grows by more. So a damaged number is noticed, and an event's
/// data that looks like a group is hardly ever taken for one.
const LARGEST_STEP: u64 = 1 << 32;

/// Why a journal was not let through.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The disk failed.
    #[error("the journal {} cannot be read or mended; look at the disk and at the folder's owner", .path.display())]
    Io {
        /// The journal, or the folder that holds the journals.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Something that had been written whole is damaged.
    #[error(
        "the journal {} is damaged at byte {offset} ({flaw}), and not at its end; restore the data folder from a copy",
        .path.display()
    )]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Where the damaged group begins, in bytes from the journal's beginning.
        offset: usize,
        /// What is wrong with it.
        flaw: Flaw,
    },
    /// The end of the log is damaged, and it had been acknowledged.
    #[error(
        "the journal {} is damaged at byte {offset} ({flaw}): the log would end at position {head}, but events up to \
         {confirmed} were acknowledged; restore the data folder from a copy",
        .path.display()
    )]
    Acknowledged {
        /// The journal.
        path: PathBuf,
        /// Where the damaged group begins, in bytes from the journal's beginning.
        offset: usize,
        /// What is wrong with it.
        flaw: Flaw,
        /// The newest position before the damage.
        head: u64,
        /// The newest position that is known to have been acknowledged.
        confirmed: u64,
    },
}

/// What is wrong with a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// It ends too early.
    #[error("it is cut off")]
    Cut,
    /// Bytes that mean nothing.
    #[error("it has bytes that mean nothing")]
    Form,
    /// The items are not what was written.
    #[error("its checksum is wrong")]
    Checksum,
    /// Its sequence number cannot follow the one before.
    #[error("its sequence number is out of order")]
    Order,
}

/// Checks all journals in the database's folder, and cuts a torn end off the newest one.
pub fn mend(database_dir: &Path, confirmed: u64) -> Result<(), JournalError> {
    let mut journals = journals(database_dir)?;
    let Some(active) = journals.pop() else { return Ok(()) };
    let mut head = None;
    for path in journals {
        let bytes = read(&path)?;
        let scan = scan(&bytes);
        if let Some(flaw) = scan.flaw {
            return Err(JournalError::Damaged { path, offset: scan.whole, flaw });
        }
        if scan.whole > 0 {
            head = scan.newest(&bytes);
        }
    }
    let bytes = read(&active)?;
    let scan = scan(&bytes);
    let Some(flaw) = scan.flaw else { return Ok(()) };
    let offset = scan.whole;
    if whole_group_after(&bytes, offset, scan.sequence) {
        return Err(JournalError::Damaged { path: active, offset, flaw });
    }
    if scan.whole > 0 {
        head = scan.newest(&bytes);
    }
    if let Some(head) = head.filter(|head| *head < confirmed) {
        return Err(JournalError::Acknowledged { path: active, offset, flaw, head, confirmed });
    }
    let torn = bytes.len() - offset - trailing_zeros(&bytes[offset..]);
    cut(&active, offset).map_err(|source| JournalError::Io { path: active.clone(), source })?;
    tracing::warn!(
        journal = %active.display(),
        offset,
        bytes = torn,
        %flaw,
        "the last write had not been finished nor acknowledged when the event store ended; it is cut off"
    );
    Ok(())
}

/// Whether nothing was ever written to any journal.
pub fn all_empty(database_dir: &Path) -> Result<bool, JournalError> {
    for path in journals(database_dir)? {
        let bytes = read(&path)?;
        if trailing_zeros(&bytes) != bytes.len() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The journals, oldest first.
pub fn journals(database_dir: &Path) -> Result<Vec<PathBuf>, JournalError> {
    let error = |source| JournalError::Io { path: database_dir.to_path_buf(), source };
    let entries = match std::fs::read_dir(database_dir) {
        Ok(entries) => entries,
        Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(error(source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(error)?.path();
        let number =
            path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
        if let Some(number) = number.filter(|_| path.extension().is_some_and(|e| e == "jnl")) {
            found.push((number, path));
        }
    }
    found.sort_unstable();
    Ok(found.into_iter().map(|(_, path)| path).collect())
}

/// A journal's bytes.
pub fn read(path: &Path) -> Result<Vec<u8>, JournalError> {
    std::fs::read(path).map_err(|source| JournalError::Io { path: path.to_path_buf(), source })
}

fn cut(path: &Path, length: usize) -> io::Result<()> {
    let file: File = OpenOptions::new().write(true).open(path)?;
    file.set_len(length as u64)?;
    file.sync_all()
}

/// What a journal holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Scan {
    /// Up to here all groups are whole.
    pub whole: usize,
    /// What is wrong with the bytes that follow; `None` if there are none but zeros.
    pub flaw: Option<Flaw>,
    /// The sequence number of the last whole group; 0 if there is none.
    sequence: u64,
    last_group: usize,
}

/// Reads groups until one is not whole.
pub fn scan(bytes: &[u8]) -> Scan {
    let mut scan = Scan { whole: 0, flaw: None, sequence: 0, last_group: 0 };
    let end = bytes.len() - trailing_zeros(bytes);
    // A whole group ends with a byte that is not zero.
    while scan.whole < end {
        let next = group(bytes, scan.whole, |_| ());
        match next {
            // The checksum does not cover the sequence number.
            Ok(group) if scan.whole > 0 && !follows(scan.sequence, group.sequence) => {
                scan.flaw = Some(Flaw::Order);
                break;
            }
            Ok(group) => {
                scan.last_group = scan.whole;
                scan.whole = group.end;
                scan.sequence = group.sequence;
            }
            Err(flaw) => {
                scan.flaw = Some(flaw);
                break;
            }
        }
    }
    scan
}

fn follows(before: u64, sequence: u64) -> bool {
    sequence > before && sequence - before <= LARGEST_STEP
}

impl Scan {
    /// The newest position in the last whole group; `None` if it cannot be told.
    pub fn newest(&self, bytes: &[u8]) -> Option<u64> {
        let mut newest = None;
        let mut readable = true;
        let note = |item: Item<'_>| {
            let Some(value) = item.value else {
                readable = false;
                return;
            };
            let Ok(position) = <[u8; KEY_OF_A_RECORD]>::try_from(item.key).map(u64::from_be_bytes) else {
                return;
            };
            // Other key spaces have keys of this length too; the record's checksum tells.
            if Some(position) > newest && Record::decode(position, Bytes::copy_from_slice(value)).is_ok() {
                newest = Some(position);
            }
        };
        if self.whole > 0 && group(bytes, self.last_group, note).is_err() {
            return None;
        }
        newest.filter(|_| readable)
    }
}

/// A whole group of changes.
pub struct Group {
    /// Its sequence number: higher than those of the groups before it.
    pub sequence: u64,
    /// Where it ends.
    pub end: usize,
    /// Whether it empties a key space.
    pub clears: bool,
}

/// A change of one key.
pub struct Item<'a> {
    /// The number of the key space.
    pub key_space: u64,
    key: &'a [u8],
    /// `None` if it is compressed.
    value: Option<&'a [u8]>,
}

/// Reads one group; gives its items.
pub fn group(bytes: &[u8], at: usize, mut item: impl FnMut(Item<'_>)) -> Result<Group, Flaw> {
    let mut reader = Reader { bytes, at };
    if reader.byte()? != START {
        return Err(Flaw::Form);
    }
    let count = u32::from_le_bytes(reader.array()?);
    let sequence = u64::from_le_bytes(reader.array()?);
    let items = reader.at;
    let mut clears = false;
    for _ in 0..count {
        match reader.byte()? {
            ITEM => item(reader.item()?),
            CLEAR => {
                let _key_space: [u8; 8] = reader.array()?;
                clears = true;
            }
            _ => return Err(Flaw::Form),
        }
    }
    let mut hasher = Xxh3::new();
    hasher.update(&bytes[items..reader.at]);
    if reader.byte()? != END {
        return Err(Flaw::Form);
    }
    let checksum = u64::from_le_bytes(reader.array()?);
    if reader.array()? != TRAILER {
        return Err(Flaw::Form);
    }
    if checksum != hasher.digest() {
        return Err(Flaw::Checksum);
    }
    Ok(Group { sequence, end: reader.at, clears })
}

/// Whether a later group than the damaged one is whole: then the damaged one had been confirmed by the disk.
pub fn whole_group_after(bytes: &[u8], damaged: usize, sequence: u64) -> bool {
    let end = bytes.len() - trailing_zeros(bytes);
    (damaged + 1..end).any(|at| {
        let mut reader = Reader { bytes, at };
        let plausible = reader.byte() == Ok(START)
            && reader.array::<4>().is_ok_and(|count| u32::from_le_bytes(count) > 0)
            && reader.array().is_ok_and(|later| follows(sequence, u64::from_le_bytes(later)))
            && reader.byte() == Ok(ITEM);
        plausible && group(bytes, at, |_| ()).is_ok()
    })
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Flaw> {
        let end = self.at.checked_add(length).ok_or(Flaw::Cut)?;
        let taken = self.bytes.get(self.at..end).ok_or(Flaw::Cut)?;
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        self.take(N)?.try_into().map_err(|_| Flaw::Cut)
    }

    fn byte(&mut self) -> Result<u8, Flaw> {
        self.array().map(|[byte]| byte)
    }

    /// What follows an item's tag.
    fn item(&mut self) -> Result<Item<'a>, Flaw> {
        let [kind, compression] = self.array()?;
        let key_space = u64::from_le_bytes(self.array()?);
        let key = usize::from(u16::from_le_bytes(self.array()?));
        let value = u32::from_le_bytes(self.array()?);
        let stored = u32::from_le_bytes(self.array()?);
        // 0 to 2: a value or a removal; uncompressed values have one length.
        if kind > 2 || compression > 1 || (compression == 0 && value != stored) {
            return Err(Flaw::Form);
        }
        let key = self.take(key)?;
        let value = self.take(stored as usize)?;
        Ok(Item { key_space, key, value: (compression == 0).then_some(value) })
    }
}

fn trailing_zeros(bytes: &[u8]) -> usize {
    // By blocks: most of a young journal is zeros.
    const BLOCK: usize = 4096;
    let mut end = bytes.len();
    while end >= BLOCK && bytes[end - BLOCK..end].iter().fold(0, |all, byte| all | byte) == 0 {
        end -= BLOCK;
    }
    while end > 0 && bytes[end - 1] == 0 {
        end -= 1;
    }
    bytes.len() - end
}
