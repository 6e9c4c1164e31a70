use super::Event;
use crate::stored::stored_events;

stored_events!(Event {
    "inventory.received.v1" => Received,
    "inventory.adjusted.v1" => Adjusted,
    "inventory.reserved.v1" => Reserved,
    "inventory.released.v1" => Released,
    "inventory.reservation_closed.v1" => ReservationClosed,
    "inventory.committed.v1" => Committed,
    "inventory.shipped.v1" => Shipped,
    "inventory.units_shipped.v1" => UnitsShipped,
    "inventory.units_released.v1" => UnitsReleased,
});
