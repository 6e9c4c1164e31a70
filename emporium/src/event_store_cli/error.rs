use super::line::LineError;
use crate::secrets::SecretError;
use embedded_event_store::{OpenError, StartError, VerifyError};
use event_store::{AppendError, EventStoreError, InvalidConnectionString};
use http_boundary::ListenError;
use std::io;
use std::path::PathBuf;
use thiserror::Error;
use tokio::task::JoinError;

/// Why a command about an event store was not carried out.
#[derive(Debug, Error)]
pub enum EventStoreCliError {
    #[error("there is no event store in `{}`: give the folder that holds one with --data-dir", path.display())]
    NoSuchFolder { path: PathBuf },
    #[error("the folder `{}` cannot be read", path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the data folder `{}` cannot be made: give another one with --data-dir", path.display())]
    DataFolder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the users in `{}` cannot be read ({why}): give JSON as `--help` shows it", path.display())]
    Users { path: PathBuf, why: String },
    #[error("the process cannot hear signals; look at what limits it")]
    Signal(#[source] io::Error),
    #[error(transparent)]
    Password(#[from] SecretError),
    #[error("the embedded event store cannot start")]
    Start(#[from] StartError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error("the embedded event store has died ({0}); start it again")]
    Died(String),
    #[error(transparent)]
    Address(#[from] InvalidConnectionString),
    #[error(transparent)]
    Store(EventStoreError),
    #[error(
        "the event store does not let this user do it (access denied): look at user and password in the address. An address of \
         this machine without a user gets the password from `event-store-password` in EMPORIUM_DATA_DIR. An export reads the \
         whole log ($all), and an import reads it too and appends to every stream: `admin` may do all of that"
    )]
    AccessDenied,
    #[error("only a store that is not running can be read so: stop the service first")]
    InUse(#[source] OpenError),
    #[error("the data folder `{}` is damaged: restore it from a copy", path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: VerifyError,
    },
    #[error("the task that read the disk broke down; try again")]
    Reading(#[source] JoinError),
    #[error("`{}` cannot be written: look at its folder and at the room on the disk", path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("`{}` cannot be read: give a file that `emporium event-store export` has written", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("line {line} of `{}` is not an exported event: give a file that `emporium event-store export` has written", path.display())]
    Line {
        path: PathBuf,
        line: u64,
        #[source]
        source: LineError,
    },
    #[error(
        "`{}` has not the last line that belongs to its {events} events, so some are missing: copy the file again, or export again",
        path.display()
    )]
    Cut { path: PathBuf, events: u64 },
    #[error(
        "the import has not ended, and {there} events of the file are in the target: import the whole file again, and it goes on \
         from there; until then no service uses this log"
    )]
    NotEnded {
        there: u64,
        #[source]
        source: Box<EventStoreCliError>,
    },
    #[error(
        "the import has not ended, and {there} events of the file are in the target, which no service uses now"
    )]
    Stuck {
        there: u64,
        #[source]
        source: Box<EventStoreCliError>,
    },
    #[error(
        "the target has other events in stream `{stream}` than the file (from revision {revision} on): nothing more was \
         imported; choose a target that holds nothing of it"
    )]
    OtherEvents { stream: String, revision: u64 },
    #[error(
        "the target holds something else than the file, first revision {revision} of stream `{stream}`: nothing was \
         imported; choose an empty target, or give --alongside if both are to be in it"
    )]
    SomethingElse { stream: String, revision: u64 },
    #[error(
        "the file goes on with revision {revision} of stream `{stream}`, but the target has it {standing}: import what comes \
         before it first, from an export of the whole log"
    )]
    BeginningMissing { stream: String, revision: u64, standing: Standing },
    #[error("stream `{stream}` was not appended to; import the same file again, and it continues from here")]
    Append {
        stream: String,
        #[source]
        source: AppendError,
    },
}

impl From<EventStoreError> for EventStoreCliError {
    fn from(error: EventStoreError) -> Self {
        match error {
            // Nobody who runs a command has the /readyz that a service would name.
            EventStoreError::AccessDenied => Self::AccessDenied,
            error => Self::Store(error),
        }
    }
}

impl EventStoreCliError {
    /// An append to this stream has failed.
    pub fn of_append(stream: &str, source: AppendError) -> Self {
        match source {
            AppendError::AccessDenied => Self::AccessDenied,
            source => Self::Append { stream: stream.to_owned(), source },
        }
    }

    /// The same, of an import that has so many events of its file in the target.
    pub fn with_there(self, there: u64) -> Self {
        let source = Box::new(self);
        match *source {
            Self::OtherEvents { .. } | Self::BeginningMissing { .. } => Self::Stuck { there, source },
            _ => Self::NotEnded { there, source },
        }
    }
}

/// How far a stream of the target goes.
#[derive(Debug, Clone, Copy)]
pub struct Standing(pub Option<u64>);

impl std::fmt::Display for Standing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            None => f.write_str("not at all"),
            Some(last) => write!(f, "up to revision {last}"),
        }
    }
}
