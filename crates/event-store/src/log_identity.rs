use crate::{Imports, Position};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;
use uuid::Uuid;

/// The stream in which a log says which one it is. Its events are the log's own: nobody who follows the log gets them, and
/// copies of a history leave them out, for the copy is another log.
pub const LOG_IDENTITY_STREAM: &str = "log-identity";

/// Whether the stream is the one above, or a successor of it.
#[must_use]
pub fn is_of_log_identity(stream: &str) -> bool {
    stream.strip_prefix(LOG_IDENTITY_STREAM).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// Which log something is of. A copy of a history in another store has another one: its positions mean something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LogId(Uuid);

impl LogId {
    /// The id of that number.
    #[must_use]
    pub const fn new(id: Uuid) -> Self {
        Self(id)
    }

    /// The number.
    #[must_use]
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

impl fmt::Display for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LogId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

/// What a log says of itself: its id, the ids that it had before it was restored from a backup, and what was imported into
/// it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIdentity {
    id: LogId,
    /// Where it got this id.
    since: Position,
    /// Earlier ids, the oldest first, and where it got each.
    earlier: Vec<(LogId, Position)>,
    imports: Imports,
}

impl LogIdentity {
    /// Of the events in which a log was given ids, the oldest first; none if there are none.
    pub(crate) fn of(mut named: Vec<(LogId, Position)>, imports: Imports) -> Option<Self> {
        let (id, since) = named.pop()?;
        Some(Self { id, since, earlier: named, imports })
    }

    /// The id that it has now.
    #[must_use]
    pub fn id(&self) -> LogId {
        self.id
    }

    /// The ids that it had before, the oldest first.
    pub fn earlier_ids(&self) -> impl Iterator<Item = LogId> {
        self.earlier.iter().map(|(id, _)| *id)
    }

    /// Whether it has this id, or had it once.
    #[must_use]
    pub fn is_or_was(&self, id: LogId) -> bool {
        self.id == id || self.earlier_ids().any(|earlier| earlier == id)
    }

    /// The files that were imported into it.
    #[must_use]
    pub fn imports(&self) -> &Imports {
        &self.imports
    }

    /// Whether a position that was noted with this id is a place in this log.
    ///
    /// What was noted without an id is from before logs had any, and stands before the first one. What was noted under an
    /// earlier id holds as far as the backup went from which the log was restored.
    #[must_use]
    pub fn has(&self, noted: Option<LogId>, position: Position) -> bool {
        let first = self.earlier.first().map_or(self.since, |(_, since)| *since);
        let until = match noted {
            None => Some(first),
            Some(id) if id == self.id => None,
            Some(id) => {
                let Some(index) = self.earlier.iter().rposition(|(earlier, _)| *earlier == id) else {
                    return false;
                };
                Some(self.earlier.get(index + 1).map_or(self.since, |(_, since)| *since))
            }
        };
        until.is_none_or(|until| position < until)
    }
}

/// What the event says.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Identified {
    pub log_id: LogId,
}

impl Identified {
    /// The name on disk of the event that gives a log its id.
    pub const TYPE: &str = "log.identified.v1";
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    fn id(number: u128) -> LogId {
        LogId::new(Uuid::from_u128(number))
    }

    fn at(position: u64) -> Position {
        Position::new(position)
    }

    #[test]
    fn the_golden_file_is_read_and_written_the_same() {
        let golden = include_str!("../golden/log.identified.v1.json");
        let read: Identified = serde_json::from_str(golden).unwrap();
        assert_eq!(read.log_id, id(7));
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        assert_eq!(serde_json::to_value(&read).unwrap(), golden);
    }

    #[test]
    fn a_position_counts_only_in_its_own_log() {
        assert_eq!(LogIdentity::of(vec![], Imports::default()), None);
        let identity = LogIdentity::of(vec![(id(1), at(100))], Imports::default()).unwrap();
        assert!(identity.has(Some(id(1)), at(5)) && identity.has(Some(id(1)), at(5_000)));
        assert!(!identity.has(Some(id(2)), at(5)));
        assert!(identity.has(None, at(99)), "noted before the log had an id");
        assert!(!identity.has(None, at(100)), "copied from a log that had none");
    }

    #[test]
    fn what_was_noted_after_the_backup_does_not_count_in_the_restored_log() {
        let named = vec![(id(1), at(10)), (id(2), at(100)), (id(3), at(200))];
        let identity = LogIdentity::of(named, Imports::default()).unwrap();
        assert!(identity.is_or_was(id(1)) && identity.is_or_was(id(3)) && !identity.is_or_was(id(4)));
        assert_eq!(identity.id(), id(3));
        assert!(identity.has(Some(id(1)), at(99)) && !identity.has(Some(id(1)), at(100)));
        assert!(identity.has(Some(id(2)), at(199)) && !identity.has(Some(id(2)), at(200)));
        assert!(identity.has(Some(id(3)), at(1_000)));
        assert!(identity.has(None, at(9)) && !identity.has(None, at(10)));
    }

    #[test]
    fn successors_are_of_the_identity_too() {
        assert!(is_of_log_identity("log-identity") && is_of_log_identity("log-identity-2"));
        assert!(!is_of_log_identity("log-identityx") && !is_of_log_identity("log"));
    }
}
