//! Which events of the whole log a reader wants.

use fancy_regex::Regex;
use thiserror::Error;

use super::ReadError;
use crate::log::record::Record;

/// What a filter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterOn {
    /// The stream's name.
    StreamName,
    /// The event type's name.
    EventType,
}

/// The filter cannot be used.
#[derive(Debug, Error)]
#[error("{expression:?} is not a regular expression; correct the filter")]
pub struct BadFilter {
    expression: String,
    #[source]
    source: Box<fancy_regex::Error>,
}

/// A test that an event passes or not.
#[derive(Debug, Clone)]
pub struct EventFilter {
    on: FilterOn,
    test: Test,
}

#[derive(Debug, Clone)]
enum Test {
    Prefixes(Vec<String>),
    Expression(Box<Regex>),
}

impl EventFilter {
    /// Names that begin with one of the prefixes.
    pub fn prefixes(on: FilterOn, prefixes: Vec<String>) -> Self {
        EventFilter { on, test: Test::Prefixes(prefixes) }
    }

    /// Names that match the expression somewhere. Look-ahead and look-behind are understood.
    pub fn expression(on: FilterOn, expression: &str) -> Result<Self, BadFilter> {
        let regex = Regex::new(expression)
            .map_err(|source| BadFilter { expression: expression.to_owned(), source: Box::new(source) })?;
        Ok(EventFilter { on, test: Test::Expression(Box::new(regex)) })
    }

    /// Whether the event passes.
    pub fn passes(&self, record: &Record) -> Result<bool, ReadError> {
        let name = match self.on {
            FilterOn::StreamName => record.stream(),
            FilterOn::EventType => record.event_type(),
        };
        match &self.test {
            Test::Prefixes(prefixes) => Ok(prefixes.iter().any(|prefix| name.starts_with(prefix.as_bytes()))),
            Test::Expression(regex) => {
                regex.is_match(&String::from_utf8_lossy(name)).map_err(|e| ReadError::Filter(Box::new(e)))
            }
        }
    }
}
