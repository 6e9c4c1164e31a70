//! The database under the log: opened with care, and opened again after the disk was full.
//!
//! When the disk has no room left in the middle of a write, or for the work in the background, the database takes no more
//! writes until it is opened anew. Readers share it through `Disk`, so that it can be exchanged under them.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use connection_limits::Descriptors;
use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, OwnedWriteBatch, PersistMode};

use super::{OpenError, StorageError, journal, trim};
use crate::config::Config;

/// After so many bytes of changes, all key spaces move what they have in memory to tables, together. A journal goes when
/// every key space has done so; one that seldom changes would keep old journals, and opening would replay them all.
const FLUSH_BYTES: u64 = 16 * 1024 * 1024;
/// The same while an old journal waits for it: the database begins a new journal every 64 MB.
const FLUSH_BYTES_WITH_OLD_JOURNAL: u64 = 2 * 1024 * 1024;
/// Only for the case that `FLUSH_BYTES` is far from what a key space holds in memory.
const MEMTABLE_BYTES: u64 = 64 * 1024 * 1024;
const JOURNAL_BYTES: u64 = 192 * 1024 * 1024;
const DATABASE_FOLDER: &str = "log";
const LOCK_FILE: &str = "lock";
const VERSION_FILE: &str = "version";
const VERSION_FILE_BYTES: u64 = 4;
const LOCK_TRIES: u32 = 3;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// The open database and its key spaces.
pub struct Tables {
    database: Database,
    /// Positions to records.
    pub records: Keyspace,
    /// Names of streams to their numbers.
    pub names: Keyspace,
    /// Streams' numbers and revisions to positions.
    pub entries: Keyspace,
    unflushed_bytes: AtomicU64,
}

impl Tables {
    /// A group of changes; committing it waits until the disk has confirmed it.
    pub fn group(&self) -> OwnedWriteBatch {
        self.database.batch().durability(Some(PersistMode::SyncAll))
    }

    /// Counts a group of so many bytes that was committed; now and then starts moving changes from memory to tables, in
    /// the background, so that there is little to replay when the database is opened.
    pub fn flush_if_due(&self, bytes: u64) -> Result<(), StorageError> {
        let unflushed = self.unflushed_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let due = if self.database.journal_count() > 1 {
            unflushed >= FLUSH_BYTES_WITH_OLD_JOURNAL && self.database.outstanding_flushes() == 0
        } else {
            unflushed >= FLUSH_BYTES
        };
        if due {
            self.unflushed_bytes.store(0, Ordering::Relaxed);
            for key_space in self.key_spaces() {
                key_space.rotate_memtable()?;
            }
        }
        Ok(())
    }

    /// Moves all changes from memory to tables.
    #[cfg(test)]
    pub fn flush_and_wait(&self) -> Result<(), StorageError> {
        self.key_spaces().into_iter().try_for_each(|key_space| Ok(key_space.rotate_memtable_and_wait()?))
    }

    fn key_spaces(&self) -> [&Keyspace; 3] {
        [&self.records, &self.names, &self.entries]
    }
}

/// The database, which can be exchanged for a newly opened one.
pub struct Disk {
    data_dir: PathBuf,
    cache_bytes: u64,
    tables: RwLock<Option<Tables>>,
}

impl Disk {
    /// Opens the database. Events up to `confirmed` are known to have been acknowledged.
    pub fn open(config: &Config, confirmed: u64) -> Result<Self, OpenError> {
        let disk = Disk {
            data_dir: config.data_dir.clone(),
            cache_bytes: config.read_cache_bytes,
            tables: RwLock::new(None),
        };
        disk.reopen(confirmed)?;
        Ok(disk)
    }

    /// Closes the database if it is open, and opens it. Readers wait.
    pub fn reopen(&self, confirmed: u64) -> Result<(), OpenError> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        // First closed, then opened: only one at a time may have it open.
        *tables = None;
        *tables = Some(open(&self.data_dir, self.cache_bytes, confirmed)?);
        Ok(())
    }

    /// Says which folder a failure to open it was about.
    pub fn failed(&self, source: StorageError) -> OpenError {
        OpenError::Storage { data_dir: self.data_dir.clone(), source }
    }

    /// Does something with the open database.
    pub fn with<T>(&self, work: impl FnOnce(&Tables) -> Result<T, StorageError>) -> Result<T, StorageError> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        work(tables.as_ref().ok_or(StorageError::Closed)?)
    }
}

fn open(data_dir: &Path, cache_bytes: u64, confirmed: u64) -> Result<Tables, OpenError> {
    let storage = |source| OpenError::Storage { data_dir: data_dir.to_path_buf(), source };
    let folder = data_dir.join(DATABASE_FOLDER);
    prepare(&folder, confirmed).map_err(|refusal| match refusal {
        Refusal::Locked => OpenError::Locked { data_dir: data_dir.to_path_buf() },
        Refusal::Folder(source) => OpenError::Folder { data_dir: data_dir.to_path_buf(), source },
        Refusal::Storage(source) => storage(source),
    })?;
    let database = Database::builder(&folder)
        .cache_size(cache_bytes)
        .max_journaling_size(JOURNAL_BYTES)
        // A replayed journal is checked by compressing again; the check must not depend on the compressor's release.
        .journal_compression(CompressionType::None)
        .worker_threads(2)
        .max_cached_files(Some(Descriptors::of_this_process().for_tables()))
        .open()
        .map_err(|error| match error {
            fjall::Error::Locked => OpenError::Locked { data_dir: data_dir.to_path_buf() },
            error => storage(error.into()),
        })?;
    let key_space = |name| {
        let options = || KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES);
        database.keyspace(name, options).map_err(|error| storage(error.into()))
    };
    Ok(Tables {
        records: key_space("log")?,
        names: key_space("streams")?,
        entries: key_space("positions")?,
        unflushed_bytes: AtomicU64::new(0),
        database,
    })
}

enum Refusal {
    Locked,
    Folder(io::Error),
    Storage(StorageError),
}

/// Clears away a database that was never finished, and mends the journals. Nobody else may have it open meanwhile.
fn prepare(folder: &Path, confirmed: u64) -> Result<(), Refusal> {
    if !folder.try_exists().map_err(Refusal::Folder)? {
        return Ok(());
    }
    let _lock = lock(&folder.join(LOCK_FILE))?;
    let damaged = |source| Refusal::Storage(StorageError::Journal(source));
    if is_unfinished(folder).map_err(Refusal::Folder)?
        && confirmed == 0
        && journal::all_empty(folder).map_err(damaged)?
    {
        tracing::warn!(
            folder = %folder.display(),
            "the event store ended while it was made for the first time; it is made anew"
        );
        return std::fs::remove_dir_all(folder).map_err(Refusal::Folder);
    }
    if let Some(lost) = table_list_lost(folder).map_err(Refusal::Folder)? {
        return Err(Refusal::Storage(StorageError::TableList { folder: lost }));
    }
    journal::mend(folder, confirmed).map_err(damaged)?;
    let key_spaces = key_spaces(folder).map_err(Refusal::Folder)?;
    if let Err(error) = trim::trim(folder, &key_spaces) {
        tracing::warn!(
            error = &error as &dyn std::error::Error,
            "the journals could not be trimmed; opening takes longer"
        );
    }
    Ok(())
}

/// The database's own lock, so that a running store is left alone.
fn lock(path: &Path) -> Result<File, Refusal> {
    let file = OpenOptions::new()
        .create(true)
        .read(true)
        .write(true)
        .truncate(false)
        .open(path)
        .map_err(Refusal::Folder)?;
    for attempt in 1.. {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::Error(source)) => return Err(Refusal::Folder(source)),
            Err(TryLockError::WouldBlock) if attempt == LOCK_TRIES => return Err(Refusal::Locked),
            // A store that was just stopped may still be closing.
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOCK_PAUSE),
        }
    }
    Ok(file)
}

/// Whether the database was never made to the end: it holds no events then, and cannot be opened.
fn is_unfinished(folder: &Path) -> io::Result<bool> {
    let marker = match std::fs::metadata(folder.join(VERSION_FILE)) {
        Ok(marker) => marker.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    if marker >= VERSION_FILE_BYTES {
        return Ok(false);
    }
    for tables in key_spaces(folder)? {
        if holds_tables(&tables)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A key space that has tables but not the list that names them: the database would delete it as unfinished.
fn table_list_lost(folder: &Path) -> io::Result<Option<PathBuf>> {
    for key_space in key_spaces(folder)? {
        if !key_space.join("current").try_exists()? && holds_tables(&key_space)? {
            return Ok(Some(key_space));
        }
    }
    Ok(None)
}

fn key_spaces(folder: &Path) -> io::Result<Vec<PathBuf>> {
    match std::fs::read_dir(folder.join("keyspaces")) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn holds_tables(key_space: &Path) -> io::Result<bool> {
    match std::fs::read_dir(key_space.join("tables")) {
        Ok(mut entries) => entries.next().transpose().map(|first| first.is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
