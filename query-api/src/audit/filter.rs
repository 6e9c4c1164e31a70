use chrono::{DateTime, Utc};
use domain::CATEGORIES;
use event_store::{Position, RecordedEvent};
use thiserror::Error;
use uuid::Uuid;

/// What is asked for, as it stands in an address.
#[derive(Debug, Default, Clone)]
pub struct Wanted {
    pub stream: Option<String>,
    pub category: Option<String>,
    pub event_type: Option<String>,
    pub actor: Option<String>,
    pub correlation: Option<String>,
    pub from_position: Option<String>,
    pub to_position: Option<String>,
}

/// A selection of events. What is not given is not asked about.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Filter {
    pub stream: Option<String>,
    pub category: Option<String>,
    /// `order.paid.v1`, or `order.paid` for all its versions.
    pub event_type: Option<String>,
    pub actor: Option<String>,
    pub correlation: Option<Uuid>,
    /// Business time, itself inside.
    pub from: Option<DateTime<Utc>>,
    /// Business time, itself outside.
    pub to: Option<DateTime<Utc>>,
    /// Itself inside.
    pub from_position: Option<Position>,
    /// Itself inside.
    pub to_position: Option<Position>,
}

/// A filter that means nothing.
#[derive(Debug, PartialEq, Eq, Error)]
pub enum InvalidFilter {
    #[error("`{0}` is not a category: give one of {all}, or a `stream`", all = CATEGORIES.join(", "))]
    Category(String),
    #[error("`{0}` is not a correlation: give a UUID, such as an order's id")]
    Correlation(String),
    #[error("`{name}` is a position of the log, a number, not `{text}`")]
    Position { name: &'static str, text: String },
    #[error("`{name}` is longer than {MAX_TEXT} characters")]
    TooLong { name: &'static str },
    #[error("`{name}` has a character that no name has")]
    Unnameable { name: &'static str },
}

const MAX_TEXT: usize = 300;

impl Filter {
    /// Checks all but the times, which the caller reads as everywhere.
    pub fn read(
        wanted: Wanted,
        from: Option<DateTime<Utc>>,
        to: Option<DateTime<Utc>>,
    ) -> Result<Self, InvalidFilter> {
        let category = text("category", wanted.category)?;
        if let Some(unknown) = category.as_ref().filter(|name| !CATEGORIES.contains(&name.as_str())) {
            return Err(InvalidFilter::Category(unknown.clone()));
        }
        let correlation = text("correlation", wanted.correlation)?;
        let correlation = match correlation {
            Some(text) => Some(text.parse().map_err(|_| InvalidFilter::Correlation(text))?),
            None => None,
        };
        Ok(Self {
            stream: text("stream", wanted.stream)?,
            category,
            event_type: text("type", wanted.event_type)?,
            actor: text("actor", wanted.actor)?,
            correlation,
            from,
            to,
            from_position: position("from-position", wanted.from_position)?,
            to_position: position("to-position", wanted.to_position)?,
        })
    }

    /// Whether an event is in the selection.
    pub fn has(&self, event: &RecordedEvent) -> bool {
        let is_of_stream = match &self.stream {
            Some(stream) => event.stream == *stream,
            None => CATEGORIES.contains(&event.category()),
        };
        is_of_stream
            && self.category.as_ref().is_none_or(|category| event.category() == category)
            && self.event_type.as_ref().is_none_or(|wanted| is_of_type(&event.event_type, wanted))
            && self.from_position.is_none_or(|from| event.position >= from)
            && self.to_position.is_none_or(|to| event.position <= to)
            && self.has_circumstances(event)
    }

    /// What only the metadata says, which is not read unless it is asked about. Where it is not ours, nobody did it,
    /// when the store took it.
    fn has_circumstances(&self, event: &RecordedEvent) -> bool {
        if self.actor.is_none() && self.correlation.is_none() && self.from.is_none() && self.to.is_none() {
            return true;
        }
        let metadata = event.metadata().ok();
        let actor = metadata.as_ref().map_or("", |known| known.actor.as_str());
        let at = metadata.as_ref().map_or(event.recorded_at, |known| known.occurred_at);
        let correlation = metadata.as_ref().map(|known| known.correlation_id);
        self.actor.as_ref().is_none_or(|wanted| actor == wanted)
            && self.correlation.is_none_or(|wanted| correlation == Some(wanted))
            && self.from.is_none_or(|from| at >= from)
            && self.to.is_none_or(|to| at < to)
    }
}

/// A beginning of whole words: `order.paid` is that fact in any version.
fn is_of_type(event_type: &str, wanted: &str) -> bool {
    event_type.strip_prefix(wanted).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn text(name: &'static str, text: Option<String>) -> Result<Option<String>, InvalidFilter> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(None) };
    if text.chars().count() > MAX_TEXT {
        return Err(InvalidFilter::TooLong { name });
    }
    if text.contains(char::is_control) {
        return Err(InvalidFilter::Unnameable { name });
    }
    Ok(Some(text))
}

fn position(name: &'static str, given: Option<String>) -> Result<Option<Position>, InvalidFilter> {
    let Some(text) = text(name, given)? else { return Ok(None) };
    match text.parse() {
        Ok(position) => Ok(Some(position)),
        Err(_) => Err(InvalidFilter::Position { name, text: text.chars().take(40).collect() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn event() -> RecordedEvent {
        let metadata = r#"{"$correlationId":"00000000-0000-0000-0000-00000000000a",
                           "$causationId":"00000000-0000-0000-0000-00000000000b",
                           "command_id":"00000000-0000-0000-0000-00000000000b",
                           "actor":"shopper","occurred_at":"2011-12-09T12:50:00.000000Z"}"#;
        RecordedEvent {
            stream: "order-7".to_owned(),
            revision: 3,
            position: Position::new(50),
            id: Uuid::nil(),
            event_type: "order.paid.v1".to_owned(),
            data: b"{}".as_slice().into(),
            metadata: metadata.as_bytes().into(),
            recorded_at: "2026-01-01T00:00:00Z".parse().unwrap(),
        }
    }

    fn wanted(name: &str, value: &str) -> Wanted {
        let value = Some(value.to_owned());
        let nothing = Wanted::default();
        match name {
            "stream" => Wanted { stream: value, ..nothing },
            "category" => Wanted { category: value, ..nothing },
            "type" => Wanted { event_type: value, ..nothing },
            "actor" => Wanted { actor: value, ..nothing },
            "correlation" => Wanted { correlation: value, ..nothing },
            "from-position" => Wanted { from_position: value, ..nothing },
            _ => Wanted { to_position: value, ..nothing },
        }
    }

    #[rstest]
    #[case("stream", "order-7", true)]
    #[case("stream", "order-8", false)]
    #[case("category", "order", true)]
    #[case("category", "cart", false)]
    #[case("type", "order.paid.v1", true)]
    #[case("type", "order.paid", true)]
    #[case("type", "order.pai", false)]
    #[case("actor", "shopper", true)]
    #[case("actor", "operator", false)]
    #[case("correlation", "00000000-0000-0000-0000-00000000000a", true)]
    #[case("correlation", "00000000-0000-0000-0000-00000000000b", false)]
    #[case("from-position", "50", true)]
    #[case("from-position", "51", false)]
    #[case("to-position", "50", true)]
    #[case("to-position", "49", false)]
    #[case("stream", "", true)]
    fn selects(#[case] name: &str, #[case] value: &str, #[case] is_in: bool) {
        let filter = Filter::read(wanted(name, value), None, None).unwrap();
        assert_eq!(filter.has(&event()), is_in);
    }

    #[test]
    fn a_time_range_is_of_business_time_and_has_no_end_in_it() {
        let at = |text: &str| Some(text.parse().unwrap());
        let between = |from, to| Filter { from, to, ..Filter::default() };
        assert!(between(at("2011-12-09T12:50:00Z"), None).has(&event()));
        assert!(!between(None, at("2011-12-09T12:50:00Z")).has(&event()));
        assert!(between(None, at("2011-12-09T12:50:01Z")).has(&event()));
    }

    #[test]
    fn what_processes_keep_is_no_part_of_the_trail_unless_its_stream_is_named() {
        let event = RecordedEvent { stream: "process-order_fulfilment".to_owned(), ..event() };
        assert!(!Filter::default().has(&event));
        assert!(Filter { stream: Some(event.stream.clone()), ..Filter::default() }.has(&event));
    }

    #[rstest]
    #[case("category", "orders")]
    #[case("correlation", "7")]
    #[case("from-position", "-1")]
    #[case("to-position", "noon")]
    #[case("actor", "a\u{0}b")]
    fn refuses_what_means_nothing(#[case] name: &str, #[case] value: &str) {
        let refusal = Filter::read(wanted(name, value), None, None).unwrap_err();
        assert!(refusal.to_string().contains(name), "{refusal}");
    }
}
