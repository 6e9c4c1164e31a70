//! Events of every type with anything in them that their types allow, sensible or not.

#![allow(dead_code, reason = "each test file uses a part of them")]

use domain::cart::{ItemAdded, ItemQuantityChanged, ItemRemoved, Opened, PricedLine, ShippingSet};
use domain::inventory::{Adjusted, Received, Released, ReservationClosed, Reserved};
use domain::order::{
    CancelReason, OrderLine, PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentRecorded,
    PaymentRequested, PaymentStarted, PaymentVoided, Placed, RefundRecorded, RefundRefused, RefundRequested,
    RefusedReservation, ReservationsAnswered, ShipmentDelivered, ShipmentSent, ShippedLine, Tracking,
};
use domain::{
    AdjustmentId, Carrier, CartId, Country, Currency, CustomerId, DeclineCode, IntentId, LineId, MerchantId,
    Money, OrderId, PaymentId, PaymentMethod, PaymentToken, ProductName, Quantity, Reason, ReceiptId,
    Reference, RefundId, ShipmentId, Sku, TrackingNumber, WebAddress,
};
use domain::{cart, inventory, order, product};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use uuid::Uuid;

macro_rules! ids {
    ($($function:ident => $id:ident),+ $(,)?) => {
        $(fn $function() -> impl Strategy<Value = $id> {
            any::<u128>().prop_map(|number| $id(Uuid::from_u128(number)))
        })+
    };
}

ids! {
    cart_id => CartId,
    line_id => LineId,
    order_id => OrderId,
    receipt_id => ReceiptId,
    adjustment_id => AdjustmentId,
    payment_id => PaymentId,
    refund_id => RefundId,
    shipment_id => ShipmentId,
}

macro_rules! texts {
    ($($function:ident => $text:ident from $characters:expr),+ $(,)?) => {
        $(fn $function() -> impl Strategy<Value = $text> {
            $characters.prop_filter_map("not such a text", |text: String| $text::new(&text).ok())
        })+
    };
}

/// What may stand in a code; spaces at its ends are trimmed.
const CODE: &str = "[A-Za-z0-9._-][A-Za-z0-9._ -]{0,30}";

fn anything() -> impl Strategy<Value = String> {
    vec(any::<char>(), 1..40)
        .prop_map(|characters| characters.into_iter().filter(|c| !c.is_control()).collect())
}

texts! {
    sku => Sku from CODE,
    merchant_id => MerchantId from CODE,
    method => PaymentMethod from CODE,
    customer_id => CustomerId from anything(),
    name => ProductName from anything(),
    country => Country from anything(),
    reason => Reason from anything(),
    reference => Reference from anything(),
    token => PaymentToken from anything(),
    intent => IntentId from anything(),
    decline_code => DeclineCode from anything(),
    carrier => Carrier from anything(),
    tracking_number => TrackingNumber from anything(),
}

fn currency() -> impl Strategy<Value = Currency> {
    "[A-Z]{3}".prop_map(|code: String| code.parse().expect("three letters are a currency"))
}

fn money() -> impl Strategy<Value = Money> {
    let amount = prop_oneof![Just(0), Just(Money::MAX_AMOUNT), 0..=Money::MAX_AMOUNT];
    (amount, currency()).prop_map(|(amount, currency)| Money::new(amount, currency).expect("it is in range"))
}

fn quantity() -> impl Strategy<Value = Quantity> {
    let units = prop_oneof![Just(1), Just(i64::from(Quantity::MAX)), 1..=i64::from(Quantity::MAX)];
    units.prop_map(|units| Quantity::new(units).expect("it is in range"))
}

pub fn product() -> impl Strategy<Value = product::Event> {
    use product::{Defined, Event, Repriced, Retired};
    prop_oneof![
        (sku(), merchant_id(), name(), money()).prop_map(|(sku, merchant_id, name, price)| {
            Event::Defined(Defined { sku, merchant_id, name, price })
        }),
        money().prop_map(|price| Event::Repriced(Repriced { price })),
        Just(Event::Retired(Retired {})),
    ]
}

pub fn inventory() -> impl Strategy<Value = inventory::Event> {
    use inventory::{Committed, Event, Shipped, UnitsReleased, UnitsShipped};
    prop_oneof![
        (receipt_id(), quantity())
            .prop_map(|(receipt_id, quantity)| Event::Received(Received { receipt_id, quantity })),
        (adjustment_id(), any::<i64>(), reason()).prop_map(|(adjustment_id, delta, reason)| {
            Event::Adjusted(Adjusted { adjustment_id, delta, reason })
        }),
        (order_id(), quantity(), any::<bool>()).prop_map(|(order_id, quantity, unpaid)| Event::Reserved(
            Reserved { order_id, quantity, unpaid }
        )),
        (order_id(), quantity(), any::<bool>()).prop_map(|(order_id, quantity, was_committed)| {
            Event::Released(Released { order_id, quantity, was_committed })
        }),
        order_id().prop_map(|order_id| Event::ReservationClosed(ReservationClosed { order_id })),
        (order_id(), quantity())
            .prop_map(|(order_id, quantity)| Event::Committed(Committed { order_id, quantity })),
        (order_id(), quantity())
            .prop_map(|(order_id, quantity)| Event::Shipped(Shipped { order_id, quantity })),
        (order_id(), quantity())
            .prop_map(|(order_id, quantity)| Event::UnitsShipped(UnitsShipped { order_id, quantity })),
        (order_id(), quantity())
            .prop_map(|(order_id, quantity)| Event::UnitsReleased(UnitsReleased { order_id, quantity })),
    ]
}

fn hold_seconds() -> impl Strategy<Value = Option<u32>> {
    option::of(any::<u32>())
}

/// How long an order waits, and whether nobody knows whose it is.
fn waiting() -> impl Strategy<Value = (Option<u32>, bool)> {
    (hold_seconds(), any::<bool>())
}

fn priced_line() -> impl Strategy<Value = PricedLine> {
    (line_id(), merchant_id(), name(), money()).prop_map(|(line_id, merchant_id, name, unit_price)| {
        PricedLine { line_id, merchant_id, name, unit_price }
    })
}

pub fn cart() -> impl Strategy<Value = cart::Event> {
    use cart::{Abandoned, CheckedOut, Event};
    prop_oneof![
        (currency(), option::of(customer_id()))
            .prop_map(|(currency, customer_id)| Event::Opened(Opened { currency, customer_id })),
        (line_id(), sku(), quantity(), money(), any::<bool>()).prop_map(
            |(line_id, sku, quantity, unit_price, agreed)| {
                Event::ItemAdded(ItemAdded { line_id, sku, quantity, unit_price, agreed })
            }
        ),
        (line_id(), quantity()).prop_map(|(line_id, quantity)| {
            Event::ItemQuantityChanged(ItemQuantityChanged { line_id, quantity })
        }),
        line_id().prop_map(|line_id| Event::ItemRemoved(ItemRemoved { line_id })),
        money().prop_map(|charge| Event::ShippingSet(ShippingSet { charge })),
        (order_id(), country(), vec(priced_line(), 0..3), option::of(money()), money(), waiting()).prop_map(
            |(order_id, country, lines, shipping, total, (hold_seconds, anonymous))| {
                Event::CheckedOut(CheckedOut {
                    order_id,
                    country,
                    lines,
                    shipping,
                    total,
                    hold_seconds,
                    anonymous,
                })
            }
        ),
        Just(Event::Abandoned(Abandoned {})),
    ]
}

fn order_line() -> impl Strategy<Value = OrderLine> {
    (priced_line(), sku(), quantity()).prop_map(|(priced, sku, quantity)| OrderLine {
        line_id: priced.line_id,
        sku,
        merchant_id: priced.merchant_id,
        name: priced.name,
        quantity,
        unit_price: priced.unit_price,
    })
}

fn placed() -> impl Strategy<Value = Placed> {
    let who = (cart_id(), option::of(customer_id()), country());
    (who, vec(order_line(), 0..3), option::of(money()), money(), waiting()).prop_map(
        |((cart_id, customer_id, country), lines, shipping, total, (hold_seconds, anonymous))| Placed {
            cart_id,
            customer_id,
            country,
            lines,
            shipping,
            total,
            hold_seconds,
            anonymous,
        },
    )
}

fn refused() -> impl Strategy<Value = Vec<RefusedReservation>> {
    let one = (sku(), any::<u64>()).prop_map(|(sku, available)| RefusedReservation { sku, available });
    vec(one, 0..3)
}

fn skus() -> impl Strategy<Value = Vec<Sku>> {
    vec(sku(), 0..3)
}

fn cancel_reason() -> impl Strategy<Value = CancelReason> {
    prop_oneof![
        refused().prop_map(|refused| CancelReason::OutOfStock { refused }),
        Just(CancelReason::Expired),
        reason().prop_map(|reason| CancelReason::Requested { reason }),
    ]
}

fn web_address() -> impl Strategy<Value = Option<WebAddress>> {
    let address = "https://[a-z]{1,20}/[!#-;=?-Z_a-z~]{0,40}";
    option::of(address.prop_map(|text| WebAddress::new(&text).expect("it is an address")))
}

fn gateway_payment() -> impl Strategy<Value = order::Event> {
    use order::Event;
    prop_oneof![
        (payment_id(), money(), token(), web_address(), hold_seconds()).prop_map(
            |(payment_id, amount, token, return_url, hold_seconds)| {
                Event::PaymentRequested(PaymentRequested {
                    payment_id,
                    amount,
                    token,
                    return_url,
                    hold_seconds,
                })
            }
        ),
        (payment_id(), intent(), web_address()).prop_map(|(payment_id, intent, redirect_url)| {
            Event::PaymentStarted(PaymentStarted { payment_id, intent, redirect_url })
        }),
        (payment_id(), intent()).prop_map(|(payment_id, intent)| {
            Event::PaymentAuthorized(PaymentAuthorized { payment_id, intent })
        }),
        (payment_id(), decline_code(), reason()).prop_map(|(payment_id, code, message)| {
            Event::PaymentDeclined(PaymentDeclined { payment_id, code, message })
        }),
        (payment_id(), intent(), money()).prop_map(|(payment_id, intent, amount)| {
            Event::PaymentCaptured(PaymentCaptured { payment_id, intent, amount })
        }),
        payment_id().prop_map(|payment_id| Event::PaymentVoided(PaymentVoided { payment_id })),
    ]
}

fn refund() -> impl Strategy<Value = order::Event> {
    use order::{Event, RefundFailed, RefundFound, Refunded};
    prop_oneof![
        (refund_id(), payment_id(), money()).prop_map(|(refund_id, payment_id, amount)| {
            Event::RefundRequested(RefundRequested { refund_id, payment_id, amount })
        }),
        (refund_id(), payment_id(), reason()).prop_map(|(refund_id, payment_id, message)| {
            Event::RefundRefused(RefundRefused { refund_id, payment_id, message })
        }),
        (refund_id(), option::of(payment_id()), money(), reference()).prop_map(
            |(refund_id, payment_id, amount, reference)| {
                Event::RefundRecorded(RefundRecorded { refund_id, payment_id, amount, reference })
            }
        ),
        (refund_id(), payment_id(), money(), reference()).prop_map(
            |(refund_id, payment_id, amount, reference)| {
                Event::RefundFound(RefundFound { refund_id, payment_id, amount, reference })
            }
        ),
        (refund_id(), payment_id(), money(), reason()).prop_map(
            |(refund_id, payment_id, amount, message)| {
                Event::RefundFailed(RefundFailed { refund_id, payment_id, amount, message })
            }
        ),
        money().prop_map(|amount| Event::Refunded(Refunded { amount })),
    ]
}

fn shipment() -> impl Strategy<Value = order::Event> {
    use order::Event;
    let line = (line_id(), quantity()).prop_map(|(line_id, quantity)| ShippedLine { line_id, quantity });
    let tracking = (carrier(), tracking_number()).prop_map(|(carrier, number)| Tracking { carrier, number });
    prop_oneof![
        (shipment_id(), merchant_id(), vec(line, 0..3), option::of(tracking)).prop_map(
            |(shipment_id, merchant_id, lines, tracking)| {
                Event::ShipmentSent(ShipmentSent { shipment_id, merchant_id, lines, tracking })
            }
        ),
        shipment_id().prop_map(|shipment_id| Event::ShipmentDelivered(ShipmentDelivered { shipment_id })),
    ]
}

fn parts() -> impl Strategy<Value = Vec<order::PartedStock>> {
    let units = || any::<u32>();
    let part = (sku(), units(), units(), units())
        .prop_map(|(sku, shipped, released, left)| order::PartedStock { sku, shipped, released, left });
    vec(part, 0..3)
}

fn rest_cancelled() -> impl Strategy<Value = order::Event> {
    let line = (line_id(), quantity()).prop_map(|(line_id, quantity)| ShippedLine { line_id, quantity });
    (vec(line, 0..3), reason(), money(), option::of(money())).prop_map(|(lines, reason, refund, by_hand)| {
        order::Event::RestCancelled(order::RestCancelled { lines, reason, refund, by_hand })
    })
}

pub fn order() -> impl Strategy<Value = order::Event> {
    use order::{
        Cancelled, Delivered, Event, Paid, ProcessingStarted, Shipped, StockCommitted, StockParted,
        StockReleased, StockShipped,
    };
    prop_oneof![
        3 => placed().prop_map(Event::Placed),
        1 => (skus(), refused(), skus()).prop_map(|(held, refused, at_payment)| {
            Event::ReservationsAnswered(ReservationsAnswered { held, refused, at_payment })
        }),
        1 => (payment_id(), money(), method(), reference()).prop_map(
            |(payment_id, amount, method, reference)| {
                Event::PaymentRecorded(PaymentRecorded { payment_id, amount, method, reference })
            }
        ),
        1 => money().prop_map(|amount| Event::Paid(Paid { amount })),
        1 => skus().prop_map(|skus| Event::StockCommitted(StockCommitted { skus })),
        1 => Just(Event::ProcessingStarted(ProcessingStarted {})),
        1 => Just(Event::Shipped(Shipped {})),
        1 => skus().prop_map(|skus| Event::StockShipped(StockShipped { skus })),
        1 => parts().prop_map(|parts| Event::StockParted(StockParted { parts })),
        1 => rest_cancelled(),
        1 => Just(Event::Delivered(Delivered {})),
        1 => cancel_reason().prop_map(|reason| Event::Cancelled(Cancelled { reason })),
        1 => skus().prop_map(|skus| Event::StockReleased(StockReleased { skus })),
        6 => gateway_payment(),
        4 => refund(),
        2 => shipment(),
    ]
}
