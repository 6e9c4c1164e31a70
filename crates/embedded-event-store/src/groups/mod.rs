//! Consumer groups, which the protocol calls persistent subscriptions: the store remembers how far a group has come.
//!
//! A group follows a stream or the whole log. Each event goes to one of the group's consumers, which says whether it is
//! done, to be given again, or to be parked. `deliveries` decides who gets what, without any I/O; `task` runs one group;
//! `stored` is what a group leaves in the log (settings, checkpoint, parked messages), so that it survives a restart;
//! `registry` knows all the groups.

mod checkpoint;
mod commands;
mod consumers;
mod deliveries;
mod info;
mod measurements;
mod registry;
mod replay;
mod settings;
mod stored;
mod task;

use std::fmt;

use thiserror::Error;

use crate::log::writer::WriteError;
use crate::service::ReadError;

pub use commands::{Consumer, Joined, Nack, Newcomer};
pub use consumers::{Delivery, End};
pub use info::GroupInfo;
pub use registry::Groups;
pub use settings::{FilterSettings, Settings, Start, Strategy};

/// The name by which the whole log goes as a source.
const ALL: &str = "$all";

/// What a group follows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The whole log.
    All,
    /// One stream.
    Stream(String),
}

impl Source {
    /// The source that goes by this name.
    pub fn named(name: &str) -> Self {
        if name == ALL { Source::All } else { Source::Stream(name.to_owned()) }
    }

    /// The name by which it goes.
    pub fn name(&self) -> &str {
        match self {
            Source::All => ALL,
            Source::Stream(name) => name,
        }
    }
}

/// Which group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId {
    /// What it follows.
    pub source: Source,
    /// Its own name.
    pub name: String,
}

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.source.name(), self.name)
    }
}

/// Why something about a group was refused.
#[derive(Debug, Error)]
pub enum GroupError {
    /// There is none by that name.
    #[error("Subscription group {name} on stream {source_name} does not exist.")]
    Missing {
        /// What it would follow.
        source_name: String,
        /// The group's name.
        name: String,
    },
    /// There is none for the source, and there was none since the groups were started.
    // The two blanks are where the protocol's own server leaves out the name of no group.
    #[error("Subscription group  on stream {source_name} does not exist.")]
    NoneOf {
        /// What it would follow.
        source_name: String,
    },
    /// There is one already.
    #[error("Subscription group {name} on stream {source_name} exists.")]
    Exists {
        /// What it follows.
        source_name: String,
        /// The group's name.
        name: String,
    },
    /// As many consumers are connected as the group allows.
    ///
    /// There are clients that know this error by the first three words of its message.
    #[error("Maximum subscriptions reached for subscription group {name} on stream {source_name}.")]
    Full {
        /// What it follows.
        source_name: String,
        /// The group's name.
        name: String,
    },
    /// The request makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// No group can work with these settings.
    #[error("Subscription group {name} on stream {source_name} failed: '{reason}'")]
    Unworkable {
        /// What it would follow.
        source_name: String,
        /// The group's name.
        name: String,
        /// What is wrong, in the words of the protocol's own server: clients compare them.
        reason: String,
    },
    /// What a group leaves in the log cannot be written as JSON.
    #[error(
        "what a persistent subscription leaves in the log cannot be stored; this is a defect of the store"
    )]
    Json(#[source] serde_json::Error),
    /// The store is stopping.
    #[error("the event store is stopping; subscribe again when it is back")]
    Stopping,
    /// Reading failed.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Writing failed.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl GroupError {
    fn missing(id: &GroupId) -> Self {
        GroupError::Missing { source_name: id.source.name().to_owned(), name: id.name.clone() }
    }

    /// The refusal of what no group can do.
    pub fn unworkable(id: &GroupId, reason: impl Into<String>) -> Self {
        let reason = reason.into();
        GroupError::Unworkable { source_name: id.source.name().to_owned(), name: id.name.clone(), reason }
    }
}
