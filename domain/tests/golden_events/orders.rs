//! The events that the golden files of orders hold.

use super::{CART, FIRST_LINE, HEART, PAYMENT, REFUND, SECOND_LINE, SHIPMENT};
use crate::samples::{
    address, carrier, code, country, customer, gbp, intent, merchant, method, name, reason, reference, sku,
    skus, token, tracking_number, units,
};
use domain::order::{
    CancelReason, Cancelled, Delivered, Event, OrderLine, Paid, PartedStock, PaymentAuthorized,
    PaymentCaptured, PaymentDeclined, PaymentRecorded, PaymentRequested, PaymentStarted, PaymentVoided,
    Placed, ProcessingStarted, RefundFailed, RefundFound, RefundRecorded, RefundRefused, RefundRequested,
    Refunded, RefusedReservation, ReservationsAnswered, RestCancelled, ShipmentDelivered, ShipmentSent,
    Shipped, ShippedLine, StockCommitted, StockParted, StockReleased, StockShipped, Tracking,
};
use domain::{LineId, Money, PaymentId, RefundId, ShipmentId};

pub fn orders() -> Vec<(&'static str, Event)> {
    let all = || skus(&["85123A", "POST"]);
    let of_anybody = Placed { country: country("GB"), anonymous: true, ..placed(None, Some(395)) };
    let mut events = vec![
        ("order.placed.v1", Event::Placed(placed(Some("17850"), None))),
        ("order.placed.v1-guest", Event::Placed(placed(None, None))),
        ("order.placed.v1-shipping", Event::Placed(placed(Some("17850"), Some(395)))),
        ("order.placed.v1-anonymous", Event::Placed(of_anybody)),
        ("order.reservations_answered.v1", answered(&["85123A"], refused("POST", 0))),
        ("order.reservations_answered.v1-held", answered(&["85123A", "POST"], vec![])),
        ("order.reservations_answered.v1-refused", answered(&[], refused("85123A", 5))),
        ("order.reservations_answered.v1-at_payment", at_payment(&["85123A"])),
        ("order.paid.v1", Event::Paid(Paid { amount: gbp(3330) })),
        ("order.stock_committed.v1", Event::StockCommitted(StockCommitted { skus: all() })),
        ("order.processing_started.v1", Event::ProcessingStarted(ProcessingStarted {})),
        ("order.shipped.v1", Event::Shipped(Shipped {})),
        ("order.stock_shipped.v1", Event::StockShipped(StockShipped { skus: all() })),
        ("order.stock_parted.v1", Event::StockParted(StockParted { parts: parted() })),
        ("order.rest_cancelled.v1", rest_cancelled(None)),
        ("order.rest_cancelled.v1-by_hand", rest_cancelled(Some(gbp(55)))),
        ("order.delivered.v1", Event::Delivered(Delivered {})),
        ("order.cancelled.v1", cancelled(CancelReason::OutOfStock { refused: refused("85123A", 5) })),
        (
            "order.cancelled.v1-requested",
            cancelled(CancelReason::Requested { reason: reason("changed my mind") }),
        ),
        ("order.cancelled.v1-expired", cancelled(CancelReason::Expired)),
        ("order.stock_released.v1", Event::StockReleased(StockReleased { skus: all() })),
    ];
    events.extend(payments());
    events.extend(refunds());
    events.extend(shipments());
    events
}

fn parted() -> Vec<PartedStock> {
    let part = |what, shipped, released, left| PartedStock { sku: sku(what), shipped, released, left };
    vec![part("85123A", 2, 1, 3), part("POST", 0, 1, 0)]
}

fn rest_cancelled(by_hand: Option<Money>) -> Event {
    let line = |line_id, quantity| ShippedLine { line_id, quantity: units(quantity) };
    let (lines, reason) = (vec![line(FIRST_LINE, 1), line(SECOND_LINE, 1)], reason("burnt in the warehouse"));
    Event::RestCancelled(RestCancelled { lines, reason, refund: gbp(2055), by_hand })
}

fn placed(who: Option<&str>, shipping: Option<i64>) -> Placed {
    let line = |line_id, what, called, quantity, price| OrderLine {
        line_id,
        sku: sku(what),
        merchant_id: merchant("pottery"),
        name: name(called),
        quantity: units(quantity),
        unit_price: gbp(price),
    };
    Placed {
        cart_id: CART,
        customer_id: who.map(customer),
        country: country("United Kingdom"),
        lines: vec![line(FIRST_LINE, "85123A", HEART, 6, 255), line(SECOND_LINE, "POST", "Postage", 1, 1800)],
        shipping: shipping.map(gbp),
        total: gbp(3330 + shipping.unwrap_or(0)),
        hold_seconds: shipping.map(|_| 900),
        anonymous: false,
    }
}

fn refused(what: &str, available: u64) -> Vec<RefusedReservation> {
    vec![RefusedReservation { sku: sku(what), available }]
}

fn answered(held: &[&str], refused: Vec<RefusedReservation>) -> Event {
    Event::ReservationsAnswered(ReservationsAnswered { held: skus(held), refused, at_payment: vec![] })
}

fn at_payment(what: &[&str]) -> Event {
    let (held, at_payment) = (skus(&["POST"]), skus(what));
    Event::ReservationsAnswered(ReservationsAnswered { held, refused: vec![], at_payment })
}

fn cancelled(reason: CancelReason) -> Event {
    Event::Cancelled(Cancelled { reason })
}

fn payments() -> Vec<(&'static str, Event)> {
    let (payment_id, amount) = (PaymentId(PAYMENT), gbp(3330));
    let intent = intent("pi_3MtwBwLkdIwHu7ix");
    let recorded = PaymentRecorded {
        payment_id,
        amount,
        method: method("card"),
        reference: reference("pi_3MtwBwLkdIwHu7ix"),
    };
    let requested = |hold_seconds| {
        let token = token("tok_visa");
        let return_url = None;
        Event::PaymentRequested(PaymentRequested { payment_id, amount, token, return_url, hold_seconds })
    };
    let requested_with_return = Event::PaymentRequested(PaymentRequested {
        payment_id,
        amount,
        token: token("tok_visa"),
        return_url: Some(address("https://shop.example/paid?order=7")),
        hold_seconds: Some(600),
    });
    let started = |redirect_url| {
        let intent = intent.clone();
        Event::PaymentStarted(PaymentStarted { payment_id, intent, redirect_url })
    };
    let page = address("https://hooks.stripe.com/redirect/authenticate/src_1N?client_secret=src_1N_secret_7");
    let declined = PaymentDeclined {
        payment_id,
        code: code("insufficient_funds"),
        message: reason("Your card has insufficient funds."),
    };
    let authorized = PaymentAuthorized { payment_id, intent: intent.clone() };
    let captured = PaymentCaptured { payment_id, intent: intent.clone(), amount };
    vec![
        ("order.payment_recorded.v1", Event::PaymentRecorded(recorded)),
        ("order.payment_requested.v1", requested(Some(600))),
        ("order.payment_requested.v1-no_hold", requested(None)),
        ("order.payment_requested.v1-return", requested_with_return),
        ("order.payment_started.v1", started(None)),
        ("order.payment_started.v1-redirect", started(Some(page))),
        ("order.payment_authorized.v1", Event::PaymentAuthorized(authorized)),
        ("order.payment_declined.v1", Event::PaymentDeclined(declined)),
        ("order.payment_captured.v1", Event::PaymentCaptured(captured)),
        ("order.payment_voided.v1", Event::PaymentVoided(PaymentVoided { payment_id })),
    ]
}

fn refunds() -> Vec<(&'static str, Event)> {
    let (refund_id, payment_id) = (RefundId(REFUND), PaymentId(PAYMENT));
    let recorded = |payment_id, amount| {
        let (amount, reference) = (gbp(amount), reference("re_3MtwBwLkdIwHu7ix"));
        Event::RefundRecorded(RefundRecorded { refund_id, payment_id, amount, reference })
    };
    let refused = RefundRefused { refund_id, payment_id, message: reason("The charge is disputed.") };
    let found =
        RefundFound { refund_id, payment_id, amount: gbp(1000), reference: reference("re_3MtwBwLkdIwHu7ix") };
    let failed =
        RefundFailed { refund_id, payment_id, amount: gbp(1000), message: reason("The account was closed.") };
    let requested = RefundRequested { refund_id, payment_id, amount: gbp(1000) };
    vec![
        ("order.refund_requested.v1", Event::RefundRequested(requested)),
        ("order.refund_refused.v1", Event::RefundRefused(refused)),
        ("order.refund_recorded.v1", recorded(None, 3330)),
        ("order.refund_recorded.v1-gateway", recorded(Some(payment_id), 1000)),
        ("order.refund_found.v1", Event::RefundFound(found)),
        ("order.refund_failed.v1", Event::RefundFailed(failed)),
        ("order.refunded.v1", Event::Refunded(Refunded { amount: gbp(3330) })),
    ]
}

fn shipments() -> Vec<(&'static str, Event)> {
    let shipment_id = ShipmentId(SHIPMENT);
    let sent = |lines: &[(LineId, u32)], tracking| {
        let line = |&(line_id, quantity)| ShippedLine { line_id, quantity: units(quantity) };
        let lines = lines.iter().map(line).collect();
        let merchant_id = merchant("pottery");
        Event::ShipmentSent(ShipmentSent { shipment_id, merchant_id, lines, tracking })
    };
    let tracking = Tracking { carrier: carrier("Royal Mail"), number: tracking_number("AB123456785GB") };
    vec![
        ("order.shipment_sent.v1", sent(&[(FIRST_LINE, 4), (SECOND_LINE, 1)], Some(tracking))),
        ("order.shipment_sent.v1-no_tracking", sent(&[(FIRST_LINE, 4)], None)),
        ("order.shipment_delivered.v1", Event::ShipmentDelivered(ShipmentDelivered { shipment_id })),
    ]
}
