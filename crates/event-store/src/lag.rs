use serde::Serialize;

/// What somebody who follows the log has not come to yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Lag {
    /// Events of the log after the place reached.
    pub events: u64,
    /// Whether there are so many that they were not counted: the number follows from the positions then.
    pub is_estimate: bool,
    /// The age of the oldest of them, in whole seconds.
    pub seconds: i64,
}

impl Lag {
    /// Of those who are at the log's end.
    pub const NONE: Self = Self { events: 0, is_estimate: false, seconds: 0 };
}
