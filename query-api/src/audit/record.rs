use crate::history::summary;
use api::audit::AuditedEvent;
use event_store::{Metadata, RecordedEvent};
use serde_json::value::RawValue;
use uuid::Uuid;

/// An event with everything that the log has of it.
pub fn record(event: &RecordedEvent) -> AuditedEvent {
    let known = event.metadata().ok();
    let id = |of: fn(&Metadata) -> Uuid| known.as_ref().map(of);
    AuditedEvent {
        summary: summary(event),
        command_id: id(|known| known.command_id),
        causation_id: id(|known| known.causation_id),
        correlation_id: id(|known| known.correlation_id),
        occurred_at: known.as_ref().map(|known| known.occurred_at),
        actor: known.map(|known| known.actor),
        position: event.position.value(),
        stream: event.stream.clone(),
        revision: event.revision,
        event_id: event.id,
        event_type: event.event_type.clone(),
        recorded_at: event.recorded_at,
        data: as_json(&event.data),
        metadata: as_json(&event.metadata),
    }
}

/// The bytes as they stand in the log. Those that are not JSON become a text, and none become null. Of those that are
/// not even text, such as a snapshot's, only the number is told: nobody could read them, and they are many.
pub fn as_json(bytes: &[u8]) -> Box<RawValue> {
    if bytes.is_empty() {
        return RawValue::NULL.to_owned();
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => format!("({} bytes that are not text)", bytes.len()),
    };
    // A line of its own in an export must stay one line.
    let is_one_line = !text.contains(['\n', '\r']);
    let as_it_stands = is_one_line.then(|| RawValue::from_string(text.clone()).ok()).flatten();
    as_it_stands
        .or_else(|| {
            serde_json::from_str::<serde_json::Value>(&text)
                .and_then(|value| serde_json::value::to_raw_value(&value))
                .ok()
        })
        .or_else(|| serde_json::value::to_raw_value(&text).ok())
        .unwrap_or_else(|| RawValue::NULL.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_json_as_it_stands_and_anything_else_as_text() {
        assert_eq!(as_json(br#"{"b": 1.0, "a": 2}"#).get(), r#"{"b": 1.0, "a": 2}"#);
        assert_eq!(as_json(b"").get(), "null");
        assert_eq!(as_json(b"plain \"text\"").get(), r#""plain \"text\"""#);
        assert_eq!(as_json(&[0xff, 0]).get(), r#""(2 bytes that are not text)""#);
    }

    #[test]
    fn json_of_several_lines_becomes_one() {
        assert_eq!(as_json(b"{\n  \"a\": 1\n}").get(), r#"{"a":1}"#);
    }
}
