use crate::OwnStream;
use thiserror::Error;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A named lock in the event store, held by one process of all that ask for it. Dropping it lets go of it.
///
/// It is held as long as a connection of its own stands. A process that dies lets go at once, one whose network is gone
/// when the server's pings find no answer; the next one may then hold it before the first one knows. So the lock spares
/// work; what must never happen twice is guarded by expected revisions.
#[derive(Debug)]
pub struct Lock {
    stream: OwnStream,
    lost: watch::Receiver<Option<String>>,
    watching: JoinHandle<()>,
}

/// What the name of a lock's stream begins with.
const PREFIX: &str = "lock-";

impl Lock {
    /// Whether a stream is that of a lock. Nothing is ever written into one.
    #[must_use]
    pub fn is_stream(stream: &str) -> bool {
        stream.starts_with(PREFIX)
    }

    /// The first name of the stream of the lock of this name.
    pub(crate) fn stream_of(name: &str) -> String {
        format!("{PREFIX}{name}")
    }

    pub(crate) fn new(
        stream: OwnStream,
        lost: watch::Receiver<Option<String>>,
        watching: JoinHandle<()>,
    ) -> Self {
        Self { stream, lost, watching }
    }

    /// The stream whose consumer the holder is.
    #[must_use]
    pub fn stream(&self) -> &OwnStream {
        &self.stream
    }

    /// Waits until the lock is lost, for as long as it is held; gives the reason.
    pub async fn lost(&self) -> String {
        let mut lost = self.lost.clone();
        match lost.wait_for(Option::is_some).await {
            Ok(reason) => reason.clone().unwrap_or_default(),
            Err(_) => "the task that watches the lock has ended".to_owned(),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.watching.abort();
    }
}

/// Why a lock is not held yet.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotLocked {
    /// Another process holds it.
    #[error("another process holds the lock")]
    HeldElsewhere,
    /// The store cannot be reached, or did not answer.
    #[error("the event store cannot be reached ({0}): check that it runs and that its address is right")]
    Unavailable(String),
    /// The store does not let us.
    #[error("the event store refused the lock ({0}): let its user make and consume persistent subscriptions")]
    Refused(String),
}
