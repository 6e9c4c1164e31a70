//! Events of anybody's, the store's own among them: for copies of a whole history.

use super::EventStore;
use super::appends::state;
use super::reads::Read;
use super::translate::{failed_write, theirs};
use crate::{AppendError, Appended, EventStoreError, ExpectedRevision, Position, RawEvent, RawRecord};
use eventstore::{
    Error, EventData, ReadAllOptions, ReadStreamOptions, ResolvedEvent, StreamPosition,
    TombstoneStreamOptions,
};
use futures::Stream;
use serde::ser::{Serialize, SerializeStruct, Serializer};

impl EventStore {
    /// Every event of the log from a position on (or from the start), oldest first, the store's own among them.
    /// Links are events like any other.
    pub fn read_log(
        &self,
        from: Option<Position>,
    ) -> impl Stream<Item = Result<RawRecord, EventStoreError>> + Send + 'static {
        let start = from.map_or(StreamPosition::Start, |from| StreamPosition::Position(theirs(from)));
        self.read(Read::All(ReadAllOptions::default().position(start).forwards()), raw_record)
    }

    /// Events of any stream from a revision on, oldest first. A stream that does not exist has none.
    pub fn read_raw_stream(
        &self,
        stream: &str,
        from: u64,
        max: usize,
    ) -> impl Stream<Item = Result<RawRecord, EventStoreError>> + Send + 'static {
        let options = ReadStreamOptions::default().position(StreamPosition::Position(from)).max_count(max);
        self.read(Read::Stream(stream.to_owned(), options), raw_record)
    }

    /// The newest event of any stream.
    pub fn read_raw_stream_end(
        &self,
        stream: &str,
    ) -> impl Stream<Item = Result<RawRecord, EventStoreError>> + Send + 'static {
        let options = ReadStreamOptions::default().position(StreamPosition::End).backwards().max_count(1);
        self.read(Read::Stream(stream.to_owned(), options), raw_record)
    }

    /// As [`EventStore::append`], for events of anybody's. The server's limit of an append's size holds; what is larger
    /// is refused.
    ///
    /// # Errors
    /// As [`EventStore::append`]; also when an event is marked as JSON and is not UTF-8, which the official client
    /// cannot send.
    pub async fn append_raw(
        &self,
        stream: &str,
        expected: ExpectedRevision,
        events: Vec<RawEvent>,
    ) -> Result<Appended, AppendError> {
        let events = events.into_iter().map(encode).collect::<Result<Vec<_>, _>>()?;
        self.append_encoded(stream, expected, events).await
    }

    /// Closes a stream for ever.
    ///
    /// # Errors
    /// [`AppendError::Conflict`] when the stream is not where it is expected or closed already;
    /// [`AppendError::Unknown`] when no answer came.
    pub async fn tombstone(&self, stream: &str, expected: ExpectedRevision) -> Result<(), AppendError> {
        let (generation, client) = self.client().map_err(|(_, error)| AppendError::Unknown(error))?;
        let options = TombstoneStreamOptions::default().stream_state(state(expected));
        match client.tombstone_stream(stream, &options).await {
            Ok(_) => Ok(()),
            Err(Error::WrongExpectedVersion { .. } | Error::ResourceDeleted) => Err(AppendError::Conflict),
            Err(Error::Grpc { code, .. }) if super::translate::is_failed_precondition(code as i32) => {
                Err(AppendError::Conflict)
            }
            Err(error) => Err(failed_write(self.failed(generation, &error))),
        }
    }
}

pub(super) fn raw_record(event: ResolvedEvent) -> Option<RawRecord> {
    let event = event.link.or(event.event)?;
    let created = event.metadata.get("created").and_then(|ticks| ticks.parse().ok());
    Some(RawRecord {
        stream: event.stream_id().to_owned(),
        revision: event.revision,
        position: Position::new(event.position.commit),
        created_ticks: created.unwrap_or_default(),
        event: RawEvent {
            id: event.id,
            event_type: event.event_type,
            is_json: event.is_json,
            data: event.data,
            metadata: event.custom_metadata,
        },
    })
}

/// The client's form of an event of anybody's.
pub(super) fn encode(event: RawEvent) -> Result<EventData, AppendError> {
    let encoded = if event.is_json {
        let refused = |why: String| {
            AppendError::Refused(format!("the event {} is marked as JSON, but it is none: {why}", event.id))
        };
        let text = std::str::from_utf8(&event.data).map_err(|error| refused(error.to_string()))?;
        EventData::json(&event.event_type, &Verbatim(text)).map_err(|error| refused(error.to_string()))?
    } else {
        EventData::binary(&event.event_type, event.data)
    };
    Ok(encoded.id(event.id).metadata(event.metadata))
}

/// Text that stands in JSON as it is. The client takes JSON only as something to serialise, and `RawValue` drops the
/// white space around a text and wants it to be valid. This goes the way that `RawValue` goes, and checks nothing.
struct Verbatim<'a>(&'a str);

const RAW_VALUE: &str = "$serde_json::private::RawValue";

impl Serialize for Verbatim<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut raw = serializer.serialize_struct(RAW_VALUE, 1)?;
        raw.serialize_field(RAW_VALUE, self.0)?;
        raw.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_goes_through_byte_for_byte() {
        for text in ["", " {\"a\" : 1}\n", "1e400", "not JSON at all"] {
            assert_eq!(serde_json::to_vec(&Verbatim(text)).unwrap(), text.as_bytes());
        }
    }
}
