//! What a worker says of itself.

use crate::share::Share;
use api::projections::ProjectionWorker;
use event_store::{LogId, Position};
use serde::Serialize;

/// How a projection is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    pub name: &'static str,
    /// The version of the tables.
    pub version: i32,
    /// Which part of it, of how many.
    pub shard: i16,
    pub shards: i16,
    /// The last position whose effect is in the tables.
    pub position: Option<Position>,
    /// Events applied by this worker since it started.
    pub applied: u64,
    /// Streams that are put aside.
    pub parked: usize,
    #[serde(flatten)]
    pub state: State,
}

/// What a worker is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Not yet at work.
    Starting,
    /// Another runner is at work on this projection; this one takes over when that one ends.
    Waiting,
    /// At work.
    Running,
    /// The database is away; it tries again and again.
    DatabaseAway { error: String },
    /// The event store is away; it tries again and again.
    EventStoreAway { error: String },
    /// The log does not go as far as the tables. It was restored from a backup, or the node that answers is behind the others:
    /// that is seen within seconds.
    LogSeemsShort { error: String },
    /// The tables are of another log, and the present one is no copy of it: nothing is filled.
    OfAnotherHistory { error: String },
    /// Another service keeps the tables up to date from another log: nothing is filled beside its own.
    OfAnotherShop { error: String },
    /// The event store does not let its user follow the log; it tries again and again.
    EventStoreAccessDenied { error: String },
    /// It has given up. Somebody must look, and start the service again.
    Failed { error: String },
    /// It was told to stop.
    Stopped,
}

impl State {
    /// The present log has nothing to do with the read models.
    pub(crate) fn of_another_history(other: LogId, present: LogId) -> Self {
        let error = format!(
            "the read models are of the log {other}, and the present log {present} is no copy of it: import the history \
             (docs/operations.md, \"Moving to another event store\"), or give the address of the right event store; to start a \
             new shop with this database, say --replace-read-models (EMPORIUM_REPLACE_READ_MODELS)"
        );
        Self::OfAnotherHistory { error }
    }

    /// Somebody else is at work with this database.
    pub(crate) fn of_another_shop(other: LogId, present: LogId) -> Self {
        let error = format!(
            "another service is at work with this database and fills its read models from the log {other}, and this service \
             follows the log {present}: give each shop a database of its own (DATABASE_URL), or, if the shop has moved, stop \
             the service that still follows the old log"
        );
        Self::OfAnotherShop { error }
    }
}

impl Status {
    pub(crate) fn new(share: Share) -> Self {
        let Share { name, version, shard, shards } = share;
        Self { name, version, shard, shards, position: None, applied: 0, parked: 0, state: State::Starting }
    }

    /// As it is told over HTTP.
    pub(crate) fn told(&self) -> ProjectionWorker {
        let (state, error) = self.state.in_words();
        ProjectionWorker {
            name: self.name.to_owned(),
            version: self.version,
            shard: self.shard,
            shards: self.shards,
            position: self.position.map(Position::value),
            applied: self.applied,
            parked: self.parked,
            state: state.to_owned(),
            error: error.map(str::to_owned),
        }
    }

    pub(crate) fn share(&self) -> Share {
        Share { name: self.name, version: self.version, shard: self.shard, shards: self.shards }
    }

    /// Whether it will never move again.
    pub(crate) fn has_ended(&self) -> bool {
        matches!(self.state, State::Failed { .. } | State::Stopped)
    }

    /// Why nothing is filled from the present log, if it is no copy of the one that the tables are of, or if another service
    /// keeps them up to date from that one.
    #[must_use]
    pub fn is_of_another_history(&self) -> Option<&str> {
        match &self.state {
            State::OfAnotherHistory { error } | State::OfAnotherShop { error } => Some(error),
            _ => None,
        }
    }

    /// Whether its tables follow the log, by this runner's hand or another's.
    #[must_use]
    pub fn is_well(&self) -> bool {
        matches!(self.state, State::Running | State::Waiting)
    }
}

impl State {
    /// Its name, and what is wrong.
    fn in_words(&self) -> (&'static str, Option<&str>) {
        match self {
            Self::Starting => ("starting", None),
            Self::Waiting => ("waiting", None),
            Self::Running => ("running", None),
            Self::DatabaseAway { error } => ("database_away", Some(error)),
            Self::EventStoreAway { error } => ("event_store_away", Some(error)),
            Self::LogSeemsShort { error } => ("log_seems_short", Some(error)),
            Self::OfAnotherHistory { error } => ("of_another_history", Some(error)),
            Self::OfAnotherShop { error } => ("of_another_shop", Some(error)),
            Self::EventStoreAccessDenied { error } => ("event_store_access_denied", Some(error)),
            Self::Failed { error } => ("failed", Some(error)),
            Self::Stopped => ("stopped", None),
        }
    }
}
