//! What a stream's `$$` stream says about it: how much of it is still to be read.

use bytes::Bytes;
use serde_json::{Map, Value};

const MAX_COUNT: &str = "$maxCount";
const MAX_AGE: &str = "$maxAge";
const TRUNCATE_BEFORE: &str = "$tb";

/// The metadata of one stream. What is not about truncation is kept as it came.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamMetadata {
    /// Only the newest so many events are read.
    pub max_count: Option<u64>,
    /// Only events younger than so many seconds are read.
    pub max_age_seconds: Option<u64>,
    /// Only events from this revision on are read; `i64::MAX` after a soft delete.
    pub truncate_before: Option<u64>,
    other: Map<String, Value>,
}

impl StreamMetadata {
    /// What holds for every `$$` stream: only its newest event is read.
    pub fn of_metadata_stream() -> Self {
        StreamMetadata { max_count: Some(1), ..StreamMetadata::default() }
    }

    /// Reads metadata. What is not a JSON object says nothing.
    pub fn parse(json: &[u8]) -> Self {
        let Ok(Value::Object(mut other)) = serde_json::from_slice(json) else {
            return StreamMetadata::default();
        };
        let mut take = |key| other.remove(key).as_ref().and_then(Value::as_u64);
        let max_count = take(MAX_COUNT);
        let max_age_seconds = take(MAX_AGE);
        let truncate_before = take(TRUNCATE_BEFORE);
        StreamMetadata { max_count, max_age_seconds, truncate_before, other }
    }

    /// The metadata as JSON.
    pub fn to_json(&self) -> Bytes {
        let mut object = self.other.clone();
        let numbers = [
            (MAX_COUNT, self.max_count),
            (MAX_AGE, self.max_age_seconds),
            (TRUNCATE_BEFORE, self.truncate_before),
        ];
        for (key, number) in numbers {
            if let Some(number) = number {
                object.insert(key.to_owned(), number.into());
            }
        }
        Bytes::from(Value::Object(object).to_string())
    }
}

/// The name of the stream that holds a stream's metadata.
pub fn metadata_stream(stream: &str) -> String {
    format!("$${stream}")
}

/// The stream that a `$$` stream speaks about; `None` for an ordinary stream.
pub fn subject_of(stream: &str) -> Option<&str> {
    stream.strip_prefix("$$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_survive_a_change() {
        let mut metadata = StreamMetadata::parse(br#"{"$maxCount":3,"$acl":{"$r":"all"},"owner":"me"}"#);
        assert_eq!(metadata.max_count, Some(3));
        metadata.truncate_before = Some(9);
        let written: Value = serde_json::from_slice(&metadata.to_json()).unwrap();
        assert_eq!(written, serde_json::json!({"$maxCount":3,"$tb":9,"$acl":{"$r":"all"},"owner":"me"}));
    }

    #[test]
    fn what_is_not_an_object_says_nothing() {
        assert_eq!(StreamMetadata::parse(b"[1]"), StreamMetadata::default());
        assert_eq!(StreamMetadata::parse(b"\xff"), StreamMetadata::default());
    }
}
