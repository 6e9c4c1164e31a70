//! The events that the golden files hold, by file name without `.json`.

mod orders;

use crate::samples::{country, currency, customer, gbp, merchant, name, reason, sku, units};
use domain::cart::{
    Abandoned, CheckedOut, ItemAdded, ItemQuantityChanged, ItemRemoved, Opened, PricedLine, ShippingSet,
};
use domain::inventory::{
    Adjusted, Committed, Received, Released, ReservationClosed, Reserved, UnitsReleased, UnitsShipped,
};
use domain::product::{Defined, Repriced, Retired};
use domain::{AdjustmentId, CartId, Event, LineId, OrderId, ReceiptId};
use domain::{cart, inventory, product};
use orders::orders;
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
const SHIPMENT: Uuid = uuid!("018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f09");
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
        ("inventory.reserved.v1", Event::Reserved(Reserved { order_id, quantity, unpaid: false })),
        ("inventory.reserved.v1-unpaid", Event::Reserved(Reserved { order_id, quantity, unpaid: true })),
        ("inventory.released.v1", Event::Released(released)),
        ("inventory.reservation_closed.v1", Event::ReservationClosed(ReservationClosed { order_id })),
        ("inventory.units_shipped.v1", Event::UnitsShipped(UnitsShipped { order_id, quantity })),
        ("inventory.units_released.v1", Event::UnitsReleased(UnitsReleased { order_id, quantity })),
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
    let checked_out = |shipping: Option<i64>, anonymous| CheckedOut {
        order_id: ORDER,
        country: country("United Kingdom"),
        lines: vec![priced(FIRST_LINE, HEART, 255), priced(SECOND_LINE, "Postage", 1800)],
        shipping: shipping.map(gbp),
        total: gbp(3330 + shipping.unwrap_or(0)),
        hold_seconds: shipping.map(|_| 900),
        anonymous,
    };
    let of_anybody = CheckedOut { country: country("GB"), ..checked_out(Some(395), true) };
    let changed = ItemQuantityChanged { line_id, quantity: units(12) };
    vec![
        ("cart.opened.v1", opened(Some(customer("17850")))),
        ("cart.opened.v1-guest", opened(None)),
        ("cart.item_added.v1", Event::ItemAdded(added)),
        ("cart.item_quantity_changed.v1", Event::ItemQuantityChanged(changed)),
        ("cart.item_removed.v1", Event::ItemRemoved(ItemRemoved { line_id })),
        ("cart.shipping_set.v1", Event::ShippingSet(ShippingSet { charge: gbp(395) })),
        ("cart.checked_out.v1", Event::CheckedOut(checked_out(None, false))),
        ("cart.checked_out.v1-shipping", Event::CheckedOut(checked_out(Some(395), false))),
        ("cart.checked_out.v1-anonymous", Event::CheckedOut(of_anybody)),
        ("cart.abandoned.v1", Event::Abandoned(Abandoned {})),
    ]
}
