//! The rules of an order.

mod samples;
mod scenario;

use domain::order::{Command, Event, Order, Placed, Rejection, ReservationAnswer, Status, StockPhase};
use domain::{Aggregate, Money};
use rstest::rstest;
use samples::orders::*;
use samples::{
    cart_id, country, currency, customer, eur, gbp, method, payment_id, reason, reference, refund_id, sku,
    skus, units,
};
use scenario::given;

fn place() -> Command {
    Command::Place(the_order())
}

fn answers(answers: &[(&str, ReservationAnswer)]) -> Command {
    Command::RecordReservations {
        answers: answers.iter().map(|(what, answer)| (sku(what), *answer)).collect(),
    }
}

const HELD: ReservationAnswer = ReservationAnswer::Held;
const AT_PAYMENT: ReservationAnswer = ReservationAnswer::AtPayment;

fn refused(available: u64) -> ReservationAnswer {
    ReservationAnswer::Refused { available }
}

fn record_committed(what: &[&str]) -> Command {
    Command::RecordCommitted { skus: skus(what) }
}

fn record_shipped(what: &[&str]) -> Command {
    Command::RecordStockShipped { skus: skus(what) }
}

fn record_released(what: &[&str]) -> Command {
    Command::RecordReleased { skus: skus(what) }
}

fn pay_money(number: u128, amount: Money) -> Command {
    let (payment_id, method, reference) = (payment_id(number), method("card"), reference("bank"));
    Command::RecordPayment { payment_id, amount, method, reference }
}

fn pay(number: u128, amount: i64) -> Command {
    pay_money(number, gbp(amount))
}

fn give_back_money(number: u128, amount: Money) -> Command {
    Command::RecordRefund {
        refund_id: refund_id(number),
        payment_id: None,
        amount,
        reference: reference("bank"),
    }
}

fn give_back(number: u128, amount: i64) -> Command {
    give_back_money(number, gbp(amount))
}

fn cancel() -> Command {
    Command::Cancel { reason: reason("changed my mind") }
}

/// An order of nothing that costs anything.
fn free() -> Vec<Event> {
    let mut order = the_order();
    for line in &mut order.lines {
        line.unit_price = gbp(0);
    }
    vec![Event::Placed(Placed { total: gbp(0), ..order })]
}

#[rstest]
#[case::is_placed(vec![], place(), &[Event::Placed(the_order())])]
#[case::is_placed_once(pending(), place(), &[])]
#[case::is_not_placed_again_at_its_end(delivered(), place(), &[])]
#[case::hears_that_one_sku_is_held(pending(), answers(&[("MUG", HELD)]), &[answered(&["MUG"], &[])])]
#[case::hears_that_all_is_held(
    pending(), answers(&[("MUG", HELD), ("BOWL", HELD)]), &[answered(&["MUG", "BOWL"], &[])],
)]
#[case::hears_each_answer_once(held(), answers(&[("MUG", HELD), ("BOWL", refused(0))]), &[])]
#[case::believes_the_first_of_two_answers(
    pending(), answers(&[("MUG", HELD), ("MUG", refused(0))]), &[answered(&["MUG"], &[])],
)]
#[case::hears_that_goods_wait_for_money(
    anonymous(), answers(&[("MUG", AT_PAYMENT)]), &[at_payment(&["MUG"])],
)]
#[case::hears_once_that_goods_wait_for_money(
    and(anonymous(), &[at_payment(&["MUG"])]), answers(&[("MUG", AT_PAYMENT)]), &[],
)]
#[case::believes_the_first_of_two_answers_also_when_goods_wait(
    anonymous(), answers(&[("MUG", AT_PAYMENT), ("MUG", HELD)]), &[at_payment(&["MUG"])],
)]
#[case::does_not_let_go_of_what_is_held(
    and(anonymous(), &[answered(&["MUG"], &[])]), answers(&[("MUG", AT_PAYMENT)]), &[],
)]
#[case::is_not_paid_while_goods_wait(
    and(anonymous(), &[answered(&["BOWL"], &[]), at_payment(&["MUG"])]), pay(1, 35), &[payment(1, 35)],
)]
#[case::is_paid_when_the_goods_are_held_that_waited(
    and(anonymous(), &[answered(&["BOWL"], &[]), at_payment(&["MUG"]), payment(1, 35)]),
    answers(&[("MUG", HELD)]), &[answered(&["MUG"], &[]), paid_event(35)],
)]
#[case::is_called_off_when_what_waited_is_gone(
    and(anonymous(), &[answered(&["BOWL"], &[]), at_payment(&["MUG"])]),
    answers(&[("MUG", refused(0))]), &[answered(&[], &[("MUG", 0)]), out_of_stock(&[("MUG", 0)])],
)]
#[case::is_called_off_at_once_when_other_goods_wait(
    and(anonymous(), &[at_payment(&["MUG"])]),
    answers(&[("BOWL", refused(0))]), &[answered(&[], &[("BOWL", 0)]), out_of_stock(&[("BOWL", 0)])],
)]
#[case::does_not_hear_of_a_strange_sku(pending(), answers(&[("JUG", HELD)]), &[])]
#[case::hears_nothing(pending(), answers(&[]), &[])]
#[case::waits_for_the_other_answer_after_a_refusal(
    pending(), answers(&[("MUG", refused(2))]), &[answered(&[], &[("MUG", 2)])],
)]
#[case::is_called_off_when_the_last_answer_is_a_refusal(
    and(pending(), &[answered(&["MUG"], &[])]), answers(&[("BOWL", refused(0))]),
    &[answered(&[], &[("BOWL", 0)]), out_of_stock(&[("BOWL", 0)])],
)]
#[case::is_called_off_when_the_last_answer_comes_after_a_refusal(
    and(pending(), &[answered(&[], &[("MUG", 2)])]), answers(&[("BOWL", HELD)]),
    &[answered(&["BOWL"], &[]), out_of_stock(&[("MUG", 2)])],
)]
#[case::is_called_off_with_every_refusal_named(
    pending(), answers(&[("MUG", refused(2)), ("BOWL", refused(0))]),
    &[answered(&[], &[("MUG", 2), ("BOWL", 0)]), out_of_stock(&[("BOWL", 0), ("MUG", 2)])],
)]
#[case::is_called_off_although_it_was_paid(
    prepaid(), answers(&[("MUG", HELD), ("BOWL", refused(0))]),
    &[answered(&["MUG"], &[("BOWL", 0)]), out_of_stock(&[("BOWL", 0)])],
)]
#[case::does_not_hear_answers_once_called_off(cancelled_early(), answers(&[("MUG", HELD), ("BOWL", HELD)]), &[])]
#[case::does_not_hear_answers_once_paid(paid(), answers(&[("MUG", refused(0))]), &[])]
#[case::is_paid_by_the_last_answer(
    prepaid(), answers(&[("MUG", HELD), ("BOWL", HELD)]), &[answered(&["MUG", "BOWL"], &[]), paid_event(35)],
)]
#[case::is_not_paid_by_half_of_the_answers(prepaid(), answers(&[("MUG", HELD)]), &[answered(&["MUG"], &[])])]
#[case::is_not_paid_by_half_of_the_money(
    and(pending(), &[payment(1, 34)]), answers(&[("MUG", HELD), ("BOWL", HELD)]),
    &[answered(&["MUG", "BOWL"], &[])],
)]
#[case::is_paid_without_money_when_it_is_free(
    free(), answers(&[("MUG", HELD), ("BOWL", HELD)]), &[answered(&["MUG", "BOWL"], &[]), paid_event(0)],
)]
#[case::is_paid_by_the_last_payment(held(), pay(1, 35), &[payment(1, 35), paid_event(35)])]
#[case::is_paid_in_parts(
    and(held(), &[payment(1, 30)]), pay(2, 5), &[payment(2, 5), paid_event(35)],
)]
#[case::takes_a_part(held(), pay(1, 34), &[payment(1, 34)])]
#[case::takes_money_before_stock_answers(pending(), pay(1, 35), &[payment(1, 35)])]
#[case::takes_money_after_a_first_refusal(
    and(pending(), &[answered(&[], &[("MUG", 2)])]), pay(1, 35), &[payment(1, 35)],
)]
#[case::takes_a_payment_once(and(held(), &[payment(1, 30)]), pay(1, 30), &[])]
#[case::takes_a_payment_once_when_paid(paid(), pay(1, 35), &[])]
#[case::takes_a_payment_once_when_called_off(cancelled_paid(), pay(1, 35), &[])]
#[case::takes_a_payment_once_when_refunded(refunded_before_shipping(), pay(1, 35), &[])]
#[case::hears_of_one_commitment(paid(), record_committed(&["MUG"]), &[committed(&["MUG"])])]
#[case::is_processed_with_the_last_commitment(
    and(paid(), &[committed(&["MUG"])]), record_committed(&["BOWL"]), &[committed(&["BOWL"]), processing_event()],
)]
#[case::is_processed_with_all_commitments(
    paid(), record_committed(&["MUG", "BOWL", "MUG", "JUG"]), &[committed(&["BOWL", "MUG"]), processing_event()],
)]
#[case::hears_of_a_commitment_once(processing(), record_committed(&["MUG", "BOWL"]), &[])]
#[case::is_not_processed_by_the_same_commitment_twice(
    and(paid(), &[committed(&["MUG"])]), record_committed(&["MUG"]), &[],
)]
#[case::hears_of_no_strange_commitment(paid(), record_committed(&["JUG"]), &[])]
#[case::hears_of_no_commitment_before_it_is_paid(held(), record_committed(&["MUG"]), &[])]
#[case::hears_of_no_commitment_once_called_off(cancelled_paid(), record_committed(&["MUG"]), &[])]
#[case::ships(processing(), Command::Ship, &[shipped_event()])]
#[case::ships_once(shipped(), Command::Ship, &[])]
#[case::does_not_ship_again_once_delivered(delivered(), Command::Ship, &[])]
#[case::hears_that_stock_let_go(shipped(), record_shipped(&["MUG"]), &[stock_shipped(&["MUG"])])]
#[case::hears_that_stock_let_go_of_all(
    shipped(), record_shipped(&["MUG", "BOWL", "JUG", "BOWL"]), &[stock_shipped(&["BOWL", "MUG"])],
)]
#[case::hears_that_stock_let_go_once(delivered(), record_shipped(&["MUG", "BOWL"]), &[])]
#[case::hears_that_stock_let_go_after_the_money_went_back(
    refunded_after_shipping(), record_shipped(&["MUG"]), &[stock_shipped(&["MUG"])],
)]
#[case::hears_of_nothing_shipped_while_stock_commits(
    and(paid(), &[committed(&["MUG"])]), record_shipped(&["MUG"]), &[])]
#[case::hears_of_nothing_shipped_before_it_ships(processing(), record_shipped(&["MUG"]), &[])]
#[case::hears_of_nothing_shipped_once_called_off(
    and(processing(), &[cancelled_on_request()]), record_shipped(&["MUG"]), &[],
)]
#[case::is_delivered(shipped(), Command::Deliver, &[delivered_event()])]
#[case::is_delivered_once(delivered(), Command::Deliver, &[])]
#[case::is_cancelled_when_pending(pending(), cancel(), &[cancelled_on_request()])]
#[case::is_cancelled_when_held(held(), cancel(), &[cancelled_on_request()])]
#[case::is_cancelled_when_paid(paid(), cancel(), &[cancelled_on_request()])]
#[case::is_cancelled_when_processing(processing(), cancel(), &[cancelled_on_request()])]
#[case::is_cancelled_once(cancelled_early(), Command::Cancel { reason: reason("again") }, &[])]
#[case::is_not_cancelled_again_without_stock(and(pending(), &[out_of_stock(&[("MUG", 0)])]), cancel(), &[])]
#[case::hears_that_stock_took_back(cancelled_paid(), record_released(&["MUG"]), &[stock_released(&["MUG"])])]
#[case::hears_that_stock_took_back_what_never_answered(
    cancelled_early(), record_released(&["MUG", "BOWL", "MUG", "JUG"]), &[stock_released(&["BOWL", "MUG"])],
)]
#[case::hears_that_stock_took_back_what_was_committed(
    and(processing(), &[cancelled_on_request()]), record_released(&["MUG"]), &[stock_released(&["MUG"])],
)]
#[case::hears_that_stock_took_back_once(
    and(cancelled_paid(), &[stock_released(&["MUG"])]), record_released(&["MUG"]), &[],
)]
#[case::hears_that_stock_took_back_after_the_money_went_back(
    refunded_before_shipping(), record_released(&["MUG"]), &[stock_released(&["MUG"])],
)]
#[case::hears_of_no_release_while_it_lives(paid(), record_released(&["MUG"]), &[])]
#[case::hears_of_no_release_once_the_goods_left(refunded_after_shipping(), record_released(&["MUG"]), &[])]
#[case::gives_all_back_when_called_off(
    cancelled_paid(), give_back(1, 35), &[refund(1, 35), refunded_event(35)],
)]
#[case::gives_a_part_back(cancelled_paid(), give_back(1, 34), &[refund(1, 34)])]
#[case::gives_the_rest_back(
    and(delivered(), &[refund(1, 30)]), give_back(2, 5), &[refund(2, 5), refunded_event(35)],
)]
#[case::gives_back_what_was_paid_in_part(
    and(pending(), &[payment(1, 20), cancelled_on_request()]), give_back(1, 20), &[refund(1, 20), refunded_event(20)],
)]
#[case::gives_a_part_back_when_shipped(shipped(), give_back(1, 1), &[refund(1, 1)])]
#[case::takes_a_refund_once(and(shipped(), &[refund(1, 30)]), give_back(1, 30), &[])]
#[case::takes_the_last_refund_once(refunded_after_shipping(), give_back(1, 35), &[])]
fn an_order(#[case] history: Vec<Event>, #[case] command: Command, #[case] events: &[Event]) {
    given::<Order>(&history).when(command).then(events);
}

fn not_in(status: &'static str, wanted: &'static str, needed: &'static str) -> Rejection {
    Rejection::WrongStatus { status, wanted, needed }
}

fn not_due(due: i64, given: i64) -> Rejection {
    Rejection::PaymentNotDue { due, given: gbp(given) }
}

fn too_much(left: i64, given: i64) -> Rejection {
    Rejection::RefundTooLarge { left, given: gbp(given) }
}

fn other_currency() -> Rejection {
    Rejection::CurrencyMismatch { order: currency("GBP"), given: currency("EUR") }
}

#[rstest]
#[case::answers_for_nobody(vec![], answers(&[("MUG", HELD)]), Rejection::NotFound)]
#[case::a_commitment_for_nobody(vec![], record_committed(&["MUG"]), Rejection::NotFound)]
#[case::departed_stock_for_nobody(vec![], record_shipped(&["MUG"]), Rejection::NotFound)]
#[case::a_release_for_nobody(vec![], record_released(&["MUG"]), Rejection::NotFound)]
#[case::money_for_nobody(vec![], pay(1, 35), Rejection::NotFound)]
#[case::shipping_to_nobody(vec![], Command::Ship, Rejection::NotFound)]
#[case::delivery_to_nobody(vec![], Command::Deliver, Rejection::NotFound)]
#[case::cancelling_nothing(vec![], cancel(), Rejection::NotFound)]
#[case::a_refund_to_nobody(vec![], give_back(1, 35), Rejection::NotFound)]
#[case::another_cart(
    pending(), Command::Place(Placed { cart_id: cart_id(2), ..the_order() }), Rejection::AlreadyPlaced,
)]
#[case::another_total(pending(), Command::Place(Placed { total: gbp(36), ..the_order() }), Rejection::AlreadyPlaced)]
#[case::other_lines(pending(), Command::Place(Placed { lines: vec![], ..the_order() }), Rejection::AlreadyPlaced)]
#[case::a_payment_of_nothing(held(), pay(1, 0), not_due(35, 0))]
#[case::a_payment_of_too_much(held(), pay(1, 36), not_due(35, 36))]
#[case::a_second_payment_of_too_much(and(held(), &[payment(1, 30)]), pay(2, 6), not_due(5, 6))]
#[case::a_payment_when_all_money_is_there(prepaid(), pay(2, 1), not_due(0, 1))]
#[case::a_payment_in_another_currency(held(), pay_money(1, eur(35)), other_currency())]
#[case::another_amount_of_a_payment(
    prepaid(), pay(1, 34), Rejection::PaymentDiffers { recorded: gbp(35) },
)]
#[case::a_payment_when_paid(paid(), pay(2, 1), not_in("paid", "paid", "pending"))]
#[case::a_payment_when_processing(processing(), pay(2, 1), not_in("processing", "paid", "pending"))]
#[case::shipping_when_pending(pending(), Command::Ship, not_in("pending", "shipped", "processing"))]
#[case::shipping_when_paid(paid(), Command::Ship, not_in("paid", "shipped", "processing"))]
#[case::shipping_when_cancelled(
    cancelled_paid(),
    Command::Ship,
    not_in("cancelled", "shipped", "processing")
)]
#[case::shipping_when_refunded(
    refunded_before_shipping(),
    Command::Ship,
    not_in("refunded", "shipped", "processing")
)]
#[case::delivery_when_pending(pending(), Command::Deliver, not_in("pending", "delivered", "shipped"))]
#[case::delivery_when_paid(paid(), Command::Deliver, not_in("paid", "delivered", "shipped"))]
#[case::delivery_when_processing(
    processing(),
    Command::Deliver,
    not_in("processing", "delivered", "shipped")
)]
#[case::delivery_when_cancelled(
    cancelled_paid(),
    Command::Deliver,
    not_in("cancelled", "delivered", "shipped")
)]
#[case::delivery_when_refunded(
    refunded_before_shipping(),
    Command::Deliver,
    not_in("refunded", "delivered", "shipped")
)]
#[case::cancelling_when_shipped(
    shipped(),
    cancel(),
    not_in("shipped", "cancelled", "pending, paid or processing")
)]
#[case::cancelling_when_delivered(
    delivered(),
    cancel(),
    not_in("delivered", "cancelled", "pending, paid or processing")
)]
#[case::cancelling_when_refunded(
    refunded_after_shipping(),
    cancel(),
    not_in("refunded", "cancelled", "pending, paid or processing")
)]
#[case::a_refund_when_pending(
    prepaid(),
    give_back(1, 35),
    not_in("pending", "refunded", "paid, processing, shipped, delivered or cancelled")
)]
#[case::a_refund_of_all_when_paid(paid(), give_back(1, 35), too_much(34, 35))]
#[case::a_refund_of_all_when_processing(processing(), give_back(1, 35), too_much(34, 35))]
#[case::a_refund_when_refunded(refunded_after_shipping(), give_back(2, 1), too_much(0, 1))]
#[case::a_refund_of_nothing(shipped(), give_back(1, 0), too_much(35, 0))]
#[case::a_refund_of_too_much(shipped(), give_back(1, 36), too_much(35, 36))]
#[case::a_second_refund_of_too_much(and(shipped(), &[refund(1, 30)]), give_back(2, 6), too_much(5, 6))]
#[case::a_refund_where_nothing_was_paid(cancelled_early(), give_back(1, 1), too_much(0, 1))]
#[case::a_refund_in_another_currency(shipped(), give_back_money(1, eur(35)), other_currency())]
#[case::another_amount_of_a_refund(
    and(shipped(), &[refund(1, 30)]), give_back(1, 29), Rejection::RefundDiffers { recorded: gbp(30) },
)]
fn an_order_refuses(#[case] history: Vec<Event>, #[case] command: Command, #[case] rejection: Rejection) {
    given::<Order>(&history).when(command).then_refused(&rejection);
}

#[rstest]
#[case::pending(pending(), "pending", (0, 0))]
#[case::prepaid(prepaid(), "pending", (35, 0))]
#[case::paid(paid(), "paid", (35, 0))]
#[case::processing(processing(), "processing", (35, 0))]
#[case::shipped(shipped(), "shipped", (35, 0))]
#[case::delivered(delivered(), "delivered", (35, 0))]
#[case::cancelled(cancelled_paid(), "cancelled", (35, 0))]
#[case::refunded(refunded_before_shipping(), "refunded", (35, 35))]
#[case::partly_refunded(and(shipped(), &[refund(1, 30), refund(2, 1)]), "shipped", (35, 31))]
fn an_order_stands(#[case] history: Vec<Event>, #[case] name: &str, #[case] paid_and_refunded: (i64, i64)) {
    let Order::Placed(order) = Order::fold(&history) else { panic!("it is not placed") };
    assert_eq!(order.status.name(), name);
    assert_eq!((order.paid_amount(), order.refunded_amount()), paid_and_refunded);
}

#[rstest]
#[case::when_called_off(refunded_before_shipping(), false)]
#[case::when_shipped(refunded_after_shipping(), true)]
#[case::when_delivered(and(delivered(), &[refund(1, 35), refunded_event(35)]), true)]
fn a_refund_remembers_where_the_goods_are(#[case] history: Vec<Event>, #[case] after_shipping: bool) {
    let Order::Placed(order) = Order::fold(&history) else { panic!("it is not placed") };
    assert_eq!(order.status, Status::Refunded { after_shipping });
}

#[test]
fn a_placed_order_asks_stock_once_for_each_sku_and_keeps_what_was_bought() {
    let placed = Placed { customer_id: Some(customer("ada")), ..the_order() };
    let Order::Placed(order) = Order::fold(&[Event::Placed(placed.clone())]) else {
        panic!("it is not placed")
    };
    let asked: Vec<_> = order.stock.iter().map(|(sku, stock)| (sku.clone(), *stock)).collect();
    assert_eq!(asked.len(), 2);
    assert_eq!((&asked[0].0, asked[0].1.quantity), (&sku("BOWL"), units(1)));
    assert_eq!((&asked[1].0, asked[1].1.quantity), (&sku("MUG"), units(3)));
    assert!(asked.iter().all(|(_, stock)| stock.phase == StockPhase::Unanswered));
    assert_eq!((order.customer_id, order.country), (placed.customer_id, country("GB")));
    assert_eq!((order.cart_id, order.lines, order.total), (cart_id(1), placed.lines, gbp(35)));
}

#[rstest]
#[case::before_it_is_placed(vec![], shipped_event())]
#[case::a_second_placing(pending(), Event::Placed(Placed { total: gbp(1), ..the_order() }))]
#[case::stock_that_it_never_asked_for(held(), committed(&["JUG"]))]
fn an_order_is_not_moved_by(#[case] history: Vec<Event>, #[case] nonsense: Event) {
    let state = Order::fold(&history);
    assert_eq!(state.clone().evolve(&nonsense), state);
}
