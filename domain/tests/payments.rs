//! The rules of an order's payments through the gateway, and of the time that they have.

mod samples;
mod scenario;

use domain::order::{Command, Event, GatewayAnswer, Order, PaymentRequested, Rejection};
use domain::{Aggregate, Money};
use rstest::rstest;
use samples::orders::*;
use samples::{address, code, currency, eur, gbp, method, payment_id, reason, reference, token};
use scenario::given;

fn request_money(number: u128, amount: Money, hold_seconds: Option<u32>) -> Command {
    let (payment_id, token) = (payment_id(number), token("tok_visa"));
    Command::RequestPayment { payment_id, amount, token, return_url: None, hold_seconds, in_part: true }
}

fn request_by(number: u128, amount: i64, card: &str) -> Command {
    let (payment_id, amount, token) = (payment_id(number), gbp(amount), token(card));
    let (return_url, hold_seconds) = (None, None);
    Command::RequestPayment { payment_id, amount, token, return_url, hold_seconds, in_part: true }
}

fn request(number: u128, amount: i64) -> Command {
    request_money(number, gbp(amount), None)
}

fn requested_with_time(number: u128, amount: i64) -> Event {
    Event::PaymentRequested(PaymentRequested {
        payment_id: payment_id(number),
        amount: gbp(amount),
        token: token("tok_visa"),
        return_url: None,
        hold_seconds: Some(600),
    })
}

fn record(number: u128, amount: i64) -> Command {
    let (payment_id, method, reference) = (payment_id(number), method("card"), reference("bank"));
    Command::RecordPayment { payment_id, amount: gbp(amount), method, reference }
}

fn answer(number: u128, answer: GatewayAnswer) -> Command {
    Command::RecordGatewayAnswer { payment_id: payment_id(number), answer }
}

fn says_started(number: u128) -> Command {
    answer(number, GatewayAnswer::Started { intent: the_intent(number), redirect_url: None })
}

/// The shopper's bank wants to ask them something.
fn says_the_shopper_must_act(number: u128, page: &str) -> Command {
    let redirect_url = Some(address(page));
    answer(number, GatewayAnswer::Started { intent: the_intent(number), redirect_url })
}

fn says_authorized(number: u128) -> Command {
    answer(number, GatewayAnswer::Authorized { intent: the_intent(number) })
}

fn says_declined(number: u128) -> Command {
    answer(number, GatewayAnswer::Declined { code: code("card_declined"), message: reason("no") })
}

fn says_captured(number: u128) -> Command {
    // All that each of these payments was asked for.
    says_captured_only(number, if number == 1 { 35 } else { 15 })
}

fn says_captured_only(number: u128, amount: i64) -> Command {
    answer(number, GatewayAnswer::Captured { intent: the_intent(number), amount: gbp(amount) })
}

fn says_voided(number: u128) -> Command {
    answer(number, GatewayAnswer::Voided)
}

const EXPIRE: Command = Command::Expire { even_while_paying: false };
const EXPIRE_ANYWAY: Command = Command::Expire { even_while_paying: true };

/// All is held, and the gateway is asked for all the money.
fn asked() -> Vec<Event> {
    and(held(), &[requested(1, 35)])
}

/// The shopper is to prove who they are.
fn waiting_for_shopper() -> Vec<Event> {
    and(asked(), &[wants_shopper(1, "https://bank.test/a")])
}

/// The gateway holds all the money.
fn secured() -> Vec<Event> {
    and(asked(), &[authorized(1)])
}

/// Two payments of which one is ours.
fn half_captured() -> Vec<Event> {
    and(held(), &[requested(1, 20), requested(2, 15), authorized(1), authorized(2), captured(1, 20)])
}

fn paid_by_card() -> Vec<Event> {
    and(secured(), &[captured(1, 35), paid_event(35)])
}

#[rstest]
#[case::asks_for_all(held(), request(1, 35), &[requested(1, 35)])]
#[case::asks_for_a_part(held(), request(1, 1), &[requested(1, 1)])]
#[case::asks_for_all_at_once(held(), at_once(request(1, 35)), &[requested(1, 35)])]
#[case::asks_for_the_rest_at_once(and(held(), &[payment(1, 5)]), at_once(request(2, 30)), &[requested(2, 30)])]
#[case::asks_before_stock_answers(pending(), request(1, 35), &[requested(1, 35)])]
#[case::gives_a_payment_its_time(held(), request_money(1, gbp(35), Some(600)), &[requested_with_time(1, 35)])]
#[case::asks_for_the_rest_beside_recorded_money(and(held(), &[payment(1, 5)]), request(2, 30), &[requested(2, 30)])]
#[case::asks_for_the_rest_beside_an_open_payment(and(held(), &[requested(1, 20)]), request(2, 15), &[requested(2, 15)])]
#[case::asks_anew_after_a_decline(and(asked(), &[declined(1)]), request(2, 35), &[requested(2, 35)])]
#[case::asks_anew_after_a_void(and(secured(), &[voided(1)]), request(2, 35), &[requested(2, 35)])]
#[case::asks_once(asked(), request(1, 35), &[])]
#[case::asks_once_when_authorized(secured(), request(1, 35), &[])]
#[case::asks_once_when_declined(and(asked(), &[declined(1)]), request(1, 35), &[])]
#[case::asks_once_when_paid(paid_by_card(), request(1, 35), &[])]
#[case::asks_once_when_called_off(and(asked(), &[expired()]), request(1, 35), &[])]
#[case::hears_that_the_gateway_thinks(asked(), says_started(1), &[started(1)])]
#[case::hears_that_the_gateway_thinks_once(and(asked(), &[started(1)]), says_started(1), &[])]
#[case::hears_that_the_shopper_must_act(
    asked(), says_the_shopper_must_act(1, "https://bank.test/a"), &[wants_shopper(1, "https://bank.test/a")],
)]
#[case::hears_afterwards_that_the_shopper_must_act(
    and(asked(), &[started(1)]), says_the_shopper_must_act(1, "https://bank.test/a"),
    &[wants_shopper(1, "https://bank.test/a")],
)]
#[case::hears_once_that_the_shopper_must_act(
    waiting_for_shopper(), says_the_shopper_must_act(1, "https://bank.test/a"), &[],
)]
#[case::hears_of_another_page(
    waiting_for_shopper(), says_the_shopper_must_act(1, "https://bank.test/b"),
    &[wants_shopper(1, "https://bank.test/b")],
)]
#[case::does_not_believe_another_intents_page(
    waiting_for_shopper(),
    answer(1, GatewayAnswer::Started { intent: the_intent(9), redirect_url: Some(address("https://bank.test/b")) }),
    &[],
)]
#[case::does_not_forget_the_page(waiting_for_shopper(), says_started(1), &[])]
#[case::hears_what_the_shopper_did(waiting_for_shopper(), says_authorized(1), &[authorized(1)])]
#[case::does_not_hear_late_that_the_shopper_must_act(
    secured(), says_the_shopper_must_act(1, "https://bank.test/a"), &[],
)]
#[case::does_not_wait_longer_for_the_shopper(waiting_for_shopper(), EXPIRE, &[expired()])]
#[case::does_not_wait_longer_for_a_penny(and(held(), &[requested(1, 1), started(1)]), EXPIRE, &[expired()])]
#[case::waits_longer_for_two_parts_that_are_all(
    and(held(), &[requested(1, 1), requested(2, 34), started(2)]), EXPIRE, &[],
)]
#[case::waits_longer_for_the_gateway(and(asked(), &[started(1)]), EXPIRE, &[])]
#[case::does_not_hear_late_that_the_gateway_thinks(secured(), says_started(1), &[])]
#[case::hears_that_money_is_held(asked(), says_authorized(1), &[authorized(1)])]
#[case::hears_that_money_is_held_at_last(and(asked(), &[started(1)]), says_authorized(1), &[authorized(1)])]
#[case::hears_that_money_is_held_once(secured(), says_authorized(1), &[])]
#[case::hears_that_money_is_held_when_called_off(and(asked(), &[expired()]), says_authorized(1), &[authorized(1)])]
#[case::does_not_hear_late_that_money_is_held(paid_by_card(), says_authorized(1), &[])]
#[case::does_not_hear_that_declined_money_is_held(and(asked(), &[declined(1)]), says_authorized(1), &[])]
#[case::does_not_hear_that_voided_money_is_held(and(secured(), &[expired(), voided(1)]), says_authorized(1), &[])]
#[case::hears_a_decline(asked(), says_declined(1), &[declined(1)])]
#[case::hears_a_decline_at_last(and(asked(), &[started(1)]), says_declined(1), &[declined(1)])]
#[case::hears_that_held_money_cannot_be_taken(secured(), says_declined(1), &[declined(1)])]
#[case::hears_a_decline_once(and(asked(), &[declined(1)]), says_declined(1), &[])]
#[case::does_not_hear_that_taken_money_is_declined(paid_by_card(), says_declined(1), &[])]
#[case::is_paid_by_the_capture(secured(), says_captured(1), &[captured(1, 35), paid_event(35)])]
#[case::is_paid_by_the_last_capture(half_captured(), says_captured(2), &[captured(2, 15), paid_event(35)])]
#[case::is_not_paid_by_a_part(
    and(held(), &[requested(1, 20), authorized(1)]), says_captured_only(1, 20), &[captured(1, 20)],
)]
#[case::is_not_paid_before_stock_answers(
    and(pending(), &[requested(1, 35), authorized(1)]), says_captured(1), &[captured(1, 35)],
)]
#[case::is_paid_by_a_capture_that_nobody_saw_authorized(asked(), says_captured(1), &[captured(1, 35), paid_event(35)])]
#[case::is_not_paid_by_a_capture_of_less(secured(), says_captured_only(1, 10), &[captured(1, 10)])]
#[case::asks_for_the_rest_after_a_capture_of_less(
    and(secured(), &[captured(1, 10)]), request(2, 25), &[requested(2, 25)],
)]
#[case::asks_once_when_less_was_taken(and(secured(), &[captured(1, 10)]), request(1, 35), &[])]
#[case::does_not_hear_of_more_than_was_asked(secured(), says_captured_only(1, 36), &[])]
#[case::does_not_hear_of_a_capture_of_nothing(secured(), says_captured_only(1, 0), &[])]
#[case::does_not_hear_of_another_currency(
    secured(), answer(1, GatewayAnswer::Captured { intent: the_intent(1), amount: eur(35) }), &[],
)]
#[case::does_not_believe_another_intent(
    secured(), answer(1, GatewayAnswer::Captured { intent: the_intent(9), amount: gbp(35) }), &[],
)]
#[case::does_not_believe_that_another_intent_holds_its_money(
    and(asked(), &[started(1)]), answer(1, GatewayAnswer::Authorized { intent: the_intent(9) }), &[],
)]
#[case::gives_back_what_was_taken_in_part(
    and(secured(), &[expired()]), says_captured_only(1, 10), &[captured(1, 10), refund_requested(1, 1, 10)],
)]
#[case::hears_of_a_capture_once(paid_by_card(), says_captured(1), &[])]
#[case::gives_back_what_is_captured_when_called_off(
    and(secured(), &[expired()]), says_captured(1), &[captured(1, 35), refund_requested(1, 1, 35)],
)]
#[case::hears_a_void(and(secured(), &[expired()]), says_voided(1), &[voided(1)])]
#[case::hears_a_void_by_the_bank(secured(), says_voided(1), &[voided(1)])]
#[case::hears_a_void_of_what_it_never_saw_begin(and(asked(), &[expired()]), says_voided(1), &[voided(1)])]
#[case::hears_a_void_once(and(secured(), &[expired(), voided(1)]), says_voided(1), &[])]
#[case::does_not_hear_that_taken_money_is_voided(paid_by_card(), says_voided(1), &[])]
#[case::does_not_hear_the_gateway_on_recorded_money(and(held(), &[payment(1, 5)]), says_captured(1), &[])]
#[case::expires_without_money(held(), EXPIRE, &[expired()])]
#[case::expires_before_stock_answers(pending(), EXPIRE, &[expired()])]
#[case::expires_with_a_part_of_the_money(and(held(), &[requested(1, 20), authorized(1)]), EXPIRE, &[expired()])]
#[case::expires_after_a_decline(and(asked(), &[declined(1)]), EXPIRE, &[expired()])]
#[case::expires_with_all_money_and_no_goods(and(pending(), &[requested(1, 35), authorized(1)]), EXPIRE, &[expired()])]
#[case::gives_back_what_it_took_when_it_expires(
    and(half_captured(), &[declined(2)]), EXPIRE, &[expired(), refund_requested(1, 1, 20)],
)]
#[case::waits_for_an_answer(asked(), EXPIRE, &[])]
#[case::waits_for_a_decision(and(asked(), &[started(1)]), EXPIRE, &[])]
#[case::waits_for_a_capture(secured(), EXPIRE, &[])]
#[case::waits_for_the_other_capture(half_captured(), EXPIRE, &[])]
#[case::does_not_wait_for_ever_for_an_answer(asked(), EXPIRE_ANYWAY, &[expired()])]
#[case::does_not_wait_for_ever_for_a_capture(
    half_captured(), EXPIRE_ANYWAY, &[expired(), refund_requested(1, 1, 20)],
)]
#[case::expires_once(and(held(), &[expired()]), EXPIRE, &[])]
#[case::does_not_expire_once_paid(paid(), EXPIRE_ANYWAY, &[])]
#[case::does_not_expire_once_delivered(delivered(), EXPIRE_ANYWAY, &[])]
#[case::is_cancelled_with_a_refund_of_each_capture(
    half_captured(), Command::Cancel { reason: reason("changed my mind") },
    &[cancelled_on_request(), refund_requested(1, 1, 20)],
)]
#[case::takes_money_by_hand_beside_the_gateway(
    and(held(), &[requested(1, 20)]), record(2, 15), &[payment(2, 15)],
)]
#[case::takes_money_by_hand_when_called_off(cancelled_early(), record(1, 35), &[payment(1, 35)])]
#[case::takes_money_by_hand_after_other_money_went_back(refunded_before_shipping(), record(2, 35), &[payment(2, 35)])]
#[case::takes_money_by_hand_when_refunded(refunded_before_shipping(), record(2, 5), &[payment(2, 5)])]
fn an_order(#[case] history: Vec<Event>, #[case] command: Command, #[case] events: &[Event]) {
    given::<Order>(&history).when(command).then(events);
}

fn not_due(due: i64, given: i64) -> Rejection {
    Rejection::PaymentNotDue { due, given: gbp(given) }
}

fn under_way(under_way: i64, due: i64) -> Rejection {
    Rejection::PaymentUnderWay { under_way, due }
}

/// From somebody who must pay all that is due.
fn at_once(command: Command) -> Command {
    match command {
        Command::RequestPayment { payment_id, amount, token, return_url, hold_seconds, .. } => {
            Command::RequestPayment { payment_id, amount, token, return_url, hold_seconds, in_part: false }
        }
        other => other,
    }
}

fn in_part(due: i64, given: i64) -> Rejection {
    Rejection::PaymentInPart { due, given: gbp(given) }
}

fn not_pending(status: &'static str) -> Rejection {
    Rejection::WrongStatus { status, wanted: "paid", needed: "pending" }
}

fn differs(recorded: i64) -> Rejection {
    Rejection::PaymentDiffers { recorded: gbp(recorded) }
}

#[rstest]
#[case::a_request_for_nobody(vec![], request(1, 35), Rejection::NotFound)]
#[case::an_answer_for_nobody(vec![], says_captured(1), Rejection::NotFound)]
#[case::an_end_for_nobody(vec![], EXPIRE, Rejection::NotFound)]
#[case::a_request_for_nothing(held(), request(1, 0), not_due(35, 0))]
#[case::a_request_for_too_much(held(), request(1, 36), not_due(35, 36))]
#[case::a_penny(held(), at_once(request(1, 1)), in_part(35, 1))]
#[case::all_but_a_penny(held(), at_once(request(1, 34)), in_part(35, 34))]
#[case::a_penny_of_the_rest(and(held(), &[payment(1, 5)]), at_once(request(2, 1)), in_part(30, 1))]
#[case::too_much_at_once(held(), at_once(request(1, 36)), not_due(35, 36))]
#[case::a_request_for_what_is_asked_already(asked(), request(2, 1), under_way(35, 0))]
#[case::a_request_for_what_the_shopper_is_asked_about(
    waiting_for_shopper(),
    request(2, 35),
    under_way(35, 0)
)]
#[case::a_request_for_more_than_is_asked_already(asked(), request(2, 36), not_due(0, 36))]
#[case::a_request_for_the_rest_and_what_is_asked_already(
    and(held(), &[requested(1, 20)]), request(2, 16), under_way(20, 15),
)]
#[case::a_request_for_what_is_authorized_already(secured(), request(2, 1), not_due(0, 1))]
#[case::a_request_for_what_is_recorded_already(and(held(), &[payment(1, 30)]), request(2, 6), not_due(5, 6))]
#[case::a_request_in_another_currency(
    held(), request_money(1, eur(35), None),
    Rejection::CurrencyMismatch { order: currency("GBP"), given: currency("EUR") },
)]
#[case::a_request_when_paid(paid(), request(2, 1), not_pending("paid"))]
#[case::a_request_when_called_off(cancelled_early(), request(1, 35), not_pending("cancelled"))]
#[case::a_request_when_refunded(refunded_before_shipping(), request(2, 35), not_pending("refunded"))]
#[case::another_amount_under_the_same_id(asked(), request(1, 34), differs(35))]
#[case::another_card_under_the_same_id(asked(), request_by(1, 35, "tok_other"), differs(35))]
#[case::another_card_under_the_id_of_a_declined_one(
    and(asked(), &[declined(1)]), request_by(1, 35, "tok_other"), differs(35),
)]
#[case::a_request_under_the_id_of_recorded_money(and(held(), &[payment(1, 5)]), request(1, 5), differs(5))]
#[case::recorded_money_under_the_id_of_a_request(and(asked(), &[declined(1)]), record(1, 35), differs(35))]
#[case::recorded_money_for_what_is_under_way(asked(), record(2, 35), under_way(35, 0))]
#[case::recorded_money_for_what_is_held_for_us(secured(), record(2, 1), not_due(0, 1))]
#[case::more_than_it_cost_when_called_off(cancelled_early(), record(1, 36), not_due(35, 36))]
#[case::more_than_it_cost_in_all_when_called_off(and(cancelled_early(), &[payment(1, 30)]), record(2, 6), not_due(5, 6))]
#[case::recorded_money_of_nothing_when_called_off(cancelled_early(), record(1, 0), not_due(35, 0))]
#[case::an_answer_on_a_strange_payment(asked(), says_captured(9), Rejection::PaymentNotFound)]
fn an_order_refuses(#[case] history: Vec<Event>, #[case] command: Command, #[case] rejection: Rejection) {
    given::<Order>(&history).when(command).then_refused(&rejection);
}

/// So many declined payments, and the order's total is due.
fn declined_so_often(times: u128) -> Vec<Event> {
    (1..=times).fold(held(), |history, number| and(history, &[requested(number, 35), declined(number)]))
}

#[test]
fn an_order_takes_so_many_payments_through_the_gateway_and_then_only_money_by_hand() {
    given::<Order>(&declined_so_often(19)).when(request(20, 35)).then(&[requested(20, 35)]);
    let most = declined_so_often(20);
    given::<Order>(&most).when(request(21, 35)).then_refused(&Rejection::TooManyPayments { max: 20 });
    given::<Order>(&most).when(request(20, 35)).then(&[]);
    given::<Order>(&most).when(record(21, 35)).then(&[payment(21, 35), paid_event(35)]);
}

/// What is ours, what is still due, whether the total is secured, and whether somebody pays.
#[rstest]
#[case::nothing(held(), (0, 35, false, false))]
#[case::asked(asked(), (0, 0, false, true))]
#[case::waiting_for_the_shopper(waiting_for_shopper(), (0, 0, false, false))]
#[case::undecided(and(asked(), &[started(1)]), (0, 0, false, true))]
#[case::asked_for_a_penny(and(held(), &[requested(1, 1)]), (0, 34, false, false))]
#[case::undecided_on_a_penny(and(held(), &[requested(1, 1), started(1)]), (0, 34, false, false))]
#[case::asked_for_two_parts(and(held(), &[requested(1, 1), requested(2, 34)]), (0, 0, false, true))]
#[case::secured(secured(), (0, 0, true, true))]
#[case::secured_without_goods(and(pending(), &[requested(1, 35), authorized(1)]), (0, 0, true, false))]
#[case::secured_in_part(and(held(), &[requested(1, 20), authorized(1)]), (0, 15, false, false))]
#[case::half_captured(half_captured(), (20, 0, true, true))]
#[case::declined(and(asked(), &[declined(1)]), (0, 35, false, false))]
#[case::voided(and(secured(), &[voided(1)]), (0, 35, false, false))]
#[case::paid(paid_by_card(), (35, 0, true, false))]
fn money_of_an_order(#[case] history: Vec<Event>, #[case] expected: (i64, i64, bool, bool)) {
    let Order::Placed(order) = Order::fold(&history) else { panic!("it is not placed") };
    let is = (order.paid_amount(), order.due_amount(), order.is_secured(), order.is_paying());
    assert_eq!(is, expected);
}
