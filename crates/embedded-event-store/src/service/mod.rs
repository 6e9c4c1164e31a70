//! What the store can do, in our own terms: append, delete, read, subscribe.
//!
//! Nothing here knows the protocol. Readers pull pages of bounded size, so a slow reader holds one page and no queue.

mod access;
mod checkpoints;
mod filter;
mod links;
mod projected;
mod read;
mod subscribe;
mod view;

use std::sync::Arc;
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::log::record::{ProposedEvent, Record};
use crate::log::writer::{Change, Expected, Reply, WriteError, Writer, Written};
use crate::log::{Log, OpenError, StorageError};

pub use access::{Access, Act, Rights, WrongCredentials};
pub use checkpoints::Spacing;
pub use filter::{EventFilter, FilterOn};
pub use read::{AllRead, Direction, StreamRead};
pub use subscribe::{AllSubscription, Message, StreamSubscription};

/// Most events in one page.
const PAGE_EVENTS: usize = 512;
/// Most bytes in one page (one event more may be in it).
const PAGE_BYTES: usize = 512 * 1024;

/// Where to start to read or to subscribe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The oldest event.
    Start,
    /// The newest event.
    End,
    /// A revision of the stream, or a position of the log.
    At(u64),
}

/// An event as a reader gets it.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The event; `None` if a link leads to an event that is gone.
    pub event: Option<Arc<Record>>,
    /// The link that led to it, if links are resolved and it was one.
    pub link: Option<Arc<Record>>,
}

/// Why a read or a subscription failed.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The stream is closed.
    #[error("stream {stream} is deleted")]
    StreamDeleted {
        /// The stream.
        stream: String,
    },
    /// Only a system projection would write to the stream, and nobody has.
    #[error(
        "stream {stream} is written by a system projection, and this event store has none; read $all with a filter, or \
         append to the stream yourself"
    )]
    Unprojected {
        /// The stream.
        stream: String,
    },
    /// The position is beyond the log.
    #[error(
        "position {position} is beyond the end of the log ({head}); this checkpoint comes from another store"
    )]
    BeyondEnd {
        /// The position that was asked for.
        position: u64,
        /// The newest position.
        head: u64,
    },
    /// The reader may not read this, or not any more.
    #[error("Access Denied")]
    Denied,
    /// The filter's expression took too long on an event.
    #[error("the filter's regular expression failed on an event; make it simpler")]
    Filter(#[source] Box<fancy_regex::Error>),
    /// The store is stopping.
    #[error("the event store is stopping; subscribe again when it is back")]
    Stopping,
    /// The disk or the data failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// An open store.
pub struct Store {
    log: Arc<Log>,
    writer: Writer,
    access: Arc<Access>,
    stopping: CancellationToken,
    max_append_bytes: usize,
}

impl Store {
    /// Opens the store. Waits for the disk. `ended` turns true when the writing thread is gone, for whatever reason.
    pub fn open(
        config: &Config,
        ended: watch::Sender<bool>,
    ) -> Result<(Arc<Self>, JoinHandle<()>), OpenError> {
        let log = Arc::new(Log::open(config)?);
        let (writer, thread) = Writer::start(Arc::clone(&log), config, ended)?;
        let store = Store {
            access: Access::new(Arc::clone(&log), config),
            log,
            writer,
            stopping: CancellationToken::new(),
            max_append_bytes: config.max_append_bytes,
        };
        Ok((Arc::new(store), thread))
    }

    /// The largest append, in bytes.
    pub fn max_append_bytes(&self) -> usize {
        self.max_append_bytes
    }

    /// Who may do what.
    pub fn access(&self) -> &Arc<Access> {
        &self.access
    }

    /// Turns to cancelled when the store begins to stop.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// Ends all subscriptions. Appends are still taken.
    pub fn end_subscriptions(&self) {
        self.stopping.cancel();
    }

    /// Ends the writing thread once everything handed over so far is written.
    pub fn stop_writing(&self) {
        self.writer.stop();
    }

    /// Hands an append to the writer. The order of handing over is the order in which appends are decided.
    pub async fn append(
        &self,
        stream: String,
        expected: Expected,
        events: Vec<ProposedEvent>,
    ) -> Result<Reply, WriteError> {
        let size = events.iter().map(ProposedEvent::size).sum();
        if size > self.max_append_bytes {
            return Err(WriteError::TooLarge { size, max: self.max_append_bytes });
        }
        self.writer.hand_over(stream, expected, Change::Append(events)).await
    }

    /// Appends events of the store's own, whatever the stream's state and the events' size.
    pub async fn append_own(
        &self,
        stream: String,
        events: Vec<ProposedEvent>,
    ) -> Result<Written, WriteError> {
        self.writer.hand_over(stream, Expected::Any, Change::Append(events)).await?.wait().await
    }

    /// The position of the newest event; 0 in an empty log.
    pub fn head(&self) -> u64 {
        self.log.head()
    }

    /// Hides the stream's events; it may go on later.
    pub async fn delete(&self, stream: String, expected: Expected) -> Result<Written, WriteError> {
        self.writer.hand_over(stream, expected, Change::Delete).await?.wait().await
    }

    /// Closes the stream for ever.
    pub async fn tombstone(&self, stream: String, expected: Expected) -> Result<Written, WriteError> {
        self.writer.hand_over(stream, expected, Change::Tombstone).await?.wait().await
    }
}

/// Runs what may wait for the disk on a thread that may wait.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StorageError> + Send + 'static,
) -> Result<T, StorageError> {
    tokio::task::spawn_blocking(work).await.map_err(StorageError::Reader)?
}
