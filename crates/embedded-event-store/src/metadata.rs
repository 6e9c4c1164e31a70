//! What a stream's `$$` stream says about it: how much of it is still to be read.
//!
//! Only the newest event of the `$$` stream counts, and only if it is marked as JSON. One key of the system's with a value
//! that it cannot have makes the whole event say nothing: rather too much is read than something lost.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::acl::Acl;
use crate::log::record::{Record, TOMBSTONE_REVISION};

const MAX_COUNT: &str = "$maxCount";
const MAX_AGE: &str = "$maxAge";
const TRUNCATE_BEFORE: &str = "$tb";
const TEMPORARY: &str = "$tmp";
const CACHE_CONTROL: &str = "$cacheControl";
const ACCESS: &str = "$acl";

const TICKS_PER_SECOND: u64 = 10_000_000;
/// More than this the protocol's own server takes for no age at all.
const MOST_SECONDS: i64 = 922_337_203_685;

/// The metadata of one stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StreamMetadata {
    /// Only the newest so many events are read; at least 1.
    pub max_count: Option<u64>,
    /// Only events younger than so many seconds are read; at least 1.
    pub max_age_seconds: Option<u64>,
    /// Only events from this revision on are read; `i64::MAX` after a soft delete.
    pub truncate_before: Option<u64>,
    /// Who may do what with the stream.
    pub acl: Acl,
}

impl StreamMetadata {
    /// What holds for every `$$` stream: only its newest event is read.
    pub fn of_metadata_stream() -> Self {
        StreamMetadata { max_count: Some(1), ..StreamMetadata::default() }
    }

    /// What the newest event of a `$$` stream says.
    pub fn of(newest: &Record) -> Self {
        if newest.is_json() { StreamMetadata::parse(newest.data()) } else { StreamMetadata::default() }
    }

    /// Reads metadata. What is not a JSON object says nothing.
    pub fn parse(json: &[u8]) -> Self {
        std::str::from_utf8(json).ok().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
    }

    /// Whether the stream has been deleted, and may go on later.
    pub fn is_soft_deleted(&self) -> bool {
        self.truncate_before == Some(TOMBSTONE_REVISION)
    }

    /// The oldest revision that is not hidden in a stream whose newest is `last`. It may be beyond `last`.
    pub fn first(&self, last: u64) -> u64 {
        let counted = self.max_count.map_or(0, |count| (last + 1).saturating_sub(count));
        counted.max(self.truncate_before.unwrap_or(0))
    }

    /// Events recorded before this are hidden; 0 hides none. Ticks of 100 ns since 1970.
    pub fn not_before_ticks(&self, now_ticks: u64) -> u64 {
        self.max_age_seconds
            .map_or(0, |seconds| now_ticks.saturating_sub(seconds.saturating_mul(TICKS_PER_SECOND)))
    }
}

impl<'de> Deserialize<'de> for StreamMetadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Keys)
    }
}

struct Keys;

impl<'de> Visitor<'de> for Keys {
    type Value = StreamMetadata;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the metadata of a stream")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<StreamMetadata, A::Error> {
        let mut metadata = StreamMetadata::default();
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                MAX_COUNT => metadata.max_count = at_least(1, map.next_value()?),
                MAX_AGE => metadata.max_age_seconds = at_least(1, seconds(map.next_value()?)?),
                TRUNCATE_BEFORE => metadata.truncate_before = at_least(0, map.next_value()?),
                ACCESS => metadata.acl = map.next_value()?,
                // These have no meaning here, but they must have their form.
                TEMPORARY => {
                    map.next_value::<bool>()?;
                }
                CACHE_CONTROL => {
                    seconds::<A::Error>(map.next_value()?)?;
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(metadata)
    }
}

/// A number that is too small says nothing.
fn at_least(least: i64, number: i64) -> Option<u64> {
    u64::try_from(number).ok().filter(|_| number >= least)
}

fn seconds<E: de::Error>(number: i64) -> Result<i64, E> {
    if number.unsigned_abs() > MOST_SECONDS.unsigned_abs() {
        return Err(E::custom("it is no time"));
    }
    Ok(number)
}

/// The metadata that a soft delete writes: nothing else is left of what was there.
pub fn soft_delete() -> Bytes {
    Bytes::from(format!("{{{}:{TOMBSTONE_REVISION}}}", Value::from(TRUNCATE_BEFORE)))
}

/// The metadata of a soft-deleted stream that goes on from the revision `first`: every other key stays as it is.
/// `None` if this is no JSON object; then it stays as it was written.
pub fn go_on(metadata: &[u8], first: u64) -> Option<Bytes> {
    let Pairs(mut pairs) = serde_json::from_slice(metadata).ok()?;
    let first = serde_json::value::to_raw_value(&first).ok()?;
    match pairs.iter_mut().find(|(key, _)| key == TRUNCATE_BEFORE) {
        Some((_, value)) => *value = first,
        None => pairs.push((TRUNCATE_BEFORE.to_owned(), first)),
    }
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), without_spaces(value)))
        .collect();
    Some(Bytes::from(format!("{{{}}}", pairs.join(","))))
}

/// An object's keys in their order, each with its value as it was written. Of a key that comes twice, the last counts.
struct Pairs(Vec<(String, Box<RawValue>)>);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Pairs(Vec::new()))
    }
}

impl<'de> Visitor<'de> for Pairs {
    type Value = Pairs;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
        let mut pairs: Vec<(String, Box<RawValue>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        while let Some((key, value)) = map.next_entry::<String, Box<RawValue>>()? {
            match places.get(&key).and_then(|place| pairs.get_mut(*place)) {
                Some((_, known)) => *known = value,
                None => {
                    places.insert(key.clone(), pairs.len());
                    pairs.push((key, value));
                }
            }
        }
        Ok(Pairs(pairs))
    }
}

fn without_spaces(value: &RawValue) -> String {
    let mut in_string = false;
    let mut escaped = false;
    let keep = |sign: &char| {
        if in_string {
            in_string = escaped || *sign != '"';
            escaped = !escaped && *sign == '\\';
            return true;
        }
        in_string = *sign == '"';
        !sign.is_ascii_whitespace()
    };
    value.get().chars().filter(keep).collect()
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
    fn a_stream_that_goes_on_keeps_every_other_key_in_its_place() {
        let went_on = |metadata: &str| {
            go_on(metadata.as_bytes(), 9).map(|json| String::from_utf8(json.into()).unwrap())
        };
        assert_eq!(went_on(r#"{"$tb":9223372036854775807}"#).unwrap(), r#"{"$tb":9}"#);
        assert_eq!(
            went_on(r#" { "$tb" : 1, "$maxCount": 1.5, "\"own\"": [ 1, "a \" b\\" ], "r": 0.1000000000000000000000000001} "#).unwrap(),
            r#"{"$tb":9,"$maxCount":1.5,"\"own\"":[1,"a \" b\\"],"r":0.1000000000000000000000000001}"#
        );
        assert_eq!(went_on(r#"{"a":1,"b":2,"a":3}"#).unwrap(), r#"{"a":3,"b":2,"$tb":9}"#);
        for no_object in ["", "[1]", "{bad", r#"{"a":1} more"#] {
            assert_eq!(went_on(no_object), None, "{no_object}");
        }
    }

    #[rstest::rstest]
    #[case::all(r#"{"$maxCount":3,"$maxAge":4,"$tb":5,"$tmp":true,"$cacheControl":6}"#, (Some(3), Some(4), Some(5)))]
    #[case::rights(r#"{"$maxCount":3,"$acl":{"$r":"all","$w":["a","b"],"$d":[]}}"#, (Some(3), None, None))]
    #[case::own_keys(r#"{"mine":{"$tb":[]},"$maxCount":3}"#, (Some(3), None, None))]
    #[case::too_small(r#"{"$maxCount":0,"$maxAge":-1,"$tb":0}"#, (None, None, Some(0)))]
    #[case::the_last_counts(r#"{"$maxCount":3,"$maxCount":4}"#, (Some(4), None, None))]
    #[case::soft_delete(r#"{"$tb":9223372036854775807}"#, (None, None, Some(TOMBSTONE_REVISION)))]
    fn what_is_understood(#[case] json: &str, #[case] expected: (Option<u64>, Option<u64>, Option<u64>)) {
        let found = StreamMetadata::parse(json.as_bytes());
        assert_eq!((found.max_count, found.max_age_seconds, found.truncate_before), expected);
    }

    #[rstest::rstest]
    #[case::not_an_object(b"[1]")]
    #[case::not_text(b"{\"$maxCount\":1,\"a\":\"\xff\"}")]
    #[case::more_behind_it(br#"{"$maxCount":1} {}"#)]
    #[case::text_for_a_number(br#"{"$maxCount":1,"$tb":"x"}"#)]
    #[case::a_fraction(br#"{"$maxCount":1.0,"$tb":1}"#)]
    #[case::too_large(br#"{"$maxCount":1,"$tb":9223372036854775808}"#)]
    #[case::no_time(br#"{"$maxCount":1,"$maxAge":922337203686}"#)]
    #[case::number_for_yes(br#"{"$maxCount":1,"$tmp":1}"#)]
    #[case::rights_of_another_form(br#"{"$maxCount":1,"$acl":5}"#)]
    #[case::an_unknown_right(br#"{"$maxCount":1,"$acl":{"$zzz":"x"}}"#)]
    #[case::roles_of_another_form(br#"{"$maxCount":1,"$acl":{"$r":[1]}}"#)]
    #[case::null(br#"{"$maxCount":1,"$acl":null}"#)]
    fn one_wrong_value_makes_all_of_it_say_nothing(#[case] json: &[u8]) {
        assert_eq!(StreamMetadata::parse(json), StreamMetadata::default());
    }
}
