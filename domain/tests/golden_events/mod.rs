//! The events that the golden files hold, by file name without `.json`.

use crate::samples::{
    country, currency, customer, gbp, merchant, method, name, reason, reference, sku, skus, units,
};
use domain::cart::{Abandoned, CheckedOut, ItemAdded, ItemQuantityChanged, ItemRemoved, Opened, PricedLine};
use domain::inventory::{Adjusted, Committed, Received, Released, ReservationClosed, Reserved};
use domain::order::{
    CancelReason, Cancelled, Delivered, OrderLine, Paid, PaymentRecorded, Placed, ProcessingStarted,
    RefundRecorded, Refunded, RefusedReservation, ReservationsAnswered, StockCommitted, StockReleased,
    StockShipped,
};
use domain::product::{Defined, Repriced, Retired};
use domain::{AdjustmentId, CartId, Event, LineId, OrderId, PaymentId, ReceiptId, RefundId};
use domain::{cart, inventory, order, product};
use std::collections::BTreeMap;
use uuid::{Uuid, uuid};

const CART: CartId = CartId(uuid!("018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f01"));
const ORDER: OrderId = OrderId(uuid!("018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f02"));
const FIRST_LINE: LineId = LineId(uuid!("018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f03"));
const SECOND_LINE: LineId = LineId(uuid!("018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f04"));
const RECEIPT: Uuid = uuid!("018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f05");
const ADJUSTMENT: Uuid = uuid!("018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f06");
const PAYMENT: Uuid = uuid!("018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f07");
const REFUND: Uuid = uuid!("018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f08");
const HEART: &str = "White hanging heart T-light holder";

/// One event for each golden file.
pub fn golden_events() -> BTreeMap<&'static str, Event> {
    let mut events = BTreeMap::new();
    events.extend(products().into_iter().map(|(file, event)| (file, Event::Product(event))));
    events.extend(stocks().into_iter().map(|(file, event)| (file, Event::Inventory(event))));
    events.extend(carts().into_iter().map(|(file, event)| (file, Event::Cart(event))));
    events.extend(orders().into_iter().map(|(file, event)| (file, Event::Order(event))));
    events
}

fn products() -> Vec<(&'static str, product::Event)> {
    use product::Event;
    let (sku, merchant_id, name) = (sku("85123A"), merchant("pottery"), name(HEART));
    vec![
        ("product.defined.v1", Event::Defined(Defined { sku, merchant_id, name, price: gbp(255) })),
        ("product.repriced.v1", Event::Repriced(Repriced { price: gbp(295) })),
        ("product.retired.v1", Event::Retired(Retired {})),
    ]
}

fn stocks() -> Vec<(&'static str, inventory::Event)> {
    use inventory::{Event, Shipped};
    let (receipt_id, adjustment_id) = (ReceiptId(RECEIPT), AdjustmentId(ADJUSTMENT));
    let (order_id, quantity) = (ORDER, units(3));
    let adjusted = Adjusted { adjustment_id, delta: -2, reason: reason("broken in the warehouse") };
    let released = Released { order_id, quantity, was_committed: false };
    vec![
        ("inventory.received.v1", Event::Received(Received { receipt_id, quantity: units(480) })),
        ("inventory.adjusted.v1", Event::Adjusted(adjusted)),
        ("inventory.reserved.v1", Event::Reserved(Reserved { order_id, quantity })),
        ("inventory.released.v1", Event::Released(released)),
        ("inventory.reservation_closed.v1", Event::ReservationClosed(ReservationClosed { order_id })),
        ("inventory.committed.v1", Event::Committed(Committed { order_id, quantity })),
        ("inventory.shipped.v1", Event::Shipped(Shipped { order_id, quantity })),
    ]
}

fn carts() -> Vec<(&'static str, cart::Event)> {
    use cart::Event;
    let opened = |customer_id| Event::Opened(Opened { currency: currency("GBP"), customer_id });
    let line_id = FIRST_LINE;
    let added =
        ItemAdded { line_id, sku: sku("85123A"), quantity: units(6), unit_price: gbp(255), agreed: true };
    let priced = |line_id, called, price| PricedLine {
        line_id,
        merchant_id: merchant("pottery"),
        name: name(called),
        unit_price: gbp(price),
    };
    let checked_out = CheckedOut {
        order_id: ORDER,
        country: country("United Kingdom"),
        lines: vec![priced(FIRST_LINE, HEART, 255), priced(SECOND_LINE, "Postage", 1800)],
        total: gbp(3330),
    };
    let changed = ItemQuantityChanged { line_id, quantity: units(12) };
    vec![
        ("cart.opened.v1", opened(Some(customer("17850")))),
        ("cart.opened.v1-guest", opened(None)),
        ("cart.item_added.v1", Event::ItemAdded(added)),
        ("cart.item_quantity_changed.v1", Event::ItemQuantityChanged(changed)),
        ("cart.item_removed.v1", Event::ItemRemoved(ItemRemoved { line_id })),
        ("cart.checked_out.v1", Event::CheckedOut(checked_out)),
        ("cart.abandoned.v1", Event::Abandoned(Abandoned {})),
    ]
}

fn placed(who: Option<&str>) -> order::Event {
    let line = |line_id, what, called, quantity, price| OrderLine {
        line_id,
        sku: sku(what),
        merchant_id: merchant("pottery"),
        name: name(called),
        quantity: units(quantity),
        unit_price: gbp(price),
    };
    order::Event::Placed(Placed {
        cart_id: CART,
        customer_id: who.map(customer),
        country: country("United Kingdom"),
        lines: vec![line(FIRST_LINE, "85123A", HEART, 6, 255), line(SECOND_LINE, "POST", "Postage", 1, 1800)],
        total: gbp(3330),
    })
}

fn refused(what: &str, available: u64) -> Vec<RefusedReservation> {
    vec![RefusedReservation { sku: sku(what), available }]
}

fn answered(held: &[&str], refused: Vec<RefusedReservation>) -> order::Event {
    order::Event::ReservationsAnswered(ReservationsAnswered { held: skus(held), refused })
}

fn cancelled(reason: CancelReason) -> order::Event {
    order::Event::Cancelled(Cancelled { reason })
}

fn orders() -> Vec<(&'static str, order::Event)> {
    use order::{Event, Shipped};
    let all = || skus(&["85123A", "POST"]);
    let amount = gbp(3330);
    let payment = PaymentRecorded {
        payment_id: PaymentId(PAYMENT),
        amount,
        method: method("card"),
        reference: reference("pi_3MtwBwLkdIwHu7ix"),
    };
    let refund =
        RefundRecorded { refund_id: RefundId(REFUND), amount, reference: reference("re_3MtwBwLkdIwHu7ix") };
    let requested = CancelReason::Requested { reason: reason("changed my mind") };
    vec![
        ("order.placed.v1", placed(Some("17850"))),
        ("order.placed.v1-guest", placed(None)),
        ("order.reservations_answered.v1", answered(&["85123A"], refused("POST", 0))),
        ("order.reservations_answered.v1-held", answered(&["85123A", "POST"], vec![])),
        ("order.reservations_answered.v1-refused", answered(&[], refused("85123A", 5))),
        ("order.payment_recorded.v1", Event::PaymentRecorded(payment)),
        ("order.paid.v1", Event::Paid(Paid { amount })),
        ("order.stock_committed.v1", Event::StockCommitted(StockCommitted { skus: all() })),
        ("order.processing_started.v1", Event::ProcessingStarted(ProcessingStarted {})),
        ("order.shipped.v1", Event::Shipped(Shipped {})),
        ("order.stock_shipped.v1", Event::StockShipped(StockShipped { skus: all() })),
        ("order.delivered.v1", Event::Delivered(Delivered {})),
        ("order.cancelled.v1", cancelled(CancelReason::OutOfStock { refused: refused("85123A", 5) })),
        ("order.cancelled.v1-requested", cancelled(requested)),
        ("order.stock_released.v1", Event::StockReleased(StockReleased { skus: all() })),
        ("order.refund_recorded.v1", Event::RefundRecorded(refund)),
        ("order.refunded.v1", Event::Refunded(Refunded { amount })),
    ]
}
