use chrono::{DateTime, Utc};

/// An event store that does not answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// When so many calls in a row had got no answer that it counted as away.
    pub since: DateTime<Utc>,
    /// What was met last.
    pub error: String,
}
