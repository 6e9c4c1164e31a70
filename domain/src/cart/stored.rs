use super::Event;
use crate::stored::stored_events;

stored_events!(Event {
    "cart.opened.v1" => Opened,
    "cart.item_added.v1" => ItemAdded,
    "cart.item_quantity_changed.v1" => ItemQuantityChanged,
    "cart.item_removed.v1" => ItemRemoved,
    "cart.shipping_set.v1" => ShippingSet,
    "cart.checked_out.v1" => CheckedOut,
    "cart.abandoned.v1" => Abandoned,
});
