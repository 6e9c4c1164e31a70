//! The message of one event for a consumer of a group: an event's message, and how often it was given before.

use prost::DecodeError;
use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, int32};

use super::event_message::{EventMessage, UuidForm};
use crate::groups::Delivery;

const RETRY_COUNT_TAG: u32 = 5;

/// An event, and how often it was given before.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GroupEventMessage {
    event: EventMessage,
    retries: i32,
}

impl GroupEventMessage {
    /// The message for a delivery.
    pub fn new(delivery: Delivery, uuids: UuidForm) -> Self {
        GroupEventMessage {
            event: EventMessage::new(delivery.event, uuids),
            retries: i32::try_from(delivery.retries).unwrap_or(i32::MAX),
        }
    }
}

impl prost::Message for GroupEventMessage {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.event.encode_raw(buf);
        int32::encode(RETRY_COUNT_TAG, &self.retries, buf);
    }

    fn encoded_len(&self) -> usize {
        self.event.encoded_len() + int32::encoded_len(RETRY_COUNT_TAG, &self.retries)
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
        *self = GroupEventMessage::default();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use prost::Message;

    use super::*;
    use crate::log::record::{Place, ProposedEvent, Record};
    use crate::service::Resolved;

    /// The parts of the message as the protocol describes them.
    #[derive(Clone, PartialEq, Message)]
    struct Described {
        #[prost(bytes = "vec", tag = "1")]
        event: Vec<u8>,
        #[prost(uint64, tag = "3")]
        commit_position: u64,
        #[prost(int32, optional, tag = "5")]
        retry_count: Option<i32>,
    }

    #[test]
    fn the_retries_are_told_even_if_there_were_none() {
        let event = ProposedEvent {
            id: uuid::Uuid::from_u128(1),
            event_type: "t".into(),
            is_json: true,
            metadata: Bytes::new(),
            data: Bytes::from_static(b"{}"),
        };
        let place = Place { stream: "s", revision: 3, position: 9, created_ticks: 0 };
        let event = Resolved { event: Some(Arc::new(Record::new(place, &event))), link: None };
        for retries in [0, 300] {
            let message = GroupEventMessage::new(Delivery { event: event.clone(), retries }, UuidForm::Text);
            let bytes = message.encode_to_vec();
            assert_eq!(bytes.len(), message.encoded_len());
            let read = Described::decode(&bytes[..]).unwrap();
            assert_eq!((read.commit_position, read.retry_count), (9, i32::try_from(retries).ok()));
            assert!(!read.event.is_empty());
        }
    }
}
