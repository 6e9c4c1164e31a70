//! What a log says of the files that were imported into it.

use crate::{LogId, LogIdentity};
use serde::{Deserialize, Serialize};

/// Why nobody may use a log into which only the beginning of a file was imported.
pub const IMPORT_HAS_NOT_ENDED: &str =
    "an import into this log has begun and has not ended: import the same file again";

/// Where an exported file comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The log that was exported; none if the file does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<LogId>,
    /// The log's earlier ids, and those of the logs that it was a copy of itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub earlier: Vec<LogId>,
    /// The file has only some of the log's events.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_part: bool,
}

impl Origin {
    /// An export of a log that says this of itself.
    #[must_use]
    pub fn of(log: Option<&LogIdentity>, is_part: bool) -> Self {
        let Some(log) = log else { return Self { is_part, ..Self::default() } };
        let copied = log.imports().ended.iter().filter(|origin| !origin.is_part);
        let copied = copied.flat_map(|origin| origin.of.iter().chain(&origin.earlier).copied());
        let mut earlier: Vec<_> = log.earlier_ids().chain(copied).collect();
        earlier.sort_by_key(|id| id.uuid());
        earlier.dedup();
        Self { of: Some(log.id()), earlier, is_part }
    }

    fn names(&self, log_id: LogId) -> bool {
        self.of == Some(log_id) || self.earlier.contains(&log_id)
    }
}

/// The imports into a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imports {
    /// Those that have begun and have not ended.
    begun: Vec<Origin>,
    ended: Vec<Origin>,
}

impl Imports {
    /// The next mark in the log.
    pub(crate) fn note(&mut self, mark: Mark) {
        match mark {
            Mark::Begun(origin) => self.begun.push(origin),
            Mark::Ended(origin) => {
                self.begun.retain(|begun| begun.of != origin.of);
                self.ended.push(origin);
            }
        }
    }

    /// Whether only the beginning of some file was imported.
    #[must_use]
    pub fn is_one_under_way(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Whether a file of the same log was begun and has not ended.
    #[must_use]
    pub fn has_begun(&self, origin: &Origin) -> bool {
        self.begun.iter().any(|begun| begun.of == origin.of)
    }

    /// Whether a file of the same log was imported to its end.
    #[must_use]
    pub fn has_ended(&self, origin: &Origin) -> bool {
        self.ended.contains(origin)
    }

    /// Whether all of this log was imported. A file that does not say which log it is of may be of any.
    #[must_use]
    pub fn are_of(&self, log_id: LogId) -> bool {
        let whole = self.ended.iter().filter(|origin| !origin.is_part);
        whole.into_iter().any(|origin| origin.of.is_none() || origin.names(log_id))
    }
}

/// What one event says.
#[derive(Debug)]
pub(crate) enum Mark {
    Begun(Origin),
    Ended(Origin),
}

impl Mark {
    /// Read from an event; none if it is not a mark.
    pub fn read(event_type: &str, data: &[u8]) -> Option<Self> {
        match event_type {
            ImportBegun::TYPE => {
                serde_json::from_slice::<ImportBegun>(data).ok().map(|begun| Self::Begun(begun.origin))
            }
            ImportEnded::TYPE => {
                serde_json::from_slice::<ImportEnded>(data).ok().map(|ended| Self::Ended(ended.origin))
            }
            _ => None,
        }
    }
}

/// Events of a file are about to be appended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ImportBegun {
    #[serde(flatten)]
    pub origin: Origin,
}

impl ImportBegun {
    /// The name on disk.
    pub const TYPE: &str = "log.import-begun.v1";
}

/// All events of the file are in the log.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ImportEnded {
    #[serde(flatten)]
    pub origin: Origin,
    /// So many.
    pub events: u64,
}

impl ImportEnded {
    /// The name on disk.
    pub const TYPE: &str = "log.import-ended.v1";
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;
    use uuid::Uuid;

    fn id(number: u128) -> LogId {
        LogId::new(Uuid::from_u128(number))
    }

    fn origin(number: u128) -> Origin {
        Origin { of: Some(id(number)), ..Origin::default() }
    }

    #[test]
    fn the_golden_files_are_read_and_written_the_same() {
        let golden = include_str!("../golden/log.import-begun.v1.json");
        let begun: ImportBegun = serde_json::from_str(golden).unwrap();
        assert_eq!(begun.origin, Origin { is_part: true, ..origin(7) });
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        assert_eq!(serde_json::to_value(&begun).unwrap(), golden);

        let golden = include_str!("../golden/log.import-ended.v1.json");
        let ended: ImportEnded = serde_json::from_str(golden).unwrap();
        assert_eq!(ended.origin, Origin { earlier: vec![id(5)], ..origin(7) });
        assert_eq!(ended.events, 1810);
        let golden: serde_json::Value = serde_json::from_str(golden).unwrap();
        assert_eq!(serde_json::to_value(&ended).unwrap(), golden);
    }

    #[test]
    fn an_import_is_under_way_until_the_same_file_has_ended() {
        let mut imports = Imports::default();
        imports.note(Mark::Begun(origin(1)));
        imports.note(Mark::Begun(Origin::default()));
        imports.note(Mark::Ended(origin(1)));
        assert!(imports.is_one_under_way() && !imports.has_begun(&origin(1)));
        assert!(imports.has_ended(&origin(1)));
        imports.note(Mark::Ended(Origin::default()));
        assert!(!imports.is_one_under_way());
    }

    #[test]
    fn a_copy_is_one_of_all_logs_that_the_file_names() {
        let mut imports = Imports::default();
        imports.note(Mark::Ended(Origin { earlier: vec![id(1)], ..origin(2) }));
        imports.note(Mark::Ended(Origin { is_part: true, ..origin(3) }));
        assert!(imports.are_of(id(1)) && imports.are_of(id(2)));
        assert!(!imports.are_of(id(3)), "only some of its events");
        assert!(!imports.are_of(id(4)));
        imports.note(Mark::Ended(Origin::default()));
        assert!(imports.are_of(id(4)), "an older file does not say which log it is of");
    }
}
