use super::Event;
use crate::Summary;
use crate::summary::counted;
use crate::{OrderId, Quantity};

impl Summary for Event {
    fn summary(&self) -> String {
        match self {
            Self::Received(received) => format!("{} received", units(received.quantity)),
            Self::Adjusted(adjusted) => {
                format!("Stock adjusted by {:+}: {}", adjusted.delta, adjusted.reason)
            }
            Self::Reserved(reserved) => {
                let what = if reserved.unpaid { "held for unpaid" } else { "held for" };
                of_order(reserved.quantity, what, reserved.order_id)
            }
            Self::Released(released) => {
                let what = if released.was_committed { "released from paid" } else { "released from" };
                of_order(released.quantity, what, released.order_id)
            }
            Self::ReservationClosed(closed) => {
                format!("Closed for order {}: it can reserve nothing more", closed.order_id)
            }
            Self::Committed(committed) => of_order(committed.quantity, "committed to", committed.order_id),
            Self::Shipped(shipped) => of_order(shipped.quantity, "shipped for", shipped.order_id),
            Self::UnitsShipped(shipped) => {
                format!("{} of the units shipped for order {}", shipped.quantity.units(), shipped.order_id)
            }
            Self::UnitsReleased(released) => {
                let units = counted(released.quantity.units(), "unshipped unit");
                format!("{units} released from order {}", released.order_id)
            }
        }
    }
}

fn units(quantity: Quantity) -> String {
    counted(quantity.units(), "unit")
}

fn of_order(quantity: Quantity, what: &str, order_id: OrderId) -> String {
    format!("{} {what} order {order_id}", units(quantity))
}
