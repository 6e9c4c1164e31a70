//! The rules of giving money back, through the gateway and by hand.

mod samples;
mod scenario;

use domain::order::{
    Command, Event, GatewayAnswer, Order, Placed, RefundFound, Rejection, ReservationAnswer,
};
use domain::{Aggregate, Money};
use rstest::rstest;
use samples::orders::*;
use samples::{code, currency, eur, gbp, payment_id, reason, reference, refund_id, skus};
use scenario::given;

fn request_money(number: u128, amount: Money) -> Command {
    Command::RequestRefund { refund_id: refund_id(number), amount }
}

fn request(number: u128, amount: i64) -> Command {
    request_money(number, gbp(amount))
}

fn record(number: u128, payment: Option<u128>, amount: i64) -> Command {
    Command::RecordRefund {
        refund_id: refund_id(number),
        payment_id: payment.map(payment_id),
        amount: gbp(amount),
        reference: reference("bank"),
    }
}

fn refuse(number: u128, payment: u128) -> Command {
    let (refund_id, payment_id, message) = (refund_id(number), payment_id(payment), reason("no"));
    Command::RecordRefundRefused { refund_id, payment_id, message }
}

fn found(number: u128, payment: u128, amount: i64) -> Command {
    Command::RecordRefundFound(RefundFound {
        refund_id: refund_id(number),
        payment_id: payment_id(payment),
        amount: gbp(amount),
        reference: reference("re_1"),
    })
}

fn failed(number: u128, payment: u128) -> Command {
    let (refund_id, payment_id, message) = (refund_id(number), payment_id(payment), reason("no"));
    Command::RecordRefundFailed { refund_id, payment_id, message }
}

/// All is taken, and people at the gateway gave 20 back before that.
fn went_back_unpaid(more: &[Event]) -> Vec<Event> {
    let first = [requested(1, 20), requested(2, 15), authorized(1), authorized(2), captured(1, 20)];
    and(and(held(), &first), &[&[refund_found(9, 1, 20), captured(2, 15)], more].concat())
}

/// Paid with one card, and packed.
fn packed_by_card() -> Vec<Event> {
    let paid = [requested(1, 35), authorized(1), captured(1, 35), paid_event(35)];
    and(and(held(), &paid), &[committed(&["BOWL", "MUG"]), processing_event()])
}

fn cancel() -> Command {
    Command::Cancel { reason: reason("changed my mind") }
}

/// Paid with 20 and 10 through the gateway and 5 by hand.
fn paid_in_three() -> Vec<Event> {
    let asked = [requested(1, 20), requested(2, 10), payment(3, 5), authorized(1), authorized(2)];
    and(and(held(), &asked), &[captured(1, 20), captured(2, 10), paid_event(35)])
}

fn packed() -> Vec<Event> {
    and(paid_in_three(), &[committed(&["BOWL", "MUG"]), processing_event()])
}

fn gone() -> Vec<Event> {
    and(packed(), &[shipped_event()])
}

/// Called off, and the gateway was asked to give all that it took back.
fn called_off() -> Vec<Event> {
    and(packed(), &[cancelled_on_request(), refund_requested(1, 1, 20), refund_requested(2, 2, 10)])
}

/// Called off with 5 by hand, while the gateway thinks about 30.
fn half_way() -> Vec<Event> {
    and(held(), &[payment(2, 5), requested(1, 30), started(1), expired()])
}

fn answer(number: u128, answer: GatewayAnswer) -> Command {
    Command::RecordGatewayAnswer { payment_id: payment_id(number), answer }
}

fn free() -> Vec<Event> {
    let mut order = the_order();
    order.lines.iter_mut().for_each(|line| line.unit_price = gbp(0));
    let placed = Event::Placed(Placed { total: gbp(0), ..order });
    vec![placed, answered(&["BOWL", "MUG"], &[]), paid_event(0)]
}

#[rstest]
#[case::asks_one_payment(gone(), request(9, 20), &[refund_requested(9, 1, 20)])]
#[case::asks_the_next_payment_for_the_rest(
    gone(), request(9, 21), &[refund_requested(9, 1, 20), refund_requested(9, 2, 1)],
)]
#[case::asks_the_payment_that_is_left(
    and(gone(), &[refund_requested(8, 1, 20)]), request(9, 10), &[refund_requested(9, 2, 10)],
)]
#[case::asks_again_what_was_refused(
    and(gone(), &[refund_requested(8, 1, 20), refund_refused(8, 1)]), request(9, 20), &[refund_requested(9, 1, 20)],
)]
#[case::asks_when_paid(paid_in_three(), request(9, 30), &[refund_requested(9, 1, 20), refund_requested(9, 2, 10)])]
#[case::asks_once(and(gone(), &[refund_requested(9, 1, 20)]), request(9, 20), &[])]
#[case::asks_once_from_two_payments(
    and(gone(), &[refund_requested(9, 1, 20), refund_requested(9, 2, 1)]), request(9, 21), &[],
)]
#[case::asks_once_also_when_it_was_refused(
    and(gone(), &[refund_requested(9, 1, 20), refund_refused(9, 1)]), request(9, 20), &[],
)]
#[case::hears_that_money_went_back(
    and(gone(), &[refund_requested(9, 1, 20)]), record(9, Some(1), 20), &[refund_of(9, 1, 20)],
)]
#[case::hears_that_money_went_back_while_it_is_packed(
    and(packed(), &[refund_requested(9, 1, 20)]), record(9, Some(1), 20), &[refund_of(9, 1, 20)],
)]
#[case::hears_that_money_went_back_once(
    and(gone(), &[refund_requested(9, 1, 20), refund_of(9, 1, 20)]), record(9, Some(1), 20), &[],
)]
#[case::hears_that_money_went_back_after_all(
    and(gone(), &[refund_requested(9, 1, 20), refund_refused(9, 1)]), record(9, Some(1), 20), &[refund_of(9, 1, 20)],
)]
#[case::hears_a_refusal(
    and(gone(), &[refund_requested(9, 1, 20)]), refuse(9, 1), &[refund_refused(9, 1)],
)]
#[case::hears_a_refusal_once(
    and(gone(), &[refund_requested(9, 1, 20), refund_refused(9, 1)]), refuse(9, 1), &[],
)]
#[case::hears_no_refusal_of_what_went_back(
    and(gone(), &[refund_requested(9, 1, 20), refund_of(9, 1, 20)]), refuse(9, 1), &[],
)]
#[case::hears_no_refusal_of_what_it_never_asked(gone(), refuse(9, 1), &[])]
#[case::calls_off_with_a_refund_of_each_payment(
    packed(), cancel(), &[cancelled_on_request(), refund_requested(1, 1, 20), refund_requested(2, 2, 10)],
)]
#[case::calls_off_with_a_refund_of_what_is_left(
    and(packed(), &[refund_requested(9, 1, 15), refund_of(9, 1, 15), refund_requested(8, 2, 10)]), cancel(),
    &[cancelled_on_request(), refund_requested(1, 1, 5)],
)]
#[case::calls_off_with_a_refund_of_what_was_refused_before(
    and(packed(), &[refund_requested(9, 1, 15), refund_refused(9, 1)]), cancel(),
    &[cancelled_on_request(), refund_requested(1, 1, 20), refund_requested(2, 2, 10)],
)]
#[case::calls_off_with_another_id_where_the_payment_has_given_its_own(
    and(packed(), &[refund_requested(1, 1, 15)]), cancel(),
    &[cancelled_on_request(), refund_requested(2, 1, 5), refund_requested(2, 2, 10)],
)]
#[case::gives_the_money_of_hands_back_by_hand(called_off(), record(9, None, 5), &[refund(9, 5)])]
#[case::is_refunded_when_the_gateway_gave_the_last(
    and(called_off(), &[refund(9, 5), refund_of(1, 1, 20)]), record(2, Some(2), 10),
    &[refund_of(2, 2, 10), refunded_event(35)],
)]
#[case::is_refunded_when_people_gave_the_last(
    and(called_off(), &[refund_of(2, 2, 10), refund_of(1, 1, 20)]), record(9, None, 5),
    &[refund(9, 5), refunded_event(35)],
)]
#[case::gives_by_hand_what_the_gateway_refused(
    and(called_off(), &[refund_of(2, 2, 10), refund_refused(1, 1)]), record(9, None, 25),
    &[refund(9, 25), refunded_event(35)],
)]
#[case::is_not_refunded_while_a_payment_may_come(half_way(), record(9, None, 5), &[refund(9, 5)])]
#[case::is_refunded_when_the_last_payment_is_voided(
    and(half_way(), &[refund(9, 5)]), answer(1, GatewayAnswer::Voided), &[voided(1), refunded_event(5)],
)]
#[case::is_refunded_when_the_last_payment_is_declined(
    and(half_way(), &[refund(9, 5)]),
    answer(1, GatewayAnswer::Declined { code: code("card_declined"), message: reason("no") }),
    &[declined(1), refunded_event(5)],
)]
#[case::is_refunded_when_what_came_late_went_back(
    and(half_way(), &[refund(9, 5), captured(1, 30), refund_requested(1, 1, 30)]), record(1, Some(1), 30),
    &[refund_of(1, 1, 30), refunded_event(35)],
)]
#[case::is_not_refunded_by_a_void_alone(
    and(held(), &[requested(1, 35), authorized(1), expired()]), answer(1, GatewayAnswer::Voided), &[voided(1)],
)]
#[case::hears_that_people_gave_back_a_part_at_the_gateway(packed(), found(9, 1, 15), &[refund_found(9, 1, 15)])]
#[case::hears_that_people_gave_money_back_once(and(packed(), &[refund_found(9, 1, 15)]), found(9, 1, 15), &[])]
#[case::does_not_hear_of_more_than_was_taken(and(packed(), &[refund_found(9, 1, 15)]), found(8, 1, 6), &[])]
#[case::does_not_hear_of_money_that_was_not_taken(and(held(), &[requested(1, 35), authorized(1)]), found(9, 1, 5), &[])]
#[case::keeps_goods_of_which_all_money_went_back(
    packed_by_card(), found(9, 1, 35),
    &[refund_found(9, 1, 35), all_went_back(), refunded_event(35)],
)]
#[case::keeps_goods_of_which_the_last_money_went_back(
    and(packed_by_card(), &[refund_requested(8, 1, 10), refund_found(9, 1, 25)]), record(8, Some(1), 10),
    &[refund_of(8, 1, 10), all_went_back(), refunded_event(35)],
)]
#[case::goes_on_when_a_part_has_left(
    and(packed_by_card(), &[sent(1, &[(1, 1)])]), found(9, 1, 35), &[refund_found(9, 1, 35)],
)]
#[case::is_refunded_at_the_gateway_when_it_has_left(
    and(packed_by_card(), &[shipped_event()]), found(9, 1, 35), &[refund_found(9, 1, 35), refunded_event(35)],
)]
#[case::is_refunded_at_the_gateway_when_called_off(
    and(packed_by_card(), &[cancelled_on_request(), refund_requested(1, 1, 35)]), found(9, 1, 35),
    &[refund_found(9, 1, 35), refunded_event(35)],
)]
#[case::asks_for_the_rest_of_what_people_gave_back(
    and(packed_by_card(), &[cancelled_on_request(), refund_requested(1, 1, 35), refund_found(9, 1, 15)]), refuse(1, 1),
    &[refund_refused(1, 1), refund_requested(2, 1, 20)],
)]
#[case::asks_for_no_rest_when_nobody_gave_anything(
    and(packed_by_card(), &[cancelled_on_request(), refund_requested(1, 1, 35)]), refuse(1, 1), &[refund_refused(1, 1)],
)]
#[case::owes_again_what_came_again(
    and(gone(), &[refund_requested(9, 1, 20), refund_of(9, 1, 20)]), failed(9, 1), &[refund_failed(9, 1, 20)],
)]
#[case::hears_that_money_came_again_once(
    and(gone(), &[refund_requested(9, 1, 20), refund_of(9, 1, 20), refund_failed(9, 1, 20)]), failed(9, 1), &[],
)]
#[case::does_not_hear_late_that_money_went_back_which_came_again(
    and(gone(), &[refund_requested(9, 1, 20), refund_of(9, 1, 20), refund_failed(9, 1, 20)]), record(9, Some(1), 20), &[],
)]
#[case::hears_that_what_was_under_way_failed(
    and(gone(), &[refund_requested(9, 1, 20)]), failed(9, 1), &[refund_refused(9, 1)],
)]
#[case::gives_by_hand_what_came_again(
    and(packed_by_card(), &[shipped_event(), refund_found(9, 1, 35), refunded_event(35), refund_failed(9, 1, 35)]),
    record(7, None, 35), &[refund(7, 35)],
)]
#[case::is_not_paid_with_money_that_went_back_before_stock_answered(
    and(pending(), &[requested(1, 35), authorized(1), captured(1, 35), refund_found(9, 1, 20)]),
    Command::RecordReservations {
        answers: skus(&["BOWL", "MUG"]).into_iter().map(|sku| (sku, ReservationAnswer::Held)).collect(),
    },
    &[answered(&["BOWL", "MUG"], &[])],
)]
#[case::is_paid_when_money_that_went_back_came_again(
    went_back_unpaid(&[]), failed(9, 1), &[refund_failed(9, 1, 20), paid_event(35)],
)]
#[case::is_not_paid_as_long_as_money_is_under_way_that_it_needs_no_more(
    went_back_unpaid(&[requested(3, 20)]), failed(9, 1), &[refund_failed(9, 1, 20)],
)]
#[case::is_paid_when_money_that_it_needs_no_more_is_let_go(
    went_back_unpaid(&[requested(3, 20), authorized(3), refund_failed(9, 1, 20)]),
    answer(3, GatewayAnswer::Voided), &[voided(3), paid_event(35)],
)]
#[case::wants_the_money_again_that_went_back_before_it_was_paid(
    and(held(), &[requested(1, 20), authorized(1), captured(1, 20), refund_found(9, 1, 20), requested(2, 35), authorized(2)]),
    answer(2, GatewayAnswer::Captured { intent: the_intent(2), amount: gbp(35) }), &[captured(2, 35), paid_event(35)],
)]
#[case::is_refunded_after_shipping(
    and(gone(), &[refund_requested(9, 1, 20), refund_of(9, 1, 20), refund_requested(8, 2, 10), refund_of(8, 2, 10)]),
    record(7, None, 5), &[refund(7, 5), refunded_event(35)],
)]
fn an_order(#[case] history: Vec<Event>, #[case] command: Command, #[case] events: &[Event]) {
    given::<Order>(&history).when(command).then(events);
}

fn too_much(left: i64, given: i64) -> Rejection {
    Rejection::RefundTooLarge { left, given: gbp(given) }
}

fn not_in(status: &'static str) -> Rejection {
    Rejection::WrongStatus { status, wanted: "refunded", needed: "paid, processing, shipped or delivered" }
}

fn differs(recorded: i64) -> Rejection {
    Rejection::RefundDiffers { recorded: gbp(recorded) }
}

#[rstest]
#[case::a_request_for_nobody(vec![], request(9, 1), Rejection::NotFound)]
#[case::a_refusal_for_nobody(vec![], refuse(9, 1), Rejection::NotFound)]
#[case::a_request_when_pending(held(), request(9, 1), not_in("pending"))]
#[case::a_request_when_called_off(called_off(), request(9, 1), not_in("cancelled"))]
#[case::a_request_when_refunded(refunded_after_shipping(), request(9, 1), not_in("refunded"))]
#[case::a_request_for_nothing(gone(), request(9, 0), too_much(30, 0))]
#[case::a_request_for_more_than_the_gateway_has(gone(), request(9, 31), too_much(30, 31))]
#[case::a_request_for_what_is_on_its_way(and(gone(), &[refund_requested(8, 1, 20)]), request(9, 11), too_much(10, 11))]
#[case::a_request_for_what_people_gave_back(and(gone(), &[refund(8, 30)]), request(9, 6), too_much(5, 6))]
#[case::a_request_where_all_money_came_by_hand(shipped(), request(9, 1), too_much(0, 1))]
#[case::a_request_for_all_before_it_ships(
    and(held(), &[requested(1, 35), authorized(1), captured(1, 35), paid_event(35)]), request(9, 35), too_much(34, 35),
)]
#[case::a_request_for_the_last_penny_before_it_ships(
    and(paid_in_three(), &[refund_requested(8, 1, 20), refund_requested(8, 2, 10)]), request(9, 1), too_much(0, 1),
)]
#[case::a_request_of_a_free_order(free(), request(9, 1), too_much(0, 1))]
#[case::a_request_in_another_currency(
    gone(), request_money(9, eur(1)),
    Rejection::CurrencyMismatch { order: currency("GBP"), given: currency("EUR") },
)]
#[case::another_amount_under_the_same_id(and(gone(), &[refund_requested(9, 1, 20)]), request(9, 19), differs(20))]
#[case::another_amount_than_was_asked(
    and(gone(), &[refund_requested(9, 1, 20)]), record(9, Some(1), 19), differs(20),
)]
#[case::money_of_the_gateway_that_nobody_asked_for(
    gone(),
    record(9, Some(1), 20),
    Rejection::RefundNotRequested
)]
#[case::money_of_another_payment(
    and(gone(), &[refund_requested(9, 1, 20)]), record(9, Some(2), 20), Rejection::RefundNotRequested,
)]
#[case::money_by_hand_that_is_on_its_way(called_off(), record(9, None, 6), too_much(5, 6))]
#[case::money_after_all_that_went_back_otherwise(
    and(called_off(), &[refund_refused(1, 1), refund(9, 25)]), record(1, Some(1), 20), too_much(0, 20),
)]
fn an_order_refuses(#[case] history: Vec<Event>, #[case] command: Command, #[case] rejection: Rejection) {
    given::<Order>(&history).when(command).then_refused(&rejection);
}

#[test]
fn a_refund_that_is_refused_is_not_money_that_went_back() {
    let history = and(gone(), &[refund_requested(9, 1, 20), refund_refused(9, 1), refund(8, 5)]);
    let Order::Placed(order) = Order::fold(&history) else { panic!("it is not placed") };
    assert_eq!((order.paid_amount(), order.refunded_amount()), (35, 5));
}
