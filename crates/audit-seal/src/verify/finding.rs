use chrono::{DateTime, Utc};
use serde::Serialize;
use std::fmt;

/// Which event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Which {
    /// The stream's name.
    pub stream: String,
    /// Its number in the stream.
    pub revision: u64,
    /// Its place in the log as it is found.
    pub position: u64,
}

/// Which of the seals that were kept elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptSeal {
    /// How many events it covers.
    pub size: u64,
    /// When it was made.
    pub sealed_at: DateTime<Utc>,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// The event is not the one that was written here: its content, its name or its place has changed.
    Changed {
        /// The event.
        event: Which,
    },
    /// Events are missing before this one.
    Dropped {
        /// The first event after the gap.
        before: Which,
        /// The stream's first revision that is missing, if it can be told.
        revision: Option<u64>,
    },
    /// Sealed events are missing at the end of what the seal covers.
    DroppedAtTheEnd {
        /// How many.
        events: u64,
        /// The last event that is there.
        after: Option<Which>,
    },
    /// The event was not there when the log was sealed.
    Added {
        /// The event.
        event: Which,
    },
    /// The event stands at another place of the log than when it was sealed.
    Moved {
        /// The event.
        event: Which,
    },
    /// Something is not as it was sealed, and the seal that could say which event it is is gone or false.
    ChangedAmong {
        /// How many events are in question.
        events: u64,
        /// The first of them.
        first: Which,
        /// The last of them.
        last: Which,
    },
    /// The event store was told to delete, to shorten or to hide a stream of facts, or to delete one of seals, or has
    /// written into it, as it does to link to an event; no shop does that.
    Foreign {
        /// The event.
        event: Which,
    },
    /// The event has no link, and one before it in its stream has: no shop has written it.
    Unlinked {
        /// The event.
        event: Which,
    },
    /// A seal was not made by a key that is known, or was changed.
    FalseSeal {
        /// The seal.
        seal: Which,
        /// What is wrong with it.
        why: String,
    },
    /// Seals are missing before this one, or it is not the next one.
    SealOutOfOrder {
        /// The seal.
        seal: Which,
    },
    /// A seal that was kept elsewhere must not be believed itself.
    FalseKeptSeal {
        /// The seal.
        kept: KeptSeal,
        /// What is wrong with it.
        why: String,
    },
    /// The log ends before what a seal covers that was kept elsewhere.
    CutOff {
        /// The seal.
        kept: KeptSeal,
        /// How many events the log has.
        events: u64,
    },
    /// The events are not the ones of a seal that was kept elsewhere, though the log's own seals may say so: the history
    /// was written anew by somebody who has the key.
    WrittenAnew {
        /// The seal.
        kept: KeptSeal,
        /// The first event that is not as it was sealed, or the one at or before which something is not.
        event: Which,
        /// Whether it is known to be this event.
        is_exact: bool,
    },
    /// A seal that was kept elsewhere is not in the log, though its events are: seals were replaced or dropped.
    SealReplaced {
        /// The seal.
        kept: KeptSeal,
    },
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} of {} (position {})", self.revision, self.stream, self.position)
    }
}

impl fmt::Display for KeptSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.sealed_at.format("%Y-%m-%dT%H:%M:%SZ");
        write!(f, "the kept seal of {time} over {} events", self.size)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { event } => write!(f, "CHANGED  {event} is not the event that was written"),
            Self::Dropped { before, revision: Some(revision) } => {
                write!(f, "DROPPED  event {revision} of {} is missing before {before}", before.stream)
            }
            Self::Dropped { before, revision: None } => {
                write!(f, "DROPPED  a sealed event is missing before {before}")
            }
            Self::DroppedAtTheEnd { events, after: Some(after) } => {
                write!(f, "DROPPED  sealed events are missing after {after}: {events} in number")
            }
            Self::DroppedAtTheEnd { events, after: None } => {
                write!(f, "DROPPED  sealed events are missing: {events} in number")
            }
            Self::Added { event } => write!(f, "ADDED    {event} was not there when the log was sealed"),
            Self::Moved { event } => {
                write!(f, "MOVED    {event} stood at another place when the log was sealed")
            }
            Self::ChangedAmong { events, first, last } => write!(
                f,
                "CHANGED  the {events} events from {first} to {last} are not the ones that were sealed; the seal that \
                 could say which is gone or false"
            ),
            Self::Foreign { event } => {
                write!(
                    f,
                    "FOREIGN  {event} is none of a shop's: it deletes, shortens or hides a stream of facts or seals, or links"
                )
            }
            Self::Unlinked { event } => {
                write!(f, "UNLINKED {event} has no link, though events before it in its stream have")
            }
            Self::FalseSeal { seal, why } => write!(f, "SEAL     {seal} must not be believed: {why}"),
            Self::SealOutOfOrder { seal } => write!(f, "SEAL     {seal} does not follow the seal before it"),
            Self::FalseKeptSeal { kept, why } => write!(f, "SEAL     {kept} must not be believed: {why}"),
            Self::CutOff { kept, events } => {
                write!(f, "CUT OFF  the log has {events} events and ends before {kept}")
            }
            Self::WrittenAnew { kept, event, is_exact: true } => {
                write!(f, "ANEW     the log is not the one of {kept}: {event} is the first that differs")
            }
            Self::WrittenAnew { kept, event, is_exact: false } => {
                write!(f, "ANEW     the log is not the one of {kept}: it differs at {event} or before")
            }
            Self::SealReplaced { kept } => {
                write!(
                    f,
                    "SEAL     {kept} is not in the log, though its events are: seals were replaced or dropped"
                )
            }
        }
    }
}
