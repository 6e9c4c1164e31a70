//! Why a worker begins again, or gives up.

use crate::checkpoint::StepError;
use crate::parking::TakeUpError;
use crate::projection::ApplyError;
use crate::provenance::ProvenanceError;
use event_store::{EventStoreError, Position};
use thiserror::Error;

/// Why a session with the database ended.
#[derive(Debug, Error)]
pub(super) enum Ended {
    #[error(transparent)]
    Step(#[from] StepError),
    #[error("the log could not be read")]
    EventStore(#[from] EventStoreError),
    #[error(
        "the log has not the event at position {0} that was applied last, as one restored from a backup: the tables are \
         filled again alongside"
    )]
    Lost(Position),
}

impl From<TakeUpError> for Ended {
    fn from(error: TakeUpError) -> Self {
        match error {
            TakeUpError::Step(error) => Self::Step(error),
            TakeUpError::EventStore(error) => Self::EventStore(error),
        }
    }
}

impl From<ProvenanceError> for Ended {
    fn from(error: ProvenanceError) -> Self {
        match error {
            ProvenanceError::Database(error) => error.into(),
            ProvenanceError::EventStore(error) => Self::EventStore(error),
        }
    }
}

impl From<sqlx::Error> for Ended {
    fn from(error: sqlx::Error) -> Self {
        Self::Step(error.into())
    }
}

impl Ended {
    /// Whether the trouble is the database's and may pass: then the worker begins again from its checkpoint.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Step(StepError::WentBack { .. } | StepError::Gone { .. }) => true,
            Self::Step(StepError::Apply(ApplyError::Database(error))) => is_passing_trouble(error),
            Self::EventStore(_) => true,
            Self::Step(_) | Self::Lost(_) => false,
        }
    }
}

fn is_passing_trouble(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Connection exceptions, rolled back for other transactions, no resources, an operator's hand, the
        // system; no such database or table yet: somebody else is about to make them.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            ["08", "40", "53", "57", "58", "55"].iter().any(|class| code.starts_with(class))
                || code == "3D000"
                || code == "42P01"
        }),
        _ => false,
    }
}
