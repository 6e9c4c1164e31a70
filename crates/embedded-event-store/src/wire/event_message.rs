//! The message of one event, encoded by hand.
//!
//! Every event that anybody reads goes through here, so its bytes go from the log's record straight into the answer:
//! no maps, no strings, no copies in between. The message is only ever sent, never received.

use std::sync::Arc;

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, encode_key, encode_varint, encoded_len_varint, key_len};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

use crate::log::record::Record;
use crate::service::Resolved;

const TYPE_KEY: &[u8] = b"type";
const CREATED_KEY: &[u8] = b"created";
const CONTENT_TYPE_KEY: &[u8] = b"content-type";
const JSON: &[u8] = b"application/json";
const BYTES: &[u8] = b"application/octet-stream";

/// How event ids are to be written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum UuidForm {
    /// As text.
    #[default]
    Text,
    /// As two numbers.
    Structured,
}

/// An event, and its link if it came by one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct EventMessage {
    event: Option<Arc<Record>>,
    link: Option<Arc<Record>>,
    uuids: UuidForm,
}

impl EventMessage {
    /// The message for an event of a read or a subscription.
    pub fn new(resolved: Resolved, uuids: UuidForm) -> Self {
        EventMessage { event: resolved.event, link: resolved.link, uuids }
    }

    /// The position that the reader should note: the link's if there is one.
    fn position(&self) -> Option<u64> {
        self.link.as_ref().or(self.event.as_ref()).map(|record| record.position())
    }
}

impl prost::Message for EventMessage {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        for (tag, record) in [(1, &self.event), (2, &self.link)] {
            if let Some(record) = record {
                let recorded = Recorded::new(record, self.uuids);
                put_head(tag, recorded.len, buf);
                recorded.encode(buf);
            }
        }
        match self.position() {
            Some(position) => put_number(3, position, buf),
            None => put_head(4, 0, buf),
        }
    }

    fn encoded_len(&self) -> usize {
        let records = [&self.event, &self.link].into_iter().flatten();
        let records: usize = records.map(|record| part_len(1, Recorded::new(record, self.uuids).len)).sum();
        let position = self.position().map_or(2, |position| number_len(3, position));
        records + position
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        prost::encoding::skip_field(wire_type, tag, buf, context)
    }

    fn clear(&mut self) {
        *self = EventMessage::default();
    }
}

/// One record with the lengths of its parts.
struct Recorded<'a> {
    record: &'a Record,
    uuids: UuidForm,
    created: Digits,
    id_len: usize,
    name_len: usize,
    len: usize,
}

impl<'a> Recorded<'a> {
    fn new(record: &'a Record, uuids: UuidForm) -> Self {
        let created = Digits::of(record.created_ticks());
        let id_len = match uuids {
            UuidForm::Text => part_len(2, Hyphenated::LENGTH),
            UuidForm::Structured => {
                let (most, least) = record.id().as_u64_pair();
                part_len(1, number_len(1, most) + number_len(2, least))
            }
        };
        let name_len = part_len(3, record.stream().len());
        let len = part_len(1, id_len)
            + part_len(2, name_len)
            + number_len(3, record.revision())
            + number_len(4, record.position())
            + number_len(5, record.position())
            + part_len(6, entry_len(TYPE_KEY, record.event_type()))
            + part_len(6, entry_len(CREATED_KEY, created.as_bytes()))
            + part_len(6, entry_len(CONTENT_TYPE_KEY, content_type(record)))
            + part_len(7, record.metadata().len())
            + part_len(8, record.data().len());
        Recorded { record, uuids, created, id_len, name_len, len }
    }

    fn encode(&self, buf: &mut impl BufMut) {
        let record = self.record;
        put_head(1, self.id_len, buf);
        put_id(record.id(), self.uuids, buf);
        put_head(2, self.name_len, buf);
        put_part(3, record.stream(), buf);
        put_number(3, record.revision(), buf);
        put_number(4, record.position(), buf);
        put_number(5, record.position(), buf);
        put_entry(TYPE_KEY, record.event_type(), buf);
        put_entry(CREATED_KEY, self.created.as_bytes(), buf);
        put_entry(CONTENT_TYPE_KEY, content_type(record), buf);
        put_part(7, record.metadata(), buf);
        put_part(8, record.data(), buf);
    }
}

/// A number in decimal, without a heap.
struct Digits {
    bytes: [u8; 20],
    start: usize,
}

impl Digits {
    fn of(mut number: u64) -> Self {
        let mut digits = Digits { bytes: [b'0'; 20], start: 20 };
        loop {
            digits.start -= 1;
            digits.bytes[digits.start] = b'0' + u8::try_from(number % 10).unwrap_or(0);
            number /= 10;
            if number == 0 {
                return digits;
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

fn content_type(record: &Record) -> &'static [u8] {
    if record.is_json() { JSON } else { BYTES }
}

fn put_id(id: Uuid, form: UuidForm, buf: &mut impl BufMut) {
    match form {
        UuidForm::Text => {
            let mut text = Uuid::encode_buffer();
            put_part(2, id.hyphenated().encode_lower(&mut text).as_bytes(), buf);
        }
        UuidForm::Structured => {
            let (most, least) = id.as_u64_pair();
            put_head(1, number_len(1, most) + number_len(2, least), buf);
            put_number(1, most, buf);
            put_number(2, least, buf);
        }
    }
}

fn put_entry(key: &[u8], value: &[u8], buf: &mut impl BufMut) {
    put_head(6, entry_len(key, value), buf);
    put_part(1, key, buf);
    put_part(2, value, buf);
}

fn entry_len(key: &[u8], value: &[u8]) -> usize {
    part_len(1, key.len()) + part_len(2, value.len())
}

fn put_head(tag: u32, len: usize, buf: &mut impl BufMut) {
    encode_key(tag, WireType::LengthDelimited, buf);
    encode_varint(len as u64, buf);
}

fn put_part(tag: u32, bytes: &[u8], buf: &mut impl BufMut) {
    put_head(tag, bytes.len(), buf);
    buf.put_slice(bytes);
}

fn part_len(tag: u32, len: usize) -> usize {
    key_len(tag) + encoded_len_varint(len as u64) + len
}

fn put_number(tag: u32, number: u64, buf: &mut impl BufMut) {
    encode_key(tag, WireType::Varint, buf);
    encode_varint(number, buf);
}

fn number_len(tag: u32, number: u64) -> usize {
    key_len(tag) + encoded_len_varint(number)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use prost::Message;

    use super::*;
    use crate::log::record::{Place, ProposedEvent};

    fn message(uuids: UuidForm, linked: bool) -> EventMessage {
        let event = ProposedEvent {
            id: Uuid::from_u128(0xfedc_ba98_7654_3210_0123_4567_89ab_cdef),
            event_type: "t".repeat(200),
            is_json: true,
            metadata: Bytes::from_static(b"{}"),
            data: Bytes::from(vec![b'x'; 70_000]),
        };
        let place =
            |position| Place { stream: "order-1", revision: 300, position, created_ticks: 1_234_567_890 };
        let event_record = Arc::new(Record::new(place(1_000_000), &event));
        let link = linked.then(|| Arc::new(Record::new(place(1_000_001), &event)));
        EventMessage { event: Some(event_record), link, uuids }
    }

    #[test]
    fn the_length_is_what_is_written() {
        for uuids in [UuidForm::Text, UuidForm::Structured] {
            for linked in [false, true] {
                let message = message(uuids, linked);
                assert_eq!(message.encode_to_vec().len(), message.encoded_len());
            }
        }
        let nothing = EventMessage::default();
        assert_eq!(nothing.encode_to_vec().len(), nothing.encoded_len());
    }

    /// The message as the protocol describes it, to read what was written by hand.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Described {
        #[prost(message, optional, tag = "1")]
        event: Option<DescribedEvent>,
        #[prost(message, optional, tag = "2")]
        link: Option<DescribedEvent>,
        #[prost(uint64, tag = "3")]
        commit_position: u64,
        #[prost(message, optional, tag = "4")]
        no_position: Option<()>,
    }

    #[derive(Clone, PartialEq, prost::Message)]
    struct DescribedEvent {
        #[prost(message, optional, tag = "1")]
        id: Option<crate::wire::messages::Uuid>,
        #[prost(message, optional, tag = "2")]
        stream: Option<crate::wire::messages::StreamIdentifier>,
        #[prost(uint64, tag = "3")]
        revision: u64,
        #[prost(uint64, tag = "4")]
        prepare: u64,
        #[prost(uint64, tag = "5")]
        commit: u64,
        #[prost(map = "string, string", tag = "6")]
        metadata: std::collections::HashMap<String, String>,
        #[prost(bytes = "bytes", tag = "7")]
        custom_metadata: Bytes,
        #[prost(bytes = "bytes", tag = "8")]
        data: Bytes,
    }

    #[test]
    fn what_is_written_by_hand_is_what_the_protocol_describes() {
        for uuids in [UuidForm::Text, UuidForm::Structured] {
            let written = message(uuids, true);
            let read = Described::decode(&written.encode_to_vec()[..]).unwrap();
            assert_eq!((read.commit_position, read.no_position), (1_000_001, None));
            assert_eq!(read.link.unwrap().commit, 1_000_001);
            let (event, record) = (read.event.unwrap(), written.event.unwrap());
            assert_eq!(crate::wire::names::uuid(event.id).unwrap(), record.id());
            assert_eq!(&event.stream.unwrap().stream_name[..], b"order-1");
            assert_eq!((event.revision, event.prepare, event.commit), (300, 1_000_000, 1_000_000));
            assert_eq!(event.metadata["type"], "t".repeat(200));
            assert_eq!(event.metadata["created"], "1234567890");
            assert_eq!(event.metadata["content-type"], "application/json");
            assert_eq!((&event.custom_metadata[..], &event.data[..]), (record.metadata(), record.data()));
        }
        let nothing = Described::decode(&EventMessage::default().encode_to_vec()[..]).unwrap();
        assert_eq!((nothing.event, nothing.link, nothing.no_position), (None, None, Some(())));
    }

    #[test]
    fn digits_are_decimal() {
        for number in [0, 9, 10, 12_345, u64::MAX] {
            assert_eq!(Digits::of(number).as_bytes(), number.to_string().as_bytes());
        }
    }
}
