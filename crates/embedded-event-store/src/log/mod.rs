//! The log: every event in one order, on disk.
//!
//! A position is a plain count: the first event has 1, the next 2, without gaps. A missing record is therefore as plain
//! to see as a damaged one. Records, index and heads live in one database of ordered key spaces, written together by one
//! thread in `writer`. A record becomes visible to readers when the disk has it, and not before.

mod change;
mod confirmed;
pub mod database;
mod decide;
mod expectation;
pub mod journal;
#[cfg(test)]
mod journal_tests;
#[cfg(test)]
mod old_log_tests;
mod recent;
pub mod record;
mod shortage;
#[cfg(test)]
mod size_tests;
mod tail;
mod trim;
pub mod writer;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use thiserror::Error;
use tokio::sync::watch;

use crate::config::Config;
use crate::index::Index;
use confirmed::Confirmed;
use database::Disk;
pub use journal::{Flaw, JournalError};
use record::{Record, RecordError};
use tail::Tail;

/// How many of the newest records are checked when the store opens.
const CHECKED_AT_OPEN: usize = 1000;

/// Why the disk did not give what was asked of it.
#[derive(Debug, Error)]
pub enum StorageError {
    /// The database underneath failed.
    #[error("the event store's database failed; look at the disk and at the log lines before this one")]
    Database(#[from] fjall::Error),
    /// A record cannot be read.
    #[error(
        "the record at position {position} cannot be read; look at the disk, or restore the data folder from a copy"
    )]
    Unreadable {
        /// The position of the record.
        position: u64,
        /// What the database said.
        #[source]
        source: fjall::Error,
    },
    /// The newest record cannot be read, so that its position is not known.
    #[error(
        "the newest record, the one at the last position, cannot be read; look at the disk, or restore the data folder from a copy"
    )]
    Newest(#[source] fjall::Error),
    /// A journal is damaged.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The list of a key space's tables is lost.
    #[error(
        "the folder {} has tables but not the file 'current' that lists them; restore the data folder from a copy",
        .folder.display()
    )]
    TableList {
        /// The key space's folder.
        folder: PathBuf,
    },
    /// The database could not be opened again.
    #[error("the event store's database is closed for the moment; look at the log lines before this one")]
    Closed,
    /// A record is damaged.
    #[error("the record at position {position} is damaged; restore the data folder from a copy")]
    Corrupt {
        /// The position of the damaged record.
        position: u64,
        /// What is wrong with it.
        #[source]
        source: RecordError,
    },
    /// A record is not there.
    #[error("the record at position {position} is missing; restore the data folder from a copy")]
    Missing {
        /// The position where a record should be.
        position: u64,
    },
    /// The log ends too early.
    #[error(
        "the log ends at position {head}, but events up to {confirmed} were acknowledged; restore the data folder from a copy"
    )]
    Lost {
        /// The newest position that is there.
        head: u64,
        /// The newest position that is known to have been acknowledged.
        confirmed: u64,
    },
    /// An entry of the index has the wrong size.
    #[error(
        "an index entry for a {what} has {bytes} bytes instead of 8; restore the data folder from a copy"
    )]
    Index {
        /// What the entry should have held.
        what: &'static str,
        /// The bytes that it has.
        bytes: usize,
    },
    /// A reading task was lost.
    #[error("a task that read the disk ended without an answer; restart the event store")]
    Reader(#[source] tokio::task::JoinError),
}

/// Why the data folder could not be opened.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Somebody else has it open.
    #[error("the data folder {} is in use by another event store; stop that one, or choose another folder", .data_dir.display())]
    Locked {
        /// The folder.
        data_dir: PathBuf,
    },
    /// The folder cannot be made.
    #[error("the data folder {} cannot be made; check its parent and its owner", .data_dir.display())]
    Folder {
        /// The folder.
        data_dir: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The disk or the data failed.
    #[error("the data folder {} cannot be opened", .data_dir.display())]
    Storage {
        /// The folder.
        data_dir: PathBuf,
        /// What failed.
        #[source]
        source: StorageError,
    },
    /// The thread that writes could not be started.
    #[error("the thread that writes the log cannot be started; look at the limits of the process")]
    Thread(#[source] std::io::Error),
}

/// The log's readable side; shared by everybody.
pub struct Log {
    disk: Arc<Disk>,
    /// Where each stream's events stand.
    pub index: Index,
    tail: Tail,
    head: watch::Sender<u64>,
    lists: watch::Sender<u64>,
    confirmed: Mutex<Confirmed>,
}

impl Log {
    /// Opens the log in the data folder and checks its newest records.
    pub fn open(config: &Config) -> Result<Self, OpenError> {
        let data_dir = &config.data_dir;
        std::fs::create_dir_all(data_dir)
            .map_err(|source| OpenError::Folder { data_dir: data_dir.clone(), source })?;
        let (confirmed, confirmed_position) = Confirmed::open(data_dir)
            .map_err(|source| OpenError::Folder { data_dir: data_dir.clone(), source })?;
        let storage = |source| OpenError::Storage { data_dir: data_dir.clone(), source };
        let disk = Arc::new(Disk::open(config, confirmed_position)?);
        let tail = Tail::new(config.tail_cache_bytes);
        let log = Log {
            index: Index::new(Arc::clone(&disk)),
            disk,
            tail,
            head: watch::Sender::new(0),
            lists: watch::Sender::new(0),
            confirmed: Mutex::new(confirmed),
        };
        let newest = log.newest().map_err(storage)?;
        let head = newest.last().map_or(0, |r| r.position());
        if head < confirmed_position {
            return Err(storage(StorageError::Lost { head, confirmed: confirmed_position }));
        }
        log.head.send_replace(head);
        log.tail.push(newest);
        Ok(log)
    }

    /// Closes the database and opens it again; gives the newest position that is in it. Readers wait meanwhile.
    fn reopen(&self) -> Result<u64, OpenError> {
        let confirmed = self.confirmed.lock().unwrap_or_else(PoisonError::into_inner).position();
        self.disk.reopen(confirmed.max(self.head()))?;
        let newest = self.newest().map_err(|source| self.disk.failed(source))?;
        Ok(newest.last().map_or(0, |record| record.position()))
    }

    /// The newest records, oldest first, each checked.
    fn newest(&self) -> Result<Vec<Arc<Record>>, StorageError> {
        self.disk.with(|tables| {
            let mut records: Vec<Arc<Record>> = Vec::new();
            for guard in tables.records.iter().rev().take(CHECKED_AT_OPEN) {
                let before = records.last().map(|later| later.position() - 1);
                let record = decode(guard.into_inner().map_err(|source| match before {
                    Some(position) => unreadable(position, source),
                    None => StorageError::Newest(source),
                })?)?;
                if let Some(position) = before.filter(|before| record.position() != *before) {
                    return Err(StorageError::Missing { position });
                }
                records.push(Arc::new(record));
            }
            records.reverse();
            Ok(records)
        })
    }

    /// The position of the newest event; 0 in an empty log.
    pub fn head(&self) -> u64 {
        *self.head.borrow()
    }

    /// Follows the position of the newest event.
    pub fn watch_head(&self) -> watch::Receiver<u64> {
        self.head.subscribe()
    }

    /// The position of the newest record that may have changed an access control list; 0 if none has since the start.
    pub fn lists_as_of(&self) -> u64 {
        *self.lists.borrow()
    }

    /// Follows that position.
    pub fn watch_lists(&self) -> watch::Receiver<u64> {
        self.lists.subscribe()
    }

    /// Whether the record at `position` is in memory.
    pub fn is_in_memory(&self, position: u64) -> bool {
        self.tail.has(position)
    }

    /// The records from `position` on, if they are all in memory.
    pub fn page_in_memory(&self, position: u64, count: usize, bytes: usize) -> Option<Vec<Arc<Record>>> {
        self.tail.page(position, count, bytes)
    }

    /// The records from `from` up to `to`, as many as the limits allow (at least one). May wait for the disk.
    pub fn page(
        &self,
        (from, to): (u64, u64),
        count: usize,
        bytes: usize,
    ) -> Result<Vec<Arc<Record>>, StorageError> {
        let mut page = Page::new(count, bytes);
        if from > to {
            return Ok(page.records);
        }
        self.disk.with(|tables| {
            for (expected, guard) in (from..).zip(tables.records.range(key(from)..=key(to))) {
                let record = decode(guard.into_inner().map_err(|source| unreadable(expected, source))?)?;
                if record.position() != expected {
                    return Err(StorageError::Missing { position: expected });
                }
                if !page.add(Arc::new(record)) {
                    break;
                }
            }
            Ok(())
        })?;
        if page.records.is_empty() {
            return Err(StorageError::Missing { position: from });
        }
        Ok(page.records)
    }

    /// The records from `to` down to `from`, as many as the limits allow (at least one). May wait for the disk.
    pub fn page_backwards(
        &self,
        (from, to): (u64, u64),
        count: usize,
        bytes: usize,
    ) -> Result<Vec<Arc<Record>>, StorageError> {
        let mut page = Page::new(count, bytes);
        if from > to {
            return Ok(page.records);
        }
        let mut expected = to;
        self.disk.with(|tables| {
            for guard in tables.records.range(key(from)..=key(to)).rev() {
                let record = decode(guard.into_inner().map_err(|source| unreadable(expected, source))?)?;
                if record.position() != expected {
                    return Err(StorageError::Missing { position: expected });
                }
                expected -= 1;
                if !page.add(Arc::new(record)) {
                    break;
                }
            }
            Ok(())
        })?;
        if page.records.is_empty() {
            return Err(StorageError::Missing { position: to });
        }
        Ok(page.records)
    }

    /// The record at one position. May wait for the disk.
    pub fn record(&self, position: u64) -> Result<Arc<Record>, StorageError> {
        if let Some(record) = self.tail.get(position) {
            return Ok(record);
        }
        let found = self.disk.with(|tables| {
            tables.records.get(key(position)).map_err(|source| unreadable(position, source))
        })?;
        let found = found.ok_or(StorageError::Missing { position })?;
        Ok(Arc::new(decode_at(position, found.into())?))
    }
}

struct Page {
    records: Vec<Arc<Record>>,
    count: usize,
    bytes: usize,
}

impl Page {
    fn new(count: usize, bytes: usize) -> Self {
        Page { records: Vec::new(), count, bytes }
    }

    /// Adds a record; false when the page is full.
    fn add(&mut self, record: Arc<Record>) -> bool {
        self.bytes = self.bytes.saturating_sub(record.raw().len());
        self.records.push(record);
        self.records.len() < self.count && self.bytes > 0
    }
}

fn unreadable(position: u64, source: fjall::Error) -> StorageError {
    StorageError::Unreadable { position, source }
}

fn key(position: u64) -> [u8; 8] {
    position.to_be_bytes()
}

fn decode((key, value): (fjall::UserKey, fjall::UserValue)) -> Result<Record, StorageError> {
    let position = <[u8; 8]>::try_from(&*key)
        .map(u64::from_be_bytes)
        .map_err(|_| StorageError::Index { what: "position", bytes: key.len() })?;
    decode_at(position, value.into())
}

fn decode_at(position: u64, raw: Bytes) -> Result<Record, StorageError> {
    Record::decode(position, raw).map_err(|source| StorageError::Corrupt { position, source })
}
