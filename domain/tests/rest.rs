//! The rules of giving up what has not been sent, and of money that people must give back.

mod samples;
mod scenario;

use domain::order::{Command, Event, Order, Placed, Rejection, Status};
use domain::{Aggregate, Money};
use rstest::rstest;
use samples::orders::*;
use samples::{currency, eur, gbp, merchant, reason, reference, refund_id, skus};
use scenario::given;

/// The bowl is sold by the forge, and the mugs by the pottery. All is paid by card and packed.
fn packed() -> Vec<Event> {
    paid_with(&[requested(1, 35), authorized(1), captured(1, 35)])
}

/// Paid with 20 by card and 15 by hand.
fn packed_with_a_gift_card() -> Vec<Event> {
    paid_with(&[payment(2, 15), requested(1, 20), authorized(1), captured(1, 20)])
}

fn paid_with(payments: &[Event]) -> Vec<Event> {
    let mut order: Placed = the_order();
    order.lines[1].merchant_id = merchant("forge");
    let placed = and(vec![Event::Placed(order)], &[answered(&["BOWL", "MUG"], &[])]);
    and(and(placed, payments), &[paid_event(35), committed(&["BOWL", "MUG"]), processing_event()])
}

fn rest_of(who: Option<&str>, refund: Option<Money>) -> Command {
    let (refund_id, merchant_id, reason) = (refund_id(9), who.map(merchant), reason("burnt"));
    Command::CancelRest { refund_id, merchant_id, refund, reason }
}

fn rest() -> Command {
    rest_of(None, None)
}

fn called_off() -> Event {
    use domain::order::{CancelReason, Cancelled};
    Event::Cancelled(Cancelled { reason: CancelReason::Requested { reason: reason("burnt") } })
}

/// A mug of the first line is on its way.
fn partly_sent() -> Vec<Event> {
    and(packed(), &[sent(1, &[(1, 1)])])
}

const LEFT: &[(u128, u32)] = &[(1, 1), (2, 1), (3, 1)];

#[rstest]
#[case::gives_up_all_that_is_left_and_is_shipped(
    partly_sent(), rest(), &[given_up(LEFT, 25, 0), refund_requested(9, 1, 25), shipped_event()],
)]
#[case::gives_up_what_one_merchant_has_not_sent(
    partly_sent(), rest_of(Some("forge"), None), &[given_up(&[(2, 1)], 5, 0), refund_requested(9, 1, 5)],
)]
#[case::gives_up_before_anything_is_sent(
    packed(), rest_of(Some("forge"), None), &[given_up(&[(2, 1)], 5, 0), refund_requested(9, 1, 5)],
)]
#[case::is_shipped_when_the_other_merchant_sent_all(
    and(packed(), &[sent(1, &[(1, 2), (3, 1)])]), rest_of(Some("forge"), None),
    &[given_up(&[(2, 1)], 5, 0), refund_requested(9, 1, 5), shipped_event()],
)]
#[case::is_delivered_when_all_that_was_sent_arrived(
    and(partly_sent(), &[arrived(1)]), rest(),
    &[given_up(LEFT, 25, 0), refund_requested(9, 1, 25), shipped_event(), delivered_event()],
)]
#[case::gives_up_once(
    and(partly_sent(), &[given_up(&[(2, 1)], 5, 0), refund_requested(9, 1, 5)]), rest_of(Some("forge"), None), &[],
)]
#[case::gives_up_once_when_it_arrived(
    and(partly_sent(), &[given_up(LEFT, 25, 0), shipped_event(), delivered_event()]), rest(), &[],
)]
#[case::is_called_off_when_nothing_was_sent(packed(), rest(), &[called_off(), refund_requested(1, 1, 35)])]
#[case::is_called_off_when_the_last_merchant_gives_up(
    and(packed(), &[given_up(&[(2, 1)], 5, 0), refund_requested(8, 1, 5), refund_of(8, 1, 5)]),
    rest_of(Some("pottery"), None), &[called_off(), refund_requested(1, 1, 30)],
)]
#[case::gives_up_nothing_when_called_off(and(packed(), &[called_off()]), rest(), &[])]
#[case::gives_back_as_much_as_is_said(
    partly_sent(), rest_of(None, Some(gbp(7))), &[given_up(LEFT, 7, 0), refund_requested(9, 1, 7), shipped_event()],
)]
#[case::gives_back_nothing_where_that_is_said(
    partly_sent(), rest_of(None, Some(gbp(0))), &[given_up(LEFT, 0, 0), shipped_event()],
)]
#[case::gives_back_no_more_than_is_left(
    and(partly_sent(), &[refund_requested(8, 1, 30)]), rest(),
    &[given_up(LEFT, 5, 0), refund_requested(9, 1, 5), shipped_event()],
)]
#[case::leaves_to_people_what_came_by_hand(
    and(packed_with_a_gift_card(), &[sent(1, &[(1, 1)])]), rest(),
    &[given_up(LEFT, 25, 5), refund_requested(9, 1, 20), shipped_event()],
)]
#[case::sends_what_is_left_after_that(
    and(packed(), &[given_up(&[(2, 1)], 5, 0)]),
    Command::SendShipment {
        shipment_id: samples::shipment_id(1), merchant_id: merchant("pottery"), lines: None, tracking: None,
    },
    &[sent(1, &[(1, 2), (3, 1)]), shipped_event()],
)]
#[case::hears_that_units_are_back(
    and(packed(), &[given_up(&[(2, 1)], 5, 0)]), hears(&[("BOWL", 0, 1)]), &[parted(&[("BOWL", 0, 1, 0)])],
)]
#[case::hears_that_units_left(partly_sent(), hears(&[("MUG", 1, 0)]), &[parted(&[("MUG", 1, 0, 2)])])]
#[case::hears_that_units_left_once(and(partly_sent(), &[parted(&[("MUG", 1, 0, 2)])]), hears(&[("MUG", 1, 0)]), &[])]
#[case::hears_of_no_units_that_it_never_sent(partly_sent(), hears(&[("MUG", 2, 0), ("BOWL", 0, 1)]), &[])]
#[case::hears_of_no_part_when_all_left(
    and(packed(), &[shipped_event(), stock_shipped(&["MUG"])]), hears(&[("MUG", 1, 0)]), &[],
)]
#[case::may_give_all_money_back_when_a_part_is_on_its_way(
    partly_sent(), give_back(35), &[refund_requested(7, 1, 35)],
)]
#[case::is_refunded_when_it_is_shipped_without_money(
    and(partly_sent(), &[refund_requested(7, 1, 35), refund_of(7, 1, 35)]), Command::Ship,
    &[shipped_event(), refunded_event(35)],
)]
#[case::arrives_although_it_is_refunded(refunded_after_shipping(), Command::Deliver, &[delivered_event()])]
#[case::gives_all_back_by_hand_where_the_others_are_free(
    and(with_free_mugs(&[payment(1, 5)]), &[given_up(&[(2, 1)], 5, 5)]), by_hand(5), &[refund(8, 5)],
)]
#[case::is_called_off_when_the_rest_of_its_money_is_owed_and_given_back(
    and(packed_with_a_gift_card(), &[
        refund_requested(7, 1, 20), refund_of(7, 1, 20), given_up(&[(1, 2)], 15, 15),
    ]),
    by_hand(15), &[refund(8, 15), all_went_back(), refunded_event(35)],
)]
#[case::gives_a_part_back_by_hand_before_it_ships(packed_with_a_gift_card(), by_hand(15), &[refund(8, 15)])]
#[case::gives_a_part_back_by_hand_when_all_came_by_hand(paid(), by_hand(34), &[refund(8, 34)])]
#[case::is_called_off_once_when_refunded(refunded_before_shipping(), Command::Cancel { reason: reason("again") }, &[])]
#[case::is_called_off_when_the_money_for_the_others_is_given_back_at_the_gateway(
    and(packed(), &[given_up(&[(2, 1)], 5, 0), refund_requested(9, 1, 5), refund_of(9, 1, 5)]), found(30),
    &[refund_found(10, 1, 30), all_went_back(), refunded_event(35)],
)]
#[case::keeps_free_goods_when_all_that_costs_something_is_given_up(
    and(with_free_mugs(&[requested(1, 5), authorized(1), captured(1, 5)]), &[
        given_up(&[(2, 1)], 5, 0), refund_requested(9, 1, 5),
    ]),
    gone_back(9, 5),
    &[refund_of(9, 1, 5)],
)]
#[case::calls_off_without_what_people_gave_back(
    and(packed_with_a_gift_card(), &[refund(8, 20)]), Command::Cancel { reason: reason("burnt") },
    &[called_off(), refund_requested(1, 1, 15)],
)]
fn an_order(#[case] history: Vec<Event>, #[case] command: Command, #[case] events: &[Event]) {
    given::<Order>(&history).when(command).then(events);
}

/// Money that people gave back at the gateway.
fn found(amount: i64) -> Command {
    let Event::RefundFound(found) = refund_found(10, 1, amount) else { panic!("it is found") };
    Command::RecordRefundFound(found)
}

/// Only the bowl costs something.
fn with_free_mugs(payments: &[Event]) -> Vec<Event> {
    let mut order: Placed = the_order();
    order.lines[1].merchant_id = merchant("forge");
    (order.lines[0].unit_price, order.lines[2].unit_price, order.total) = (gbp(0), gbp(0), gbp(5));
    let placed = and(vec![Event::Placed(order)], &[answered(&["BOWL", "MUG"], &[])]);
    and(and(placed, payments), &[paid_event(5), committed(&["BOWL", "MUG"]), processing_event()])
}

fn gone_back(number: u128, amount: i64) -> Command {
    let (refund_id, payment_id) = (refund_id(number), Some(samples::payment_id(1)));
    Command::RecordRefund { refund_id, payment_id, amount: gbp(amount), reference: reference("bank") }
}

fn hears(parts: &[(&str, u32, u32)]) -> Command {
    let part = |(what, shipped, released): &(&str, u32, u32)| (skus(&[what]).remove(0), *shipped, *released);
    Command::RecordStockParted { parts: parts.iter().map(part).collect() }
}

fn give_back(amount: i64) -> Command {
    Command::RequestRefund { refund_id: refund_id(7), amount: gbp(amount) }
}

fn by_hand(amount: i64) -> Command {
    let (refund_id, amount, reference) = (refund_id(8), gbp(amount), reference("bank"));
    Command::RecordRefund { refund_id, payment_id: None, amount, reference }
}

fn too_much(left: i64, given: i64) -> Rejection {
    Rejection::RefundTooLarge { left, given: gbp(given) }
}

fn not_in(status: &'static str, wanted: &'static str, needed: &'static str) -> Rejection {
    Rejection::WrongStatus { status, wanted, needed }
}

#[rstest]
#[case::the_rest_of_nothing(vec![], rest(), Rejection::NotFound)]
#[case::the_rest_of_an_unpaid_order(held(), rest(), not_in("pending", "cancelled in part", "processing"))]
#[case::the_rest_of_what_left(
    and(packed(), &[shipped_event()]), rest(), not_in("shipped", "cancelled in part", "processing"),
)]
#[case::the_rest_of_a_merchant_who_sent_all(
    and(packed(), &[sent(1, &[(1, 2), (3, 1)])]), rest_of(Some("pottery"), None),
    Rejection::NothingToShip { merchant_id: merchant("pottery") },
)]
#[case::more_money_than_its_price(partly_sent(), rest_of(None, Some(gbp(26))), too_much(25, 26))]
#[case::money_in_another_currency(
    partly_sent(), rest_of(None, Some(eur(1))),
    Rejection::CurrencyMismatch { order: currency("GBP"), given: currency("EUR") },
)]
#[case::two_refunds_under_one_id(
    and(partly_sent(), &[refund_requested(9, 1, 1)]), rest(), Rejection::RefundDiffers { recorded: gbp(1) },
)]
#[case::all_money_by_hand_before_anything_left(paid(), by_hand(35), too_much(34, 35))]
#[case::money_by_hand_that_never_came(
    held(),
    by_hand(1),
    not_in("pending", "refunded", "paid, processing, shipped, delivered or cancelled")
)]
fn an_order_refuses(#[case] history: Vec<Event>, #[case] command: Command, #[case] rejection: Rejection) {
    given::<Order>(&history).when(command).then_refused(&rejection);
}

/// What people owe the shopper.
#[rstest]
#[case::nothing(packed_with_a_gift_card(), 0)]
#[case::recorded_money_of_a_called_off_order(
    and(packed_with_a_gift_card(), &[called_off(), refund_requested(1, 1, 20)]), 15,
)]
#[case::what_the_gateway_refused(
    and(packed_with_a_gift_card(), &[called_off(), refund_requested(1, 1, 20), refund_refused(1, 1)]), 35,
)]
#[case::nothing_once_it_went_back(
    and(packed_with_a_gift_card(), &[called_off(), refund_requested(1, 1, 20), refund(8, 15)]), 0,
)]
#[case::money_that_came_after_it_expired(and(held(), &[payment(1, 5), expired()]), 5)]
#[case::what_was_given_up_and_came_by_hand(
    and(packed_with_a_gift_card(), &[sent(1, &[(1, 1)]), given_up(LEFT, 25, 5), refund_requested(9, 1, 20)]), 5,
)]
#[case::nothing_once_that_went_back(
    and(packed_with_a_gift_card(), &[sent(1, &[(1, 1)]), given_up(LEFT, 25, 5), refund(8, 5)]), 0,
)]
fn money_that_people_owe(#[case] history: Vec<Event>, #[case] expected: i64) {
    let Order::Placed(order) = Order::fold(&history) else { panic!("it is not placed") };
    assert_eq!(order.to_refund(), expected);
}

#[test]
fn a_refunded_order_that_arrives_stays_refunded() {
    let history = and(refunded_after_shipping(), &[delivered_event()]);
    let Order::Placed(order) = Order::fold(&history) else { panic!("it is not placed") };
    assert!(order.has_arrived);
    assert_eq!(order.status, Status::Refunded { after_shipping: true });
}
