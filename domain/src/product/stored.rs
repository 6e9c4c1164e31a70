use super::Event;
use crate::stored::stored_events;

stored_events!(Event {
    "product.defined.v1" => Defined,
    "product.repriced.v1" => Repriced,
    "product.retired.v1" => Retired,
});
