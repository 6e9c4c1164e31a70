//! The one thread that writes.
//!
//! It takes every change that waits, decides them in order, writes all their records as one batch, makes the disk
//! confirm it once, and only then shows the records to readers and answers the writers. When the disk fails to confirm,
//! nobody can know what it holds: the process ends, and the next start finds out.
//!
//! A full disk is no such failure. While there is little room, changes are refused. Should another program take the last
//! of it in the middle of a write, the database is opened again without what was half written, and the change is refused.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

use super::confirmed::Confirmed;
use super::decide::{Decided, Decider};
use super::record::ProposedEvent;
use super::{Log, OpenError, StorageError, key};
use crate::config::Config;
use crate::index;

/// The process's exit code when the disk did not confirm a write.
pub const EXIT_DISK_FAILED: i32 = 74;

const CHANGES_IN_A_GROUP: usize = 4096;
const BYTES_IN_A_GROUP: usize = 16 * 1024 * 1024;
const PERMIT_BYTES: usize = 1024;

/// What the writer expects of the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// Nothing.
    Any,
    /// That it has no events.
    NoStream,
    /// That it has events.
    StreamExists,
    /// That this is its newest revision.
    Revision(u64),
}

/// A change to a stream.
#[derive(Debug, Clone)]
pub enum Change {
    /// Add these events, all or none.
    Append(Vec<ProposedEvent>),
    /// Hide what is there; the stream may go on later.
    Delete,
    /// Close the stream for ever.
    Tombstone,
}

impl Change {
    fn size(&self) -> usize {
        match self {
            Change::Append(events) => events.iter().map(ProposedEvent::size).sum(),
            Change::Delete | Change::Tombstone => 0,
        }
    }
}

/// An accepted change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The newest revision that it wrote; `None` if the stream has no events.
    pub revision: Option<u64>,
    /// The position of the last event that it wrote; `None` if it wrote none.
    pub position: Option<u64>,
}

/// Why a change was refused.
#[derive(Debug, Error)]
pub enum WriteError {
    /// The stream is not as expected.
    #[error(
        "stream {stream} is not as expected ({expected:?}): its revision is {current:?}; read it and decide again"
    )]
    WrongExpected {
        /// The stream.
        stream: String,
        /// What was expected.
        expected: Expected,
        /// Its newest revision; `None` if it has no events.
        current: Option<u64>,
    },
    /// The stream is closed.
    #[error("stream {stream} is deleted")]
    StreamDeleted {
        /// The stream.
        stream: String,
    },
    /// The append has too many bytes.
    #[error("the append has {size} bytes and at most {max} are allowed; append fewer events at a time")]
    TooLarge {
        /// Its size in bytes.
        size: usize,
        /// The largest size in bytes.
        max: usize,
    },
    /// The disk is nearly full.
    #[error(
        "the disk has {free} bytes left and {reserved} are reserved; make room, and appends are taken again"
    )]
    DiskFull {
        /// Bytes that are free.
        free: u64,
        /// Bytes that must stay free.
        reserved: u64,
    },
    /// The store is stopping.
    #[error("the event store is stopping; try again when it is back")]
    Stopping,
    /// The disk or the data failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

enum Command {
    Write(Waiting),
    Stop,
}

struct Waiting {
    stream: String,
    expected: Expected,
    change: Change,
    reply: oneshot::Sender<Result<Written, WriteError>>,
    _room: OwnedSemaphorePermit,
}

/// The answer to a change that has been handed to the writer.
pub struct Reply(oneshot::Receiver<Result<Written, WriteError>>);

impl Reply {
    /// Waits until the change is on disk or refused.
    pub async fn wait(self) -> Result<Written, WriteError> {
        self.0.await.unwrap_or(Err(WriteError::Stopping))
    }
}

/// The way to the writing thread.
pub struct Writer {
    sender: UnboundedSender<Command>,
    room: Arc<Semaphore>,
    permits: usize,
}

impl Writer {
    /// Starts the thread. `ended` turns true when it is gone, for whatever reason.
    pub fn start(
        log: Arc<Log>,
        config: &Config,
        ended: watch::Sender<bool>,
    ) -> Result<(Self, JoinHandle<()>), OpenError> {
        let decider = Decider::new(Arc::clone(&log))
            .map_err(|source| OpenError::Storage { data_dir: config.data_dir.clone(), source })?;
        let (sender, receiver) = mpsc::unbounded_channel();
        let mut thread = WriterThread {
            log,
            decider,
            receiver,
            data_dir: config.data_dir.clone(),
            reserved_disk_bytes: config.reserved_disk_bytes,
        };
        let end = EndSignal(ended);
        let handle = std::thread::Builder::new()
            .name("event-log-writer".into())
            .spawn(move || {
                let _end = end;
                thread.run();
            })
            .map_err(OpenError::Thread)?;
        let permits = (config.waiting_appends_bytes / PERMIT_BYTES).clamp(1, Semaphore::MAX_PERMITS);
        Ok((Writer { sender, room: Arc::new(Semaphore::new(permits)), permits }, handle))
    }

    /// Hands a change to the writer; waits while too many others wait. Changes are decided in the order of handing over.
    pub async fn hand_over(
        &self,
        stream: String,
        expected: Expected,
        change: Change,
    ) -> Result<Reply, WriteError> {
        let permits = (1 + change.size() / PERMIT_BYTES).min(self.permits);
        let permits = u32::try_from(permits).unwrap_or(u32::MAX);
        let room =
            Arc::clone(&self.room).acquire_many_owned(permits).await.map_err(|_| WriteError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        let waiting = Waiting { stream, expected, change, reply, _room: room };
        self.sender.send(Command::Write(waiting)).map_err(|_| WriteError::Stopping)?;
        Ok(Reply(answer))
    }

    /// Ends the thread once everything handed over so far is written.
    pub fn stop(&self) {
        self.room.close();
        // The thread is gone already if nobody listens.
        let _ = self.sender.send(Command::Stop);
    }
}

struct EndSignal(watch::Sender<bool>);

impl Drop for EndSignal {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

struct WriterThread {
    log: Arc<Log>,
    decider: Decider,
    receiver: UnboundedReceiver<Command>,
    data_dir: PathBuf,
    reserved_disk_bytes: u64,
}

impl WriterThread {
    fn run(&mut self) {
        loop {
            let (group, stop) = self.next_group();
            if !group.is_empty() {
                self.write(group);
            }
            if stop {
                self.note_confirmed(Confirmed::finish);
                return;
            }
        }
    }

    /// Everything that waits, up to the limits of a group; and whether this is the end.
    fn next_group(&mut self) -> (Vec<Waiting>, bool) {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = self.receiver.blocking_recv();
        loop {
            match next {
                None | Some(Command::Stop) => return (group, true),
                Some(Command::Write(waiting)) => {
                    bytes += waiting.change.size();
                    group.push(waiting);
                }
            }
            if group.len() >= CHANGES_IN_A_GROUP || bytes >= BYTES_IN_A_GROUP {
                return (group, false);
            }
            match self.receiver.try_recv() {
                Ok(command) => next = Some(command),
                Err(_) => return (group, false),
            }
        }
    }

    fn write(&mut self, group: Vec<Waiting>) {
        if self.free_bytes().is_some_and(|free| free < self.reserved_disk_bytes) {
            for waiting in group {
                // The writer may have gone away.
                let _ = waiting.reply.send(Err(self.disk_full()));
            }
            return;
        }
        self.decider.begin();
        let mut answers = Vec::with_capacity(group.len());
        for waiting in group {
            let answer = self.decider.decide(&waiting.stream, waiting.expected, &waiting.change);
            answers.push((waiting.reply, answer));
        }
        let decided = self.decider.take();
        let bytes = decided.records.iter().map(|(_, record)| record.raw().len() as u64).sum();
        let written = self.commit(&decided);
        if written {
            self.publish(decided);
        }
        for (reply, answer) in answers {
            // What was decided on events that were not written does not hold either.
            let answer = if written { answer } else { Err(self.disk_full()) };
            // The writer may have gone away; what it asked for is done all the same.
            let _ = reply.send(answer);
        }
        if written && let Err(error) = self.log.disk.with(|tables| tables.flush_if_due(bytes)) {
            // The events are safe in the journal; should the database be unwell, the next write finds out.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the event store could not start moving events from its journal to tables"
            );
        }
    }

    /// Writes the group. False if the disk had no room for it: then nothing of it is there. Ends the process if nobody can
    /// know what the disk holds.
    fn commit(&mut self, decided: &Decided) -> bool {
        let Some((_, newest)) = decided.records.last() else { return true };
        let newest = newest.position();
        let mut failed = match self.try_commit(decided) {
            Ok(()) => return true,
            Err(failed) => failed,
        };
        if matches!(failed, StorageError::Database(fjall::Error::Poisoned)) {
            tracing::warn!(
                "the database's work in the background had failed; it is opened again before the next write"
            );
            // Nothing was written, so what was decided still holds.
            self.reopen(newest);
            match self.try_commit(decided) {
                Ok(()) => return true,
                Err(error) => failed = error,
            }
        }
        if !is_lack_of_room(&failed) {
            self.end_process(&failed, newest);
        }
        tracing::warn!(error = %failed, "the disk became full in the middle of a write; the write is undone and refused");
        self.reopen(newest);
        // What it decided did not happen.
        match Decider::new(Arc::clone(&self.log)) {
            Ok(decider) => self.decider = decider,
            Err(error) => self.end_process(&error, newest),
        }
        false
    }

    fn try_commit(&self, decided: &Decided) -> Result<(), StorageError> {
        self.log.disk.with(|tables| {
            let mut group = tables.group();
            for (name, number) in &decided.new_streams {
                index::add_stream(tables, &mut group, name, *number);
            }
            for (number, record) in &decided.records {
                group.insert(&tables.records, key(record.position()), record.raw().clone());
                index::add_event(tables, &mut group, *number, record.revision(), record.position());
            }
            Ok(group.commit()?)
        })
    }

    /// Opens the database again, without the group that ends with `newest`.
    fn reopen(&self, newest: u64) {
        match self.log.reopen() {
            Ok(head) if head == self.log.head() => {}
            // It may have been written whole, and only its confirmation failed.
            Ok(_) => self.end_process(&StorageError::Closed, newest),
            Err(error) => self.end_process(&error, newest),
        }
    }

    fn end_process(&self, error: &(dyn std::error::Error + 'static), newest: u64) -> ! {
        tracing::error!(
            error,
            newest,
            data_dir = %self.data_dir.display(),
            "the disk did not confirm a write of the event log; ending the process, because nobody can know what it holds"
        );
        std::process::exit(EXIT_DISK_FAILED);
    }

    /// Shows to readers what is on disk now.
    fn publish(&self, decided: Decided) {
        let Some((_, newest)) = decided.records.last() else { return };
        let head = newest.position();
        self.log.tail.push(decided.records.into_iter().map(|(_, record)| record));
        self.log.head.send_replace(head);
        self.note_confirmed(Confirmed::note);
    }

    fn note_confirmed(&self, note: fn(&mut Confirmed, u64) -> std::io::Result<()>) {
        let mut confirmed = self.log.confirmed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = note(&mut confirmed, self.log.head()) {
            tracing::warn!(%error, "the confirmed position could not be noted; a lost end of the log would not be noticed");
        }
    }

    fn disk_full(&self) -> WriteError {
        WriteError::DiskFull {
            free: self.free_bytes().unwrap_or_default(),
            reserved: self.reserved_disk_bytes,
        }
    }

    /// The bytes that are free on the disk; `None` if the system does not say.
    fn free_bytes(&self) -> Option<u64> {
        let disk = rustix::fs::statvfs(&self.data_dir).ok()?;
        Some(disk.f_bavail.saturating_mul(disk.f_frsize))
    }
}

fn is_lack_of_room(error: &StorageError) -> bool {
    let StorageError::Database(fjall::Error::Io(error)) = error else { return false };
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}
