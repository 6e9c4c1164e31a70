//! The rules of parcels: each merchant sends its own lines, at once or bit by bit.

mod samples;
mod scenario;

use domain::order::{Command, Event, Order, Placed, Rejection, ShipmentSent, Tracking};
use domain::{Aggregate, Sku};
use rstest::rstest;
use samples::orders::*;
use samples::{carrier, line_id, merchant, reason, shipment_id, sku, skus, tracking_number};
use scenario::given;

fn send_by(number: u128, who: &str, lines: Option<&[(u128, u32)]>) -> Command {
    Command::SendShipment {
        shipment_id: shipment_id(number),
        merchant_id: merchant(who),
        lines: lines.map(shipped_lines),
        tracking: None,
    }
}

fn send(number: u128, lines: &[(u128, u32)]) -> Command {
    send_by(number, "pottery", Some(lines))
}

fn deliver(number: u128) -> Command {
    Command::DeliverShipment { shipment_id: shipment_id(number) }
}

fn record_shipped(what: &[&str]) -> Command {
    Command::RecordStockShipped { skus: skus(what) }
}

fn tracking() -> Tracking {
    Tracking { carrier: carrier("Royal Mail"), number: tracking_number("AB123456785GB") }
}

const ALL: &[(u128, u32)] = &[(1, 2), (2, 1), (3, 1)];

/// The bowl is on its way: line 2 of the pottery.
fn bowl_sent() -> Vec<Event> {
    and(processing(), &[sent(1, &[(2, 1)])])
}

/// All is on its way, in two parcels.
fn all_sent() -> Vec<Event> {
    and(bowl_sent(), &[sent(2, &[(1, 2), (3, 1)]), shipped_event()])
}

/// The bowl is sold by the forge, and the mugs by the pottery.
fn of_two_merchants() -> Vec<Event> {
    let mut order: Placed = the_order();
    order.lines[1].merchant_id = merchant("forge");
    and(vec![Event::Placed(order)], &processing()[1..])
}

fn sent_by_forge(lines: &[(u128, u32)]) -> Event {
    Event::ShipmentSent(ShipmentSent {
        shipment_id: shipment_id(1),
        merchant_id: merchant("forge"),
        lines: shipped_lines(lines),
        tracking: None,
    })
}

#[rstest]
#[case::sends_a_line(processing(), send(1, &[(2, 1)]), &[sent(1, &[(2, 1)])])]
#[case::sends_a_part_of_a_line(processing(), send(1, &[(1, 1)]), &[sent(1, &[(1, 1)])])]
#[case::sends_the_rest_of_a_line(and(processing(), &[sent(1, &[(1, 1)])]), send(2, &[(1, 1)]), &[sent(2, &[(1, 1)])])]
#[case::is_shipped_with_the_last_unit(
    bowl_sent(), send(2, &[(1, 2), (3, 1)]), &[sent(2, &[(1, 2), (3, 1)]), shipped_event()],
)]
#[case::is_shipped_in_one_parcel(processing(), send(1, ALL), &[sent(1, ALL), shipped_event()])]
#[case::sends_everything_if_nothing_is_named(
    processing(), send_by(1, "pottery", None), &[sent(1, ALL), shipped_event()],
)]
#[case::sends_the_rest_if_nothing_is_named(
    bowl_sent(), send_by(2, "pottery", None), &[sent(2, &[(1, 2), (3, 1)]), shipped_event()],
)]
#[case::sends_only_what_the_merchant_sells(
    of_two_merchants(), send_by(1, "forge", None), &[sent_by_forge(&[(2, 1)])],
)]
#[case::is_shipped_when_both_merchants_sent(
    and(of_two_merchants(), &[sent_by_forge(&[(2, 1)])]), send_by(2, "pottery", None),
    &[sent(2, &[(1, 2), (3, 1)]), shipped_event()],
)]
#[case::says_how_to_follow_it(
    processing(),
    Command::SendShipment {
        shipment_id: shipment_id(1), merchant_id: merchant("pottery"), lines: Some(shipped_lines(&[(2, 1)])),
        tracking: Some(tracking()),
    },
    &[Event::ShipmentSent(ShipmentSent {
        shipment_id: shipment_id(1), merchant_id: merchant("pottery"), lines: shipped_lines(&[(2, 1)]),
        tracking: Some(tracking()),
    })],
)]
#[case::sends_a_parcel_once(bowl_sent(), send(1, &[(2, 1)]), &[])]
#[case::sends_a_parcel_once_if_nothing_is_named(all_sent(), send_by(2, "pottery", None), &[])]
#[case::sends_a_parcel_once_when_delivered(
    and(all_sent(), &[arrived(1), arrived(2), delivered_event()]), send(1, &[(2, 1)]), &[],
)]
#[case::receives_a_parcel(all_sent(), deliver(1), &[arrived(1)])]
#[case::receives_a_parcel_while_the_rest_is_packed(bowl_sent(), deliver(1), &[arrived(1)])]
#[case::is_delivered_with_the_last_parcel(and(all_sent(), &[arrived(1)]), deliver(2), &[arrived(2), delivered_event()])]
#[case::receives_a_parcel_once(and(all_sent(), &[arrived(1)]), deliver(1), &[])]
#[case::receives_the_last_parcel_once(
    and(all_sent(), &[arrived(1), arrived(2), delivered_event()]), deliver(2), &[],
)]
#[case::receives_a_parcel_when_delivered(and(all_sent(), &[delivered_event()]), deliver(1), &[arrived(1)])]
#[case::receives_a_parcel_when_refunded(
    and(all_sent(), &[refund(1, 35), refunded_event(35)]), deliver(1), &[arrived(1)],
)]
#[case::is_not_delivered_by_the_only_parcel_when_the_rest_left_without_one(
    and(bowl_sent(), &[shipped_event()]), deliver(1), &[arrived(1)],
)]
#[case::lets_the_rest_go_without_a_parcel(bowl_sent(), Command::Ship, &[shipped_event()])]
#[case::hears_that_stock_let_a_sent_sku_go(bowl_sent(), record_shipped(&["BOWL"]), &[stock_shipped(&["BOWL"])])]
#[case::does_not_hear_that_stock_let_an_unsent_sku_go(bowl_sent(), record_shipped(&["MUG"]), &[])]
#[case::does_not_hear_that_stock_let_a_half_sent_sku_go(
    and(processing(), &[sent(1, &[(1, 2)])]), record_shipped(&["MUG"]), &[],
)]
fn an_order(#[case] history: Vec<Event>, #[case] command: Command, #[case] events: &[Event]) {
    given::<Order>(&history).when(command).then(events);
}

fn not_processing(status: &'static str) -> Rejection {
    Rejection::WrongStatus { status, wanted: "shipped", needed: "processing" }
}

fn too_many(line: u128, left: u32, given: u32) -> Rejection {
    Rejection::TooManyUnits { line_id: line_id(line), left, given }
}

fn not_theirs(line: u128, who: &str) -> Rejection {
    Rejection::NotTheirLine { line_id: line_id(line), merchant_id: merchant(who) }
}

fn nothing_left(who: &str) -> Rejection {
    Rejection::NothingToShip { merchant_id: merchant(who) }
}

#[rstest]
#[case::a_parcel_to_nobody(vec![], send(1, ALL), Rejection::NotFound)]
#[case::an_arrival_at_nobody(vec![], deliver(1), Rejection::NotFound)]
#[case::a_parcel_when_pending(held(), send(1, ALL), not_processing("pending"))]
#[case::a_parcel_when_paid(paid(), send(1, ALL), not_processing("paid"))]
#[case::a_parcel_when_cancelled(cancelled_paid(), send(1, ALL), not_processing("cancelled"))]
#[case::a_second_parcel_of_what_left(shipped(), send(1, ALL), not_processing("shipped"))]
#[case::more_units_than_were_bought(processing(), send(1, &[(1, 3)]), too_many(1, 2, 3))]
#[case::more_units_than_are_left(and(processing(), &[sent(1, &[(1, 1)])]), send(2, &[(1, 2)]), too_many(1, 1, 2))]
#[case::a_line_that_left(bowl_sent(), send(2, &[(2, 1)]), too_many(2, 0, 1))]
#[case::a_line_twice(processing(), send(1, &[(1, 1), (1, 1)]), Rejection::LineTwice { line_id: line_id(1) })]
#[case::a_strange_line(processing(), send(1, &[(9, 1)]), not_theirs(9, "pottery"))]
#[case::a_line_of_another_merchant(of_two_merchants(), send(1, &[(2, 1)]), not_theirs(2, "pottery"))]
#[case::an_empty_parcel(processing(), send(1, &[]), nothing_left("pottery"))]
#[case::a_parcel_of_a_strange_merchant(processing(), send_by(1, "forge", None), nothing_left("forge"))]
#[case::a_parcel_of_a_merchant_who_sent_all(
    and(of_two_merchants(), &[sent_by_forge(&[(2, 1)])]), send_by(2, "forge", None), nothing_left("forge"),
)]
#[case::other_lines_under_the_same_id(bowl_sent(), send(1, &[(1, 1)]), Rejection::ShipmentDiffers)]
#[case::another_merchant_under_the_same_id(
    bowl_sent(),
    send_by(1, "forge", None),
    Rejection::ShipmentDiffers
)]
#[case::the_arrival_of_no_parcel(processing(), deliver(1), Rejection::ShipmentNotFound)]
#[case::cancelling_what_left_in_part(
    bowl_sent(), Command::Cancel { reason: reason("changed my mind") }, Rejection::PartlyShipped,
)]
#[case::cancelling_what_left(
    all_sent(), Command::Cancel { reason: reason("changed my mind") }, Rejection::PartlyShipped,
)]
fn an_order_refuses(#[case] history: Vec<Event>, #[case] command: Command, #[case] rejection: Rejection) {
    given::<Order>(&history).when(command).then_refused(&rejection);
}

#[rstest]
#[case::nothing(processing(), [2, 1, 1], &[])]
#[case::a_line(bowl_sent(), [2, 0, 1], &["BOWL"])]
#[case::a_part_of_a_line(and(processing(), &[sent(1, &[(1, 1)])]), [1, 1, 1], &[])]
#[case::everything(all_sent(), [0, 0, 0], &["BOWL", "MUG"])]
fn units_that_were_sent(#[case] history: Vec<Event>, #[case] unsent: [u32; 3], #[case] sent: &[&str]) {
    let Order::Placed(order) = Order::fold(&history) else { panic!("it is not placed") };
    assert_eq!([1, 2, 3].map(|line| order.unsent(line_id(line))), unsent);
    assert_eq!(order.unsent(line_id(9)), 0);
    let has_left = |sku: &&Sku| order.has_left(sku);
    assert_eq!(order.stock.keys().filter(has_left).cloned().collect::<Vec<_>>(), skus(sent));
    assert!(!order.has_left(&sku("JUG")));
}
