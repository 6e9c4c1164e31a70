//! What an event of the log means for the process.

use domain::fulfilment::order_id_of;
use domain::stored::{COMMAND_NOTED, StoredEvent};
use domain::{CartId, OrderId, PaymentId, order};
use event_store::RecordedEvent;

/// How long an order waits from an event on, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// For its money.
    ForMoney(u32),
    /// For what the gateway says to this payment, as long as that is under way.
    ForPayment(PaymentId, u32),
}

/// How long the order waits from this event on, if the event says so.
pub fn wait_of(event: &RecordedEvent) -> Option<Wait> {
    if !event.event_type.starts_with("order.placed.")
        && !event.event_type.starts_with("order.payment_requested.")
    {
        return None;
    }
    // An event that cannot be read is found by whoever folds the order.
    match order::Event::read(&event.event_type, &event.data).ok()? {
        order::Event::Placed(placed) => placed.hold_seconds.map(Wait::ForMoney),
        order::Event::PaymentRequested(requested) => {
            // One that does not say is not waited for beyond the deadline.
            Some(Wait::ForPayment(requested.payment_id, requested.hold_seconds.unwrap_or(0)))
        }
        _ => None,
    }
}

/// The order that an event is about (also when all that it says is that another event of the order is passed over), and
/// the cart with the event's revision, when its order must be placed.
pub fn concerned(event: &RecordedEvent) -> Option<(OrderId, Option<(CartId, u64)>)> {
    match event.category() {
        _ if event.event_type == COMMAND_NOTED => None,
        "order" => event.stream_id().parse().ok().map(|order_id| (order_id, None)),
        "cart" if event.event_type.starts_with("cart.checked_out.") => {
            let cart_id: CartId = event.stream_id().parse().ok()?;
            Some((order_id_of(cart_id), Some((cart_id, event.revision))))
        }
        _ => None,
    }
}
