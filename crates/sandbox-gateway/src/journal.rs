//! The journal: every change as one line of JSON, written before it is answered and read back at the start.
//!
//! One line is written with one call, so a killed process leaves whole lines, and at most the last one torn. From time to
//! time it is written anew, with what still counts.

use crate::failure::Failure;
use crate::intent::{Happening, Intent};
use crate::refund::Refund;
use serde::{Deserialize, Serialize};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use thiserror::Error;
use tracing::warn;

/// One change, whole: what there is now, the answer that its key gets, and what is to be told.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Record {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<Arc<Intent>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund: Option<Arc<Refund>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventRecord>,
    /// The event that need not be told any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<String>,
    /// Whether it shows its intent and its refund as they were when the request was answered, and not as they are.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_past: bool,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct RequestRecord {
    pub key: String,
    pub fingerprint: String,
    /// When it came, in milliseconds since 1970; 0 if an older version wrote it.
    #[serde(default)]
    pub at: i64,
    /// Without one, the answer is the record's refund, or its intent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct EventRecord {
    pub id: String,
    pub happening: Happening,
    pub created: i64,
    /// The request that it comes from, if it does not stand beside.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// The journal cannot be used.
#[derive(Debug, Error)]
pub enum JournalError {
    /// The file or its folder.
    #[error("{} cannot be opened: check that the folder may be written", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another gateway has it.
    #[error("{} is in use by another sandbox gateway: stop that one, or take another folder", path.display())]
    InUse {
        /// Which file.
        path: PathBuf,
    },
    /// A line that is not the last one cannot be read.
    #[error("line {line} of {} cannot be read: move the file away to begin anew", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// Which line, counted from one.
        line: u64,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Held as long as the journal is open. It is a file of its own because a journal that is written anew is another
    /// file.
    lock: File,
    /// In bytes.
    length: u64,
    records: usize,
    /// A half-written line could not be taken back: nothing may follow it.
    broken: bool,
}

impl Journal {
    /// Opens the journal of a folder, and hands over what it holds, in order.
    pub fn open(folder: &Path, mut apply: impl FnMut(Record)) -> Result<Self, JournalError> {
        let path = folder.join("journal.jsonl");
        let failed = |source| JournalError::Io { path: path.clone(), source };
        fs::create_dir_all(folder).map_err(failed)?;
        let lock = File::create(folder.join("journal.lock")).map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(JournalError::InUse { path }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        // Whoever wrote it was stopped before it counted.
        match fs::remove_file(new_one(&path)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file = open_to_append(&path).map_err(failed)?;
        let mut reader = BufReader::with_capacity(1 << 20, &file);
        let (mut line, mut number, mut length, mut records) = (Vec::new(), 0, 0, 0);
        loop {
            line.clear();
            let read = reader.read_until(b'\n', &mut line).map_err(failed)?;
            if read == 0 {
                break;
            }
            number += 1;
            if line.last() != Some(&b'\n') {
                warn!(
                    line = number,
                    "the journal's last line is torn: its request was never answered, and is dropped"
                );
                file.set_len(length).map_err(failed)?;
                break;
            }
            let record = serde_json::from_slice(&line);
            apply(record.map_err(|source| JournalError::Damaged {
                path: path.clone(),
                line: number,
                source,
            })?);
            length += u64::try_from(read).unwrap_or(u64::MAX);
            records += 1;
        }
        drop(reader);
        Ok(Self { path, file, lock, length, records, broken: false })
    }

    /// On a full disk.
    #[cfg(test)]
    pub fn that_cannot_write() -> Self {
        let path = PathBuf::from("/dev/full");
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let lock = file.try_clone().unwrap();
        Self { path, file, lock, length: 0, records: 0, broken: false }
    }

    /// Writes one change. After an error nothing of it is there.
    pub fn append(&mut self, record: &Record) -> io::Result<()> {
        if self.broken {
            return Err(io::Error::other("a half-written line could not be taken back: restart the gateway"));
        }
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        if let Err(error) = self.file.write_all(&line) {
            self.broken = self.file.set_len(self.length).is_err();
            return Err(error);
        }
        self.length += u64::try_from(line.len()).unwrap_or(u64::MAX);
        self.records += 1;
        Ok(())
    }

    /// How long it is, in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// How many changes are in it.
    pub fn records(&self) -> usize {
        self.records
    }

    /// Puts these records into the place of all that are there. Whenever the process or the machine stops, there is the
    /// old journal or the new one, whole: the new one is on the disk before it gets the old one's name.
    pub fn write_anew(&mut self, all: impl Iterator<Item = Record>) -> io::Result<()> {
        let new_path = new_one(&self.path);
        let written = write_whole(&new_path, all);
        let renamed = written.and_then(|written| fs::rename(&new_path, &self.path).map(|()| written));
        let (file, length, records) = renamed.inspect_err(|_| {
            // The next one begins with an empty file anyhow.
            let _ = fs::remove_file(&new_path);
        })?;
        (self.file, self.length, self.records, self.broken) = (file, length, records, false);
        let folder = self.path.parent().unwrap_or(Path::new("."));
        File::open(folder)?.sync_all()
    }
}

fn new_one(path: &Path) -> PathBuf {
    path.with_extension("jsonl.new")
}

fn open_to_append(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

/// Writes a journal that is on the disk in the end; gives it with its length and the number of its records.
fn write_whole(path: &Path, all: impl Iterator<Item = Record>) -> io::Result<(File, u64, usize)> {
    let file = open_to_append(path)?;
    file.set_len(0)?;
    let mut writer = BufWriter::with_capacity(1 << 20, file);
    let mut records = 0;
    for record in all {
        serde_json::to_writer(&mut writer, &record)?;
        writer.write_all(b"\n")?;
        records += 1;
    }
    let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    let length = file.metadata()?.len();
    Ok((file, length, records))
}

impl Drop for Journal {
    /// Closing the file would do, were it not for child processes: one that is being started has it open too, for a
    /// moment, and would keep it locked.
    fn drop(&mut self) {
        if let Err(error) = self.lock.unlock() {
            warn!(%error, "the journal could not be unlocked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn told(id: &str) -> Record {
        Record { told: Some(id.to_owned()), ..Record::default() }
    }

    fn read(folder: &Path) -> Result<Vec<String>, JournalError> {
        let mut ids = Vec::new();
        Journal::open(folder, |record| ids.extend(record.told)).map(|_| ids)
    }

    #[rstest]
    #[case::whole(0, &["a", "b"])]
    #[case::torn(1, &["a"])]
    #[case::torn_in_the_middle(8, &["a"])]
    fn what_was_written_whole_comes_back(#[case] missing: u64, #[case] expected: &[&str]) {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), drop).unwrap();
        journal.append(&told("a")).unwrap();
        journal.append(&told("b")).unwrap();
        journal.file.set_len(journal.length - missing).unwrap();
        drop(journal);
        assert_eq!(read(folder.path()).unwrap(), expected);
        // What comes next is not glued to the torn line.
        Journal::open(folder.path(), drop).unwrap().append(&told("c")).unwrap();
        assert_eq!(read(folder.path()).unwrap(), [expected, &["c"]].concat());
    }

    #[test]
    fn damage_before_the_end_is_said_and_not_dropped() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("journal.jsonl"), "{\"told\":\"a\"}\n{\"to\n{\"told\":\"b\"}\n")
            .unwrap();
        assert!(matches!(read(folder.path()), Err(JournalError::Damaged { line: 2, .. })));
    }

    #[test]
    fn a_folder_has_one_gateway() {
        let folder = tempfile::tempdir().unwrap();
        let journal = Journal::open(folder.path(), drop).unwrap();
        assert!(matches!(read(folder.path()), Err(JournalError::InUse { .. })));
        drop(journal);
        assert!(read(folder.path()).is_ok());
    }
}
