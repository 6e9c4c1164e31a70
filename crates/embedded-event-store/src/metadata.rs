//! What a stream's `$$` stream says about it: how much of it is still to be read.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde_json::Value;
use serde_json::value::RawValue;

const MAX_COUNT: &str = "$maxCount";
const MAX_AGE: &str = "$maxAge";
const TRUNCATE_BEFORE: &str = "$tb";

/// The metadata of one stream. What is not about truncation is kept byte for byte.
#[derive(Debug, Clone, Default)]
pub struct StreamMetadata {
    /// Only the newest so many events are read.
    pub max_count: Option<u64>,
    /// Only events younger than so many seconds are read.
    pub max_age_seconds: Option<u64>,
    /// Only events from this revision on are read; `i64::MAX` after a soft delete.
    pub truncate_before: Option<u64>,
    other: BTreeMap<String, Box<RawValue>>,
}

impl StreamMetadata {
    /// What holds for every `$$` stream: only its newest event is read.
    pub fn of_metadata_stream() -> Self {
        StreamMetadata { max_count: Some(1), ..StreamMetadata::default() }
    }

    /// Reads metadata. What is not a JSON object says nothing.
    pub fn parse(json: &[u8]) -> Self {
        let Ok(mut other) = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(json) else {
            return StreamMetadata::default();
        };
        let mut take = |key| other.remove(key).and_then(|raw| serde_json::from_str(raw.get()).ok());
        let max_count = take(MAX_COUNT);
        let max_age_seconds = take(MAX_AGE);
        let truncate_before = take(TRUNCATE_BEFORE);
        StreamMetadata { max_count, max_age_seconds, truncate_before, other }
    }

    /// The metadata as JSON.
    pub fn to_json(&self) -> Bytes {
        let numbers = [
            (MAX_COUNT, self.max_count),
            (MAX_AGE, self.max_age_seconds),
            (TRUNCATE_BEFORE, self.truncate_before),
        ];
        let numbers =
            numbers.into_iter().filter_map(|(key, number)| Some(format!("{}:{}", Value::from(key), number?)));
        let other =
            self.other.iter().map(|(key, raw)| format!("{}:{}", Value::from(key.as_str()), raw.get()));
        let fields: Vec<String> = numbers.chain(other).collect();
        Bytes::from(format!("{{{}}}", fields.join(",")))
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
        let mut metadata = StreamMetadata::parse(
            br#"{"$maxCount":3,"$acl":{"$r":"all"},"\"owner\"":"me","ratio":0.1000000000000000000000000000000000000000001}"#,
        );
        assert_eq!(metadata.max_count, Some(3));
        metadata.truncate_before = Some(9);
        assert_eq!(
            metadata.to_json(),
            r#"{"$maxCount":3,"$tb":9,"\"owner\"":"me","$acl":{"$r":"all"},"ratio":0.1000000000000000000000000000000000000000001}"#
        );
    }

    #[rstest::rstest]
    #[case::not_an_object(b"[1]")]
    #[case::not_json(b"\xff")]
    #[case::a_number_that_is_none(br#"{"$maxCount":"three","$maxAge":-1,"$tb":1.5}"#)]
    fn what_cannot_be_understood_says_nothing(#[case] json: &[u8]) {
        assert_eq!(StreamMetadata::parse(json).to_json(), "{}");
    }
}
