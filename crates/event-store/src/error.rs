use thiserror::Error;

/// The text does not name an event store. The text itself is left out: it may hold a password.
#[derive(Debug, Error)]
#[error("this is not an event store's address ({reason}): give one such as esdb://127.0.0.1:2113?tls=false")]
pub struct InvalidConnectionString {
    /// What is wrong with it.
    pub reason: String,
}

/// Why a read got no answer.
#[derive(Debug, Clone, Error)]
pub enum EventStoreError {
    /// The node cannot be reached, or did not answer.
    #[error("the event store cannot be reached ({0}): check that it runs and that its address is right")]
    Unavailable(String),
    /// The store answered something else than events.
    #[error("the event store refused the request: {0}")]
    Refused(String),
    /// The store's user may not do this. Asking again does not help before somebody gives the user the right.
    #[error(
        "the event store does not allow this to its user (access denied): /readyz names the rights that are missing"
    )]
    AccessDenied,
    /// Somebody has closed the stream for good, with a tombstone: it can be neither read nor written any more.
    #[error("somebody has deleted the stream for good")]
    Deleted,
}

impl EventStoreError {
    /// What the log and `/readyz` say of a follower of the log that met this error, and tries again by itself.
    #[must_use]
    pub fn interruption(&self) -> String {
        match self {
            Self::Unavailable(error) => format!("the event store is away: {error}"),
            Self::Refused(_) | Self::AccessDenied | Self::Deleted => self.to_string(),
        }
    }
}

/// Why an append was not taken, or not known to be.
#[derive(Debug, Clone, Error)]
pub enum AppendError {
    /// The stream does not stand where it was expected: somebody else wrote.
    #[error("the stream has moved on: read it again and decide again")]
    Conflict,
    /// More bytes than the store takes at once.
    #[error("an append of {bytes} bytes is more than the event store takes at once ({max})")]
    TooLarge {
        /// Bytes of payloads and metadata.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// No answer came: it may have been taken or not. Read the stream again to know.
    #[error(
        "the event store did not answer ({0}): read the stream again to see whether the append was taken"
    )]
    Unknown(String),
    /// The store's user may not append there.
    #[error(
        "the event store does not allow the append to its user (access denied): /readyz names the rights that are missing"
    )]
    AccessDenied,
    /// The store answered something else.
    #[error("the event store refused the append: {0}")]
    Refused(String),
}

/// Why TCP_NODELAY could not be set on the connections to the event store.
#[derive(Debug, Error)]
pub enum NagleError {
    /// None of the addresses is known to the resolver.
    #[error("none of the event store's hosts ({hosts}) has an address")]
    Unresolved {
        /// As in the connection string.
        hosts: String,
        #[source]
        source: std::io::Error,
    },
    /// The process cannot look at its own sockets, or not change them.
    #[error("the process's own sockets, in /proc/self/fd, cannot be looked at or changed")]
    Sockets(#[source] std::io::Error),
    /// The client is connected, and not to where it should be.
    #[error(
        "no connection of this process leads to {hosts}, or to another port there, or to this port elsewhere"
    )]
    NotFound {
        /// As in the connection string.
        hosts: String,
    },
}
