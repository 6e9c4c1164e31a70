//! The one thread that writes.
//!
//! It takes every change that waits, decides them in order, writes all their records as one batch, makes the disk
//! confirm it once, and only then shows the records to readers and answers the writers. When the disk fails to confirm,
//! nobody can know what it holds: the process ends, and the next start finds out.
//!
//! A full disk is no such failure. While there is little room, changes are refused. Should another program take the last
//! of it in the middle of a write, the database is opened again without what was half written, and the change is refused.
//!
//! Nor is a process without a descriptor left, for which nothing can be opened. Nothing is written then, changes are
//! refused, and the database is opened again as soon as there are descriptors.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use connection_limits::descriptors;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};

pub use super::change::{Change, Expected, WriteError, Written};
use super::confirmed::Confirmed;
use super::decide::{Decided, Decider};
use super::shortage::{is_lack_of_room, is_shortage, note_no_descriptors};
use super::{Log, OpenError, StorageError, key};
use crate::config::Config;
use crate::index;

/// The process's exit code when the disk did not confirm a write.
pub const EXIT_DISK_FAILED: i32 = 74;

const CHANGES_IN_A_GROUP: usize = 4096;
const BYTES_IN_A_GROUP: usize = 16 * 1024 * 1024;
const PERMIT_BYTES: usize = 1024;
/// How often it is tried to open the database while there is no descriptor for it.
const PAUSE_WITHOUT_DESCRIPTORS: Duration = Duration::from_millis(50);

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
            awaits_descriptors: false,
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
    /// The database, or what was decided, has to be opened again before the next write.
    awaits_descriptors: bool,
}

/// The process has no descriptor left.
struct NoDescriptors;

/// Why a group was not written. Nothing of it is there.
#[derive(Clone, Copy)]
enum Undone {
    DiskFull,
    NoDescriptors,
}

impl WriterThread {
    fn run(&mut self) {
        loop {
            let (group, mut stop) = self.next_group();
            if !group.is_empty() {
                self.write(group);
            }
            if self.awaits_descriptors && !stop {
                stop = self.refuse_until_open();
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
        let mut is_short = false;
        for waiting in group {
            let answer = self.decider.decide(&waiting.stream, waiting.expected, &waiting.change);
            is_short |= answer.as_ref().is_err_and(is_shortage);
            answers.push((waiting.reply, answer));
        }
        let decided = self.decider.take();
        let bytes = decided.records.iter().map(|(_, record)| record.raw().len() as u64).sum();
        // What could not be looked up may have been decided in part: none of the group is written.
        let committed = if is_short { Err(self.forget(&decided)) } else { self.commit(&decided) };
        if committed.is_ok() {
            self.publish(decided);
        }
        for (reply, answer) in answers {
            // What was decided on events that were not written does not hold either.
            let answer = match committed {
                Ok(()) => answer,
                Err(Undone::DiskFull) => Err(self.disk_full()),
                Err(Undone::NoDescriptors) => Err(WriteError::NoDescriptors),
            };
            // The writer may have gone away; what it asked for is done all the same.
            let _ = reply.send(answer);
        }
        if committed.is_ok()
            && let Err(error) = self.log.disk.with(|tables| tables.flush_if_due(bytes))
        {
            // The events are safe in the journal; should the database be unwell, the next write finds out.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the event store could not start moving events from its journal to tables"
            );
        }
    }

    /// Writes the group. Ends the process if nobody can know what the disk holds.
    fn commit(&mut self, decided: &Decided) -> Result<(), Undone> {
        let Some((_, newest)) = decided.records.last() else { return Ok(()) };
        let newest = newest.position();
        let mut failed = match self.try_commit(decided) {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        if matches!(failed, StorageError::Database(fjall::Error::Poisoned)) {
            tracing::warn!(
                "the database's work in the background had failed; it is opened again before the next write"
            );
            // Nothing was written, so what was decided still holds, unless it cannot be opened now.
            if let Err(NoDescriptors) = self.reopen(newest) {
                self.awaits_descriptors = true;
                return Err(Undone::NoDescriptors);
            }
            match self.try_commit(decided) {
                Ok(()) => return Ok(()),
                Err(error) => failed = error,
            }
        }
        let undone = match &failed {
            failed if is_lack_of_room(failed) => Undone::DiskFull,
            failed if descriptors::is_behind(failed) => Undone::NoDescriptors,
            failed => self.end_process(failed, newest),
        };
        tracing::warn!(error = %failed, "a write could not be finished; it is undone and refused");
        if let Err(NoDescriptors) = self.open_again(newest) {
            self.awaits_descriptors = true;
        }
        Err(undone)
    }

    /// Forgets what was decided in a group that is not written.
    fn forget(&mut self, decided: &Decided) -> Undone {
        note_no_descriptors();
        let newest = decided.records.last().map_or(self.log.head(), |(_, newest)| newest.position());
        if let Err(NoDescriptors) = self.decide_again(newest) {
            self.awaits_descriptors = true;
        }
        Undone::NoDescriptors
    }

    /// Refuses what comes until there are descriptors to open the database with. True when told to stop.
    fn refuse_until_open(&mut self) -> bool {
        while let Err(NoDescriptors) = self.open_again(self.log.head()) {
            std::thread::sleep(PAUSE_WITHOUT_DESCRIPTORS);
            while let Ok(command) = self.receiver.try_recv() {
                match command {
                    Command::Stop => return true,
                    // The writer may have gone away.
                    Command::Write(waiting) => drop(waiting.reply.send(Err(WriteError::NoDescriptors))),
                }
            }
        }
        self.awaits_descriptors = false;
        tracing::info!("the event store is open again, and takes events");
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

    /// Opens the database again, without the group that ends with `newest`, and forgets what was decided in it.
    fn open_again(&mut self, newest: u64) -> Result<(), NoDescriptors> {
        self.reopen(newest)?;
        self.decide_again(newest)
    }

    /// Opens the database again, without the group that ends with `newest`.
    fn reopen(&self, newest: u64) -> Result<(), NoDescriptors> {
        match self.log.reopen() {
            Ok(head) if head == self.log.head() => Ok(()),
            // It may have been written whole, and only its confirmation failed.
            Ok(_) => self.end_process(&StorageError::Closed, newest),
            Err(error) if descriptors::is_behind(&error) => {
                note_no_descriptors();
                Err(NoDescriptors)
            }
            Err(error) => self.end_process(&error, newest),
        }
    }

    /// Goes on from what is on disk: what was decided beyond it did not happen.
    fn decide_again(&mut self, newest: u64) -> Result<(), NoDescriptors> {
        match Decider::new(Arc::clone(&self.log)) {
            Ok(decider) => {
                self.decider = decider;
                Ok(())
            }
            Err(error) if descriptors::is_behind(&error) => {
                note_no_descriptors();
                Err(NoDescriptors)
            }
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
        let lists = decided.records.iter().rfind(|(_, record)| record.is_about_access());
        let lists = lists.map(|(_, record)| record.position());
        self.log.tail.push(decided.records.into_iter().map(|(_, record)| record));
        self.log.head.send_replace(head);
        if let Some(position) = lists {
            self.log.lists.send_replace(position);
        }
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
