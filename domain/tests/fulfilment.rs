//! The order fulfilment process: what each state owes to stock and to the gateway. That no message, lost, late or
//! twice, can leak stock or money or leave an order stuck is shown by the simulation.

mod samples;

use domain::Aggregate;
use domain::cart::{self, Cart};
use domain::fulfilment::{Owed, PaymentRequest, StockRequest, order_of, owed, undecided};
use domain::order::{Event, Order, OrderLine, Placed};
use rstest::rstest;
use samples::orders::*;
use samples::{
    cart_id, country, customer, gbp, line_id, merchant, name, order_id, payment_id, refund_id, sku, token,
    units,
};

fn reserve(units_: u32) -> StockRequest {
    StockRequest::Reserve(units(units_))
}

fn unpaid(units_: u32) -> StockRequest {
    StockRequest::ReserveUnpaid(units(units_))
}

fn part(shipped: u32, released: u32) -> StockRequest {
    StockRequest::Part { shipped, released }
}

use StockRequest::{Commit, Release, Ship};

const ALL: &[&str] = &["BOWL", "MUG"];

#[rstest]
#[case::nothing_before_it_is_placed(vec![], &[])]
#[case::every_reservation_at_first(pending(), &[("BOWL", reserve(1)), ("MUG", reserve(3))])]
#[case::every_reservation_when_it_is_paid_already(prepaid(), &[("BOWL", reserve(1)), ("MUG", reserve(3))])]
#[case::the_other_reservation_after_one(and(pending(), &[answered(&["BOWL"], &[])]), &[("MUG", reserve(3))])]
#[case::the_other_reservation_after_a_refusal(and(pending(), &[answered(&[], &[("BOWL", 0)])]), &[("MUG", reserve(3))])]
#[case::unpaid_reservations_of_anybody(anonymous(), &[("BOWL", unpaid(1)), ("MUG", unpaid(3))])]
#[case::reservations_when_anybody_has_paid(
    and(anonymous(), &[payment(1, 35)]), &[("BOWL", reserve(1)), ("MUG", reserve(3))],
)]
#[case::nothing_while_goods_wait_for_money(and(anonymous(), &[answered(&["BOWL"], &[]), at_payment(&["MUG"])]), &[])]
#[case::nothing_while_they_wait_for_the_rest_of_it(
    and(anonymous(), &[answered(&["BOWL"], &[]), at_payment(&["MUG"]), payment(1, 34)]), &[],
)]
#[case::the_reservation_of_what_waited_for_the_money(
    and(anonymous(), &[answered(&["BOWL"], &[]), at_payment(&["MUG"]), payment(1, 35)]), &[("MUG", reserve(3))],
)]
#[case::a_release_of_what_waited_for_money(
    and(anonymous(), &[at_payment(ALL), expired()]), &[("BOWL", Release), ("MUG", Release)],
)]
#[case::nothing_while_it_waits_for_money(held(), &[])]
#[case::nothing_while_it_waits_for_the_rest_of_the_money(and(held(), &[payment(1, 34)]), &[])]
#[case::every_commitment_when_paid(paid(), &[("BOWL", Commit), ("MUG", Commit)])]
#[case::the_other_commitment(and(paid(), &[committed(&["BOWL"])]), &[("MUG", Commit)])]
#[case::nothing_while_it_is_packed(processing(), &[])]
#[case::the_departure_when_shipped(shipped(), &[("BOWL", Ship), ("MUG", Ship)])]
#[case::the_other_departure(and(shipped(), &[stock_shipped(&["MUG"])]), &[("BOWL", Ship)])]
#[case::the_departure_when_it_arrived_meanwhile(and(shipped(), &[delivered_event()]), &[("BOWL", Ship), ("MUG", Ship)])]
#[case::the_departure_when_the_money_went_back(refunded_after_shipping(), &[("BOWL", Ship), ("MUG", Ship)])]
#[case::nothing_at_its_end(delivered(), &[])]
#[case::a_release_of_what_never_answered(cancelled_early(), &[("BOWL", Release), ("MUG", Release)])]
#[case::a_release_of_what_is_held(cancelled_paid(), &[("BOWL", Release), ("MUG", Release)])]
#[case::a_release_of_what_is_committed_in_part(
    and(paid(), &[committed(&["BOWL"]), cancelled_on_request()]), &[("BOWL", Release), ("MUG", Release)],
)]
#[case::a_release_of_what_is_committed(
    and(processing(), &[cancelled_on_request()]), &[("BOWL", Release), ("MUG", Release)],
)]
#[case::a_release_also_of_what_was_refused(
    and(pending(), &[answered(&["BOWL"], &[("MUG", 2)]), out_of_stock(&[("MUG", 2)])]),
    &[("BOWL", Release), ("MUG", Release)],
)]
#[case::the_other_release(and(cancelled_paid(), &[stock_released(&["BOWL"])]), &[("MUG", Release)])]
#[case::the_releases_when_the_money_went_back_first(refunded_before_shipping(), &[("BOWL", Release), ("MUG", Release)])]
#[case::nothing_when_all_is_released(and(cancelled_paid(), &[stock_released(ALL)]), &[])]
#[case::nothing_when_all_is_released_and_refunded(and(refunded_before_shipping(), &[stock_released(ALL)]), &[])]
fn an_order_owes(#[case] history: Vec<Event>, #[case] expected: &[(&str, StockRequest)]) {
    let owed = owed(&Order::fold(&history));
    let of_stock = |owed: &Owed| match owed {
        Owed::Stock { sku, request } => (sku.to_string(), *request),
        Owed::Payment { .. } => panic!("nothing is owed to the gateway here: {owed:?}"),
    };
    let owed: Vec<_> = owed.iter().map(of_stock).collect();
    let expected: Vec<_> = expected.iter().map(|(sku, request)| ((*sku).to_owned(), *request)).collect();
    assert_eq!(owed, expected);
}

#[test]
fn a_checked_out_cart_becomes_an_order_with_its_locked_prices() {
    let line = cart::NewLine {
        line_id: line_id(1),
        sku: sku("MUG"),
        quantity: units(2),
        unit_price: gbp(9),
        agreed: false,
    };
    let price = cart::PricedLine {
        line_id: line_id(1),
        merchant_id: merchant("pottery"),
        name: name("Mug"),
        unit_price: gbp(10),
    };
    let commands = [
        cart::Command::Open { currency: gbp(0).currency(), customer_id: Some(customer("ada")) },
        cart::Command::PutLines { lines: vec![line] },
        cart::Command::SetShipping { charge: gbp(4) },
        cart::Command::CheckOut {
            order_id: order_id(7),
            country: country("GB"),
            expected_total: gbp(24),
            prices: vec![price],
            hold_seconds: Some(900),
            anonymous: true,
        },
    ];
    let cart = commands
        .iter()
        .fold(Cart::default(), |cart, command| cart.decide(command).unwrap().iter().fold(cart, Cart::evolve));
    let Cart::CheckedOut(cart) = cart else { panic!("it is not checked out") };
    let line = OrderLine {
        line_id: line_id(1),
        sku: sku("MUG"),
        merchant_id: merchant("pottery"),
        name: name("Mug"),
        quantity: units(2),
        unit_price: gbp(10),
    };
    let placed = Placed {
        cart_id: cart_id(3),
        customer_id: Some(customer("ada")),
        country: country("GB"),
        lines: vec![line],
        shipping: Some(gbp(4)),
        total: gbp(24),
        hold_seconds: Some(900),
        anonymous: true,
    };
    assert_eq!(order_of(cart_id(3), &cart), placed);
}

fn authorize(number: u128, amount: i64) -> Owed {
    let request =
        PaymentRequest::Authorize { amount: gbp(amount), token: token("tok_visa"), return_url: None };
    Owed::Payment { payment_id: payment_id(number), request }
}

fn capture(number: u128, amount: i64) -> Owed {
    let request = PaymentRequest::Capture { intent: the_intent(number), amount: gbp(amount) };
    Owed::Payment { payment_id: payment_id(number), request }
}

fn void(number: u128) -> Owed {
    let request = PaymentRequest::Void { intent: the_intent(number) };
    Owed::Payment { payment_id: payment_id(number), request }
}

fn give_back(number: u128, payment: u128, amount: i64) -> Owed {
    let (refund_id, amount) = (refund_id(number), gbp(amount));
    let request = PaymentRequest::Refund { intent: the_intent(payment), refund_id, amount };
    Owed::Payment { payment_id: payment_id(payment), request }
}

/// All is held; the money is 30 through the gateway, and 5 recorded.
fn both(phase: Event) -> Vec<Event> {
    and(held(), &[payment(1, 5), requested(2, 30), phase])
}

/// Paid with two payments through the gateway.
fn paid_twice() -> Vec<Event> {
    and(held(), &[requested(1, 20), requested(2, 15), captured(1, 20), captured(2, 15), paid_event(35)])
}

#[rstest]
#[case::the_question_at_once(and(pending(), &[requested(1, 35)]), &[authorize(1, 35)])]
#[case::the_question_for_a_part(and(held(), &[requested(1, 20)]), &[authorize(1, 20)])]
#[case::the_question_for_each(and(held(), &[requested(1, 20), requested(2, 15)]), &[authorize(1, 20), authorize(2, 15)])]
#[case::nothing_while_the_gateway_thinks(both(started(2)), &[])]
#[case::the_capture_when_all_is_held_and_secured(both(authorized(2)), &[capture(2, 30)])]
#[case::the_capture_of_each(
    and(held(), &[requested(1, 20), requested(2, 15), authorized(1), authorized(2)]),
    &[capture(1, 20), capture(2, 15)],
)]
#[case::the_other_capture(
    and(held(), &[requested(1, 20), requested(2, 15), authorized(1), authorized(2), captured(1, 20)]),
    &[capture(2, 15)],
)]
#[case::no_capture_of_what_is_needed_no_more(
    and(held(), &[
        requested(1, 20), requested(2, 15), authorized(1), authorized(2), captured(1, 20), refund_found(9, 1, 20),
        captured(2, 15), requested(3, 20), authorized(3), refund_failed(9, 1, 20),
    ]),
    &[void(3)],
)]
#[case::no_capture_before_stock_answers(and(pending(), &[requested(1, 35), authorized(1)]), &[])]
#[case::no_capture_before_all_stock_answers(
    and(pending(), &[answered(&["BOWL"], &[]), requested(1, 35), authorized(1)]), &[],
)]
#[case::no_capture_of_goods_that_wait_for_it(and(pending(), &[
    answered(&["BOWL"], &[]), at_payment(&["MUG"]), requested(1, 35), authorized(1),
]), &[])]
#[case::no_capture_of_a_part(and(held(), &[requested(1, 20), authorized(1)]), &[])]
#[case::no_capture_while_the_rest_is_undecided(
    and(held(), &[requested(1, 20), authorized(1), requested(2, 15), started(2)]), &[],
)]
#[case::no_capture_when_the_rest_was_declined(
    and(held(), &[requested(1, 20), authorized(1), requested(2, 15), declined(2)]), &[],
)]
#[case::nothing_of_a_declined_payment(and(held(), &[requested(1, 35), declined(1)]), &[])]
#[case::the_question_again_when_called_off(
    and(held(), &[requested(1, 35), expired()]), &[authorize(1, 35)],
)]
#[case::the_end_of_an_undecided_payment_when_called_off(and(both(started(2)), &[expired()]), &[void(2)])]
#[case::the_end_of_an_authorised_payment_when_called_off(and(both(authorized(2)), &[expired()]), &[void(2)])]
#[case::nothing_of_a_voided_payment(and(both(authorized(2)), &[expired(), voided(2)]), &[])]
#[case::the_refund_of_a_captured_payment_when_called_off(
    and(both(captured(2, 30)), &[expired(), refund_requested(2, 2, 30)]), &[give_back(2, 2, 30)],
)]
#[case::no_refund_twice(
    and(both(captured(2, 30)), &[expired(), refund_requested(2, 2, 30), refund_of(2, 2, 30)]), &[],
)]
#[case::no_refund_that_the_gateway_refused(
    and(both(captured(2, 30)), &[expired(), refund_requested(2, 2, 30), refund_refused(2, 2)]), &[],
)]
#[case::a_refund_of_two_payments(
    and(paid_twice(), &[refund_requested(9, 1, 20), refund_requested(9, 2, 4)]),
    &[give_back(9, 1, 20), give_back(9, 2, 4)],
)]
#[case::the_other_half_of_a_refund(
    and(paid_twice(), &[refund_requested(9, 1, 20), refund_requested(9, 2, 4), refund_of(9, 1, 20)]),
    &[give_back(9, 2, 4)],
)]
fn an_order_owes_the_gateway(#[case] history: Vec<Event>, #[case] expected: &[Owed]) {
    let owed = owed(&Order::fold(&history));
    let of_payments: Vec<_> = owed.into_iter().filter(|owed| matches!(owed, Owed::Payment { .. })).collect();
    assert_eq!(of_payments, expected);
}

#[rstest]
#[case::nothing_before_it_is_placed(vec![], &[])]
#[case::nothing_that_it_was_not_asked(and(held(), &[requested(1, 35)]), &[])]
#[case::what_it_started(both(started(2)), &[2])]
#[case::what_it_started_although_the_order_is_called_off(and(both(started(2)), &[expired()]), &[2])]
#[case::nothing_that_it_decided(both(authorized(2)), &[])]
#[case::nothing_that_it_declined(both(declined(2)), &[])]
#[case::each(and(held(), &[requested(1, 20), requested(2, 15), started(1), started(2)]), &[1, 2])]
fn the_gateway_has_not_decided(#[case] history: Vec<Event>, #[case] expected: &[u128]) {
    let expected: Vec<_> = expected.iter().map(|&number| (payment_id(number), the_intent(number))).collect();
    assert_eq!(undecided(&Order::fold(&history)), expected);
}

#[rstest]
#[case::one_sku_left(and(processing(), &[sent(1, &[(2, 1)])]), &[("BOWL", Ship)])]
#[case::a_part_of_a_sku_left(and(processing(), &[sent(1, &[(1, 2)])]), &[("MUG", part(2, 0))])]
#[case::a_part_of_a_sku_left_and_stock_knows(
    and(processing(), &[sent(1, &[(1, 2)]), parted(&[("MUG", 2, 0, 1)])]), &[],
)]
#[case::the_rest_of_a_sku_left(
    and(processing(), &[sent(1, &[(1, 2)]), parted(&[("MUG", 2, 0, 1)]), sent(2, &[(3, 1)])]), &[("MUG", part(3, 0))],
)]
#[case::all_of_a_sku_left_in_parts(
    and(processing(), &[sent(1, &[(1, 2)]), sent(2, &[(3, 1)]), parted(&[("MUG", 3, 0, 0)])]), &[],
)]
#[case::the_rest_left_without_parcels(
    and(processing(), &[sent(1, &[(1, 2)]), parted(&[("MUG", 2, 0, 1)]), shipped_event()]),
    &[("BOWL", Ship), ("MUG", part(3, 0))],
)]
#[case::a_sku_is_given_up(and(processing(), &[given_up(&[(2, 1)], 5, 5)]), &[("BOWL", part(0, 1))])]
#[case::a_part_of_a_sku_is_given_up_and_the_rest_left(
    and(processing(), &[sent(1, &[(1, 2)]), given_up(&[(2, 1), (3, 1)], 15, 15), shipped_event()]),
    &[("BOWL", part(0, 1)), ("MUG", part(2, 1))],
)]
#[case::a_given_up_sku_is_back(
    and(processing(), &[given_up(&[(2, 1)], 5, 5), parted(&[("BOWL", 0, 1, 0)])]), &[],
)]
#[case::what_was_given_up_and_the_order_called_off(
    and(processing(), &[given_up(&[(3, 1)], 10, 10), cancelled_on_request()]), &[("BOWL", Release), ("MUG", Release)],
)]
#[case::a_sku_left_in_two_parcels(and(processing(), &[sent(1, &[(1, 2)]), sent(2, &[(3, 1)])]), &[("MUG", Ship)])]
#[case::one_sku_left_and_stock_knows(
    and(processing(), &[sent(1, &[(2, 1)]), stock_shipped(&["BOWL"])]), &[],
)]
fn parcels_leave_stock(#[case] history: Vec<Event>, #[case] expected: &[(&str, StockRequest)]) {
    an_order_owes(history, expected);
}
