use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What every event of ours carries beside its payload. The names with a `$` are EventStoreDB's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The same for everything that one request of the outer world set off.
    #[serde(rename = "$correlationId")]
    pub correlation_id: Uuid,
    /// What this event follows from: a command's id, or an event's.
    #[serde(rename = "$causationId")]
    pub causation_id: Uuid,
    /// The command that was decided. A caller's idempotency key always gives the same one.
    pub command_id: Uuid,
    /// Who asked: `operator`, `shopper`, or a process of ours by name.
    pub actor: String,
    /// Business time, to the microsecond: an importer may give past times.
    #[serde(with = "microseconds")]
    pub occurred_at: DateTime<Utc>,
    /// A digest of the command's body: the same idempotency key with another body is refused.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// Whether the next event of the stream is of the same command. Both were appended at once, and nobody should decide on
    /// the state between them. Events from before this was written say nothing.
    #[serde(default, skip_serializing_if = "is_last")]
    pub more: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_last(more: &bool) -> bool {
    !more
}

impl Metadata {
    /// As it stands in the log.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("ids, texts and a time can always be written")
    }
}

/// RFC 3339 with exactly six decimals, so that text order is time order.
mod microseconds {
    use crate::without_leap_second;
    use chrono::{DateTime, SecondsFormat, Utc};
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Micros, true))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DateTime<Utc>, D::Error> {
        DateTime::deserialize(deserializer).map(without_leap_second)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test that panics has failed")]
mod tests {
    use super::*;

    /// Older programs wrote second 60 as it was given. Such an event stays as it is, and is read by the one rule.
    #[test]
    fn a_stored_second_60_is_read_as_the_end_of_its_minute() {
        let id = Uuid::nil();
        let stored = format!(
            r#"{{"$correlationId":"{id}","$causationId":"{id}","command_id":"{id}","actor":"operator",
                "occurred_at":"2016-12-31T23:59:60.500000Z"}}"#
        );
        let metadata: Metadata = serde_json::from_str(&stored).unwrap();
        let text = String::from_utf8(metadata.to_json()).unwrap();
        assert!(text.contains(r#""occurred_at":"2016-12-31T23:59:59.999999Z""#), "{text}");
    }
}
