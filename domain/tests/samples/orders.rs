//! One order, at every stage of its life: two lines of mugs (three mugs in all) and a bowl, 35 GBP.

use super::{
    address, cart_id, code, country, gbp, intent, line_id, merchant, method, name, payment_id, reason,
    reference, refund_id, shipment_id, sku, skus, token, units,
};
use domain::IntentId;
use domain::order::{
    CancelReason, Cancelled, Delivered, Event, OrderLine, Paid, PartedStock, PaymentAuthorized,
    PaymentCaptured, PaymentDeclined, PaymentRecorded, PaymentRequested, PaymentStarted, PaymentVoided,
    Placed, ProcessingStarted, RefundFailed, RefundFound, RefundRecorded, RefundRefused, RefundRequested,
    Refunded, RefusedReservation, ReservationsAnswered, RestCancelled, ShipmentDelivered, ShipmentSent,
    Shipped, ShippedLine, StockCommitted, StockParted, StockReleased, StockShipped,
};

fn line(number: u128, what: &str, quantity: u32, price: i64) -> OrderLine {
    OrderLine {
        line_id: line_id(number),
        sku: sku(what),
        merchant_id: merchant("pottery"),
        name: name(what),
        quantity: units(quantity),
        unit_price: gbp(price),
    }
}

pub fn the_order() -> Placed {
    Placed {
        cart_id: cart_id(1),
        customer_id: None,
        country: country("GB"),
        lines: vec![line(1, "MUG", 2, 10), line(2, "BOWL", 1, 5), line(3, "MUG", 1, 10)],
        shipping: None,
        total: gbp(35),
        hold_seconds: None,
        anonymous: false,
    }
}

pub fn answered(held: &[&str], refused: &[(&str, u64)]) -> Event {
    let refused = refused_of(refused);
    Event::ReservationsAnswered(ReservationsAnswered { held: skus(held), refused, at_payment: vec![] })
}

/// Stock holds these only when they are paid for.
pub fn at_payment(what: &[&str]) -> Event {
    let at_payment = skus(what);
    Event::ReservationsAnswered(ReservationsAnswered { held: vec![], refused: vec![], at_payment })
}

/// An order of somebody whom nobody knows.
pub fn anonymous() -> Vec<Event> {
    vec![Event::Placed(Placed { anonymous: true, ..the_order() })]
}

fn refused_of(refused: &[(&str, u64)]) -> Vec<RefusedReservation> {
    refused.iter().map(|(what, left)| RefusedReservation { sku: sku(what), available: *left }).collect()
}

pub fn payment(number: u128, amount: i64) -> Event {
    Event::PaymentRecorded(PaymentRecorded {
        payment_id: payment_id(number),
        amount: gbp(amount),
        method: method("card"),
        reference: reference("bank"),
    })
}

/// How the gateway names a payment.
pub fn the_intent(number: u128) -> IntentId {
    intent(&format!("pi_{number}"))
}

/// A payment through the gateway.
pub fn requested(number: u128, amount: i64) -> Event {
    Event::PaymentRequested(PaymentRequested {
        payment_id: payment_id(number),
        amount: gbp(amount),
        token: token("tok_visa"),
        return_url: None,
        hold_seconds: None,
    })
}

pub fn started(number: u128) -> Event {
    let (payment_id, intent) = (payment_id(number), the_intent(number));
    Event::PaymentStarted(PaymentStarted { payment_id, intent, redirect_url: None })
}

/// The shopper is to go to that page.
pub fn wants_shopper(number: u128, page: &str) -> Event {
    let (payment_id, intent, redirect_url) = (payment_id(number), the_intent(number), Some(address(page)));
    Event::PaymentStarted(PaymentStarted { payment_id, intent, redirect_url })
}

pub fn authorized(number: u128) -> Event {
    let (payment_id, intent) = (payment_id(number), the_intent(number));
    Event::PaymentAuthorized(PaymentAuthorized { payment_id, intent })
}

pub fn declined(number: u128) -> Event {
    Event::PaymentDeclined(PaymentDeclined {
        payment_id: payment_id(number),
        code: code("card_declined"),
        message: reason("no"),
    })
}

pub fn captured(number: u128, amount: i64) -> Event {
    let (payment_id, intent, amount) = (payment_id(number), the_intent(number), gbp(amount));
    Event::PaymentCaptured(PaymentCaptured { payment_id, intent, amount })
}

pub fn voided(number: u128) -> Event {
    Event::PaymentVoided(PaymentVoided { payment_id: payment_id(number) })
}

pub fn paid_event(amount: i64) -> Event {
    Event::Paid(Paid { amount: gbp(amount) })
}

pub fn committed(what: &[&str]) -> Event {
    Event::StockCommitted(StockCommitted { skus: skus(what) })
}

pub fn processing_event() -> Event {
    Event::ProcessingStarted(ProcessingStarted {})
}

pub fn shipped_event() -> Event {
    Event::Shipped(Shipped {})
}

/// A parcel with units of lines.
pub fn sent(number: u128, lines: &[(u128, u32)]) -> Event {
    Event::ShipmentSent(ShipmentSent {
        shipment_id: shipment_id(number),
        merchant_id: merchant("pottery"),
        lines: shipped_lines(lines),
        tracking: None,
    })
}

pub fn shipped_lines(lines: &[(u128, u32)]) -> Vec<ShippedLine> {
    let line = |&(line, quantity)| ShippedLine { line_id: line_id(line), quantity: units(quantity) };
    lines.iter().map(line).collect()
}

pub fn arrived(number: u128) -> Event {
    Event::ShipmentDelivered(ShipmentDelivered { shipment_id: shipment_id(number) })
}

pub fn stock_shipped(what: &[&str]) -> Event {
    Event::StockShipped(StockShipped { skus: skus(what) })
}

/// Units of some SKUs went separate ways: shipped, back in stock, and left.
pub fn parted(parts: &[(&str, u32, u32, u32)]) -> Event {
    let part = |&(what, shipped, released, left): &_| PartedStock { sku: sku(what), shipped, released, left };
    Event::StockParted(StockParted { parts: parts.iter().map(part).collect() })
}

/// Units of lines are given up, and so much goes back, of which so much by hand.
pub fn given_up(lines: &[(u128, u32)], refund: i64, by_hand: i64) -> Event {
    Event::RestCancelled(RestCancelled {
        lines: shipped_lines(lines),
        reason: reason("burnt"),
        refund: gbp(refund),
        by_hand: (by_hand > 0).then(|| gbp(by_hand)),
    })
}

pub fn delivered_event() -> Event {
    Event::Delivered(Delivered {})
}

pub fn cancelled_on_request() -> Event {
    Event::Cancelled(Cancelled { reason: CancelReason::Requested { reason: reason("changed my mind") } })
}

pub fn expired() -> Event {
    Event::Cancelled(Cancelled { reason: CancelReason::Expired })
}

pub fn out_of_stock(refused: &[(&str, u64)]) -> Event {
    Event::Cancelled(Cancelled { reason: CancelReason::OutOfStock { refused: refused_of(refused) } })
}

pub fn stock_released(what: &[&str]) -> Event {
    Event::StockReleased(StockReleased { skus: skus(what) })
}

pub fn refund(number: u128, amount: i64) -> Event {
    Event::RefundRecorded(RefundRecorded {
        refund_id: refund_id(number),
        payment_id: None,
        amount: gbp(amount),
        reference: reference("bank"),
    })
}

/// The refund, of a payment, that the gateway was asked for.
pub fn refund_of(number: u128, payment: u128, amount: i64) -> Event {
    Event::RefundRecorded(RefundRecorded {
        refund_id: refund_id(number),
        payment_id: Some(payment_id(payment)),
        amount: gbp(amount),
        reference: reference("bank"),
    })
}

pub fn refund_requested(number: u128, payment: u128, amount: i64) -> Event {
    let (refund_id, payment_id, amount) = (refund_id(number), payment_id(payment), gbp(amount));
    Event::RefundRequested(RefundRequested { refund_id, payment_id, amount })
}

pub fn refund_refused(number: u128, payment: u128) -> Event {
    let (refund_id, payment_id, message) = (refund_id(number), payment_id(payment), reason("no"));
    Event::RefundRefused(RefundRefused { refund_id, payment_id, message })
}

/// A refund that people made at the gateway.
pub fn refund_found(number: u128, payment: u128, amount: i64) -> Event {
    let (refund_id, payment_id, amount) = (refund_id(number), payment_id(payment), gbp(amount));
    Event::RefundFound(RefundFound { refund_id, payment_id, amount, reference: reference("re_1") })
}

pub fn all_went_back() -> Event {
    let reason = reason("all of its money was refunded");
    Event::Cancelled(Cancelled { reason: CancelReason::Requested { reason } })
}

pub fn refund_failed(number: u128, payment: u128, amount: i64) -> Event {
    let (refund_id, payment_id, amount) = (refund_id(number), payment_id(payment), gbp(amount));
    Event::RefundFailed(RefundFailed { refund_id, payment_id, amount, message: reason("no") })
}

pub fn refunded_event(amount: i64) -> Event {
    Event::Refunded(Refunded { amount: gbp(amount) })
}

/// A history, and what happened after it.
pub fn and(mut history: Vec<Event>, more: &[Event]) -> Vec<Event> {
    history.extend_from_slice(more);
    history
}

pub fn pending() -> Vec<Event> {
    vec![Event::Placed(the_order())]
}

/// All stock is held, and no money is there.
pub fn held() -> Vec<Event> {
    and(pending(), &[answered(&["BOWL", "MUG"], &[])])
}

/// All money is there, and stock has not answered.
pub fn prepaid() -> Vec<Event> {
    and(pending(), &[payment(1, 35)])
}

pub fn paid() -> Vec<Event> {
    and(held(), &[payment(1, 35), paid_event(35)])
}

pub fn processing() -> Vec<Event> {
    and(paid(), &[committed(&["BOWL", "MUG"]), processing_event()])
}

pub fn shipped() -> Vec<Event> {
    and(processing(), &[shipped_event()])
}

pub fn delivered() -> Vec<Event> {
    and(shipped(), &[stock_shipped(&["BOWL", "MUG"]), delivered_event()])
}

/// Called off before anybody answered.
pub fn cancelled_early() -> Vec<Event> {
    and(pending(), &[cancelled_on_request()])
}

/// Called off when all was held and paid.
pub fn cancelled_paid() -> Vec<Event> {
    and(paid(), &[cancelled_on_request()])
}

pub fn refunded_before_shipping() -> Vec<Event> {
    and(cancelled_paid(), &[refund(1, 35), refunded_event(35)])
}

pub fn refunded_after_shipping() -> Vec<Event> {
    and(shipped(), &[refund(1, 35), refunded_event(35)])
}
