//! The rules of a SKU's stock.

mod samples;
mod scenario;

use domain::Aggregate;
use domain::inventory::{
    Adjusted, Command, Committed, Event, Inventory, Phase, Received, Rejection, Released, Reservation,
    ReservationClosed, Reserved, Share, Shipped, UnitsReleased, UnitsShipped,
};
use rstest::rstest;
use samples::{adjustment_id, order_id, reason, receipt_id, units};
use scenario::given;

/// What the rules allow of one SKU.
const MAX_UNITS: u64 = 1_000_000_000_000;

fn received(receipt: u128, quantity: u32) -> Event {
    Event::Received(Received { receipt_id: receipt_id(receipt), quantity: units(quantity) })
}

fn adjusted(adjustment: u128, delta: i64) -> Event {
    let reason = reason("counted");
    Event::Adjusted(Adjusted { adjustment_id: adjustment_id(adjustment), delta, reason })
}

fn reserved(order: u128, quantity: u32) -> Event {
    Event::Reserved(Reserved { order_id: order_id(order), quantity: units(quantity), unpaid: false })
}

fn released(order: u128, quantity: u32, was_committed: bool) -> Event {
    Event::Released(Released { order_id: order_id(order), quantity: units(quantity), was_committed })
}

fn closed(order: u128) -> Event {
    Event::ReservationClosed(ReservationClosed { order_id: order_id(order) })
}

fn committed(order: u128, quantity: u32) -> Event {
    Event::Committed(Committed { order_id: order_id(order), quantity: units(quantity) })
}

fn shipped(order: u128, quantity: u32) -> Event {
    Event::Shipped(Shipped { order_id: order_id(order), quantity: units(quantity) })
}

fn receive(receipt: u128, quantity: u32) -> Command {
    Command::Receive { receipt_id: receipt_id(receipt), quantity: units(quantity) }
}

fn adjust(adjustment: u128, delta: i64) -> Command {
    Command::Adjust { adjustment_id: adjustment_id(adjustment), delta, reason: reason("counted") }
}

fn reserve(order: u128, quantity: u32) -> Command {
    Command::Reserve { order_id: order_id(order), quantity: units(quantity) }
}

/// For an anonymous order that is not paid, when such orders may hold half of the stock.
fn reserve_unpaid(order: u128, quantity: u32) -> Command {
    let share = Share::of_percent(50);
    Command::ReserveUnpaid { order_id: order_id(order), quantity: units(quantity), share }
}

fn unpaid(order: u128, quantity: u32) -> Event {
    Event::Reserved(Reserved { order_id: order_id(order), quantity: units(quantity), unpaid: true })
}

/// Ten units; these orders hold some of them unpaid, and then this happens.
fn held_unpaid(orders: &[(u128, u32)], then: &[Event]) -> Vec<Event> {
    let held = orders.iter().map(|(order, quantity)| unpaid(*order, *quantity));
    stock(None).into_iter().chain(held).chain(then.iter().cloned()).collect()
}

fn beyond(limit: u64, held: u64, asked: u32) -> Rejection {
    Rejection::BeyondShare { limit, held, asked }
}

fn release(order: u128) -> Command {
    Command::Release { order_id: order_id(order) }
}

fn commit(order: u128) -> Command {
    Command::Commit { order_id: order_id(order) }
}

fn ship(order: u128) -> Command {
    Command::Ship { order_id: order_id(order) }
}

fn part(order: u128, shipped: u32, released: u32) -> Command {
    Command::Part { order_id: order_id(order), shipped, released }
}

fn some_shipped(order: u128, quantity: u32) -> Event {
    Event::UnitsShipped(UnitsShipped { order_id: order_id(order), quantity: units(quantity) })
}

fn some_released(order: u128, quantity: u32) -> Event {
    Event::UnitsReleased(UnitsReleased { order_id: order_id(order), quantity: units(quantity) })
}

/// Of the four units of order 1 some went separate ways.
fn parted(events: &[Event]) -> Vec<Event> {
    [stock(Some(Phase::Committed)), events.to_vec()].concat()
}

/// Ten units, of which order 1 has four, so far along.
fn stock(phase: Option<Phase>) -> Vec<Event> {
    let mut history = vec![received(1, 10)];
    let steps: &[Event] = match phase {
        None => &[],
        Some(Phase::Reserved) => &[reserved(1, 4)],
        Some(Phase::Committed) => &[reserved(1, 4), committed(1, 4)],
        Some(Phase::Shipped) => &[reserved(1, 4), committed(1, 4), shipped(1, 4)],
        Some(Phase::Released) => &[reserved(1, 4), released(1, 4, false)],
    };
    history.extend_from_slice(steps);
    history
}

/// As much as can ever be received, for the limits.
fn full() -> Vec<Event> {
    (0..1_000).map(|receipt| received(receipt, 1_000_000_000)).collect()
}

#[rstest]
#[case::comes_in(stock(None), receive(2, 5), &[received(2, 5)])]
#[case::comes_in_where_none_was(vec![], receive(1, 5), &[received(1, 5)])]
#[case::comes_in_once(stock(None), receive(1, 10), &[])]
#[case::comes_in_up_to_the_limit(full()[1..].to_vec(), receive(0, 1_000_000_000), &[received(0, 1_000_000_000)])]
#[case::is_found(stock(None), adjust(1, 3), &[adjusted(1, 3)])]
#[case::is_lost(stock(None), adjust(1, -3), &[adjusted(1, -3)])]
#[case::is_all_lost(stock(None), adjust(1, -10), &[adjusted(1, -10)])]
#[case::is_lost_down_to_what_is_reserved(stock(Some(Phase::Reserved)), adjust(1, -6), &[adjusted(1, -6)])]
#[case::is_corrected_once([stock(None), vec![adjusted(1, 3)]].concat(), adjust(1, 3), &[])]
#[case::is_found_up_to_the_limit(stock(None), adjust(1, 999_999_999_990), &[adjusted(1, 999_999_999_990)])]
#[case::is_reserved(stock(None), reserve(1, 4), &[reserved(1, 4)])]
#[case::is_reserved_to_the_last_unit(stock(None), reserve(1, 10), &[reserved(1, 10)])]
#[case::is_reserved_beside_another_order(stock(Some(Phase::Reserved)), reserve(2, 6), &[reserved(2, 6)])]
#[case::is_reserved_unpaid(stock(None), reserve_unpaid(1, 4), &[unpaid(1, 4)])]
#[case::is_reserved_unpaid_up_to_the_share(held_unpaid(&[(1, 4)], &[]), reserve_unpaid(2, 1), &[unpaid(2, 1)])]
#[case::is_reserved_unpaid_once(held_unpaid(&[(1, 5)], &[]), reserve_unpaid(1, 5), &[])]
#[case::is_reserved_unpaid_beside_what_others_hold(
    [stock(None), vec![reserved(1, 5)]].concat(), reserve_unpaid(2, 5), &[unpaid(2, 5)],
)]
#[case::is_reserved_for_money_beyond_the_share(held_unpaid(&[(1, 5)], &[]), reserve(2, 5), &[reserved(2, 5)])]
#[case::is_reserved_unpaid_after_one_was_paid(
    held_unpaid(&[(1, 4)], &[committed(1, 4)]), reserve_unpaid(2, 3), &[unpaid(2, 3)],
)]
#[case::is_reserved_unpaid_after_one_was_called_off(
    held_unpaid(&[(1, 5)], &[released(1, 5, false)]), reserve_unpaid(2, 5), &[unpaid(2, 5)],
)]
#[case::is_reserved_unpaid_although_it_is_the_last_unit(
    vec![received(1, 1)], reserve_unpaid(1, 1), &[unpaid(1, 1)],
)]
#[case::is_committed_when_it_was_held_unpaid(held_unpaid(&[(1, 4)], &[]), commit(1), &[committed(1, 4)])]
#[case::is_reserved_once(stock(Some(Phase::Reserved)), reserve(1, 4), &[])]
#[case::is_not_reserved_again_once_committed(stock(Some(Phase::Committed)), reserve(1, 4), &[])]
#[case::is_not_reserved_again_once_shipped(stock(Some(Phase::Shipped)), reserve(1, 4), &[])]
#[case::is_reserved_again_by_another_after_a_release(
    stock(Some(Phase::Released)), reserve(2, 10), &[reserved(2, 10)],
)]
#[case::is_committed(stock(Some(Phase::Reserved)), commit(1), &[committed(1, 4)])]
#[case::is_committed_once(stock(Some(Phase::Committed)), commit(1), &[])]
#[case::is_not_committed_again_once_shipped(stock(Some(Phase::Shipped)), commit(1), &[])]
#[case::is_shipped(stock(Some(Phase::Committed)), ship(1), &[shipped(1, 4)])]
#[case::is_shipped_once(stock(Some(Phase::Shipped)), ship(1), &[])]
#[case::is_released(stock(Some(Phase::Reserved)), release(1), &[released(1, 4, false)])]
#[case::is_released_after_the_commitment(stock(Some(Phase::Committed)), release(1), &[released(1, 4, true)])]
#[case::is_released_once(stock(Some(Phase::Released)), release(1), &[])]
#[case::is_closed_to_an_order_that_held_nothing(stock(None), release(1), &[closed(1)])]
#[case::is_closed_to_an_order_once([stock(None), vec![closed(1)]].concat(), release(1), &[])]
#[case::is_closed_where_none_was(vec![], release(1), &[closed(1)])]
#[case::is_shipped_in_part(parted(&[]), part(1, 1, 0), &[some_shipped(1, 1)])]
#[case::is_shipped_in_another_part(parted(&[some_shipped(1, 1)]), part(1, 3, 0), &[some_shipped(1, 2)])]
#[case::is_shipped_to_the_last_unit(parted(&[some_shipped(1, 3)]), part(1, 4, 0), &[some_shipped(1, 1)])]
#[case::is_shipped_as_a_whole_after_a_part(parted(&[some_shipped(1, 1)]), ship(1), &[some_shipped(1, 3)])]
#[case::is_shipped_as_a_whole_where_the_part_is_all(parted(&[]), part(1, 4, 0), &[shipped(1, 4)])]
#[case::is_given_up_in_part(parted(&[]), part(1, 0, 3), &[some_released(1, 3)])]
#[case::is_given_up_as_a_whole(parted(&[]), part(1, 0, 4), &[some_released(1, 4)])]
#[case::goes_both_ways(parted(&[]), part(1, 1, 3), &[some_shipped(1, 1), some_released(1, 3)])]
#[case::is_shipped_in_part_once(parted(&[some_shipped(1, 2)]), part(1, 1, 0), &[])]
#[case::is_not_parted_again_once_shipped(stock(Some(Phase::Shipped)), part(1, 2, 0), &[])]
#[case::is_not_parted_again_once_settled(parted(&[some_shipped(1, 1), some_released(1, 3)]), part(1, 0, 3), &[])]
#[case::is_not_given_up_again_once_released(parted(&[released(1, 4, true)]), part(1, 0, 3), &[])]
#[case::is_released_but_for_what_was_given_up(
    parted(&[some_released(1, 3)]), release(1), &[released(1, 1, true)],
)]
#[case::is_lost_once_it_is_given_up(parted(&[some_released(1, 3)]), adjust(1, -9), &[adjusted(1, -9)])]
fn stock_that(#[case] history: Vec<Event>, #[case] command: Command, #[case] events: &[Event]) {
    given::<Inventory>(&history).when(command).then(events);
}

#[rstest]
#[case::more_than_it_has(stock(None), reserve(1, 11), Rejection::OutOfStock { available: 10, asked: 11 })]
#[case::more_than_others_leave(
    stock(Some(Phase::Reserved)), reserve(2, 7), Rejection::OutOfStock { available: 6, asked: 7 },
)]
#[case::a_unit_that_was_shipped(
    stock(Some(Phase::Shipped)), reserve(2, 7), Rejection::OutOfStock { available: 6, asked: 7 },
)]
#[case::anything_where_nothing_came_in(vec![], reserve(1, 1), Rejection::OutOfStock { available: 0, asked: 1 })]
#[case::a_reservation_after_its_release(stock(Some(Phase::Released)), reserve(1, 4), Rejection::OrderSettled)]
#[case::a_reservation_after_the_order_was_closed(
    [stock(None), vec![closed(1)]].concat(), reserve(1, 4), Rejection::OrderSettled,
)]
#[case::another_number_of_units(
    stock(Some(Phase::Reserved)), reserve(1, 5), Rejection::ReservationDiffers { held: 4, asked: 5 },
)]
#[case::another_number_of_units_once_committed(
    stock(Some(Phase::Committed)), reserve(1, 3), Rejection::ReservationDiffers { held: 4, asked: 3 },
)]
#[case::to_commit_nothing(stock(None), commit(1), Rejection::NotReserved)]
#[case::to_commit_what_was_released(stock(Some(Phase::Released)), commit(1), Rejection::NotReserved)]
#[case::to_commit_for_a_closed_order([stock(None), vec![closed(1)]].concat(), commit(1), Rejection::NotReserved)]
#[case::to_ship_nothing(stock(None), ship(1), Rejection::NotReserved)]
#[case::to_ship_what_was_released(stock(Some(Phase::Released)), ship(1), Rejection::NotReserved)]
#[case::to_ship_before_the_commitment(stock(Some(Phase::Reserved)), ship(1), Rejection::NotCommitted)]
#[case::to_release_what_left_the_house(stock(Some(Phase::Shipped)), release(1), Rejection::AlreadyShipped)]
#[case::to_hold_more_than_the_share_unpaid(stock(None), reserve_unpaid(1, 6), beyond(5, 0, 6))]
#[case::to_hold_more_than_the_share_with_others(held_unpaid(&[(1, 4)], &[]), reserve_unpaid(2, 2), beyond(5, 4, 2))]
#[case::to_hold_unpaid_a_share_of_what_is_sold(
    held_unpaid(&[(1, 4)], &[committed(1, 4)]), reserve_unpaid(2, 4), beyond(3, 0, 4),
)]
#[case::to_hold_unpaid_what_is_not_there(
    stock(None), reserve_unpaid(1, 11), Rejection::OutOfStock { available: 10, asked: 11 },
)]
#[case::to_hold_a_second_unit_unpaid_of_two(
    [vec![received(1, 2)], vec![unpaid(1, 1)]].concat(), reserve_unpaid(2, 1), beyond(1, 1, 1),
)]
#[case::to_lose_what_is_reserved(
    stock(Some(Phase::Reserved)), adjust(1, -7),
    Rejection::AdjustmentBelowReserved { delta: -7, available: 6, reserved: 4 },
)]
#[case::to_lose_what_is_committed(
    stock(Some(Phase::Committed)), adjust(1, -7),
    Rejection::AdjustmentBelowReserved { delta: -7, available: 6, reserved: 4 },
)]
#[case::to_lose_beyond_counting(
    stock(None), adjust(1, i64::MIN),
    Rejection::AdjustmentBelowReserved { delta: i64::MIN, available: 10, reserved: 0 },
)]
#[case::another_delivery_under_the_same_id(
    stock(None), receive(1, 11), Rejection::ReceiptDiffers { recorded: 10 },
)]
#[case::another_correction_under_the_same_id(
    [stock(None), vec![adjusted(1, 3)]].concat(), adjust(1, 4), Rejection::AdjustmentDiffers { recorded: 3 },
)]
#[case::a_correction_by_nothing(stock(None), adjust(1, 0), Rejection::NothingToAdjust)]
#[case::a_unit_over_the_limit(full(), receive(1_000, 1), Rejection::TooMuchStock { max: MAX_UNITS })]
#[case::to_find_a_unit_over_the_limit(
    stock(None), adjust(1, 999_999_999_991), Rejection::TooMuchStock { max: MAX_UNITS },
)]
#[case::to_find_beyond_counting(stock(None), adjust(1, i64::MAX), Rejection::TooMuchStock { max: MAX_UNITS })]
#[case::to_part_nothing(stock(None), part(1, 1, 0), Rejection::NotReserved)]
#[case::to_part_before_the_commitment(stock(Some(Phase::Reserved)), part(1, 1, 0), Rejection::NotCommitted)]
#[case::to_part_more_than_there_is(
    parted(&[]), part(1, 2, 3), Rejection::ReservationDiffers { held: 4, asked: 5 },
)]
#[case::to_give_up_what_left(stock(Some(Phase::Shipped)), part(1, 0, 1), Rejection::AlreadyShipped)]
#[case::to_ship_in_part_what_was_released(parted(&[released(1, 4, true)]), part(1, 1, 0), Rejection::NotReserved)]
#[case::to_release_what_left_in_part(parted(&[some_shipped(1, 1)]), release(1), Rejection::AlreadyShipped)]
fn stock_refuses(#[case] history: Vec<Event>, #[case] command: Command, #[case] rejection: Rejection) {
    given::<Inventory>(&history).when(command).then_refused(&rejection);
}

#[rstest]
#[case::nothing_reserved(stock(None), (10, 0, 0), None)]
#[case::reserved(stock(Some(Phase::Reserved)), (6, 4, 0), Some((4, Phase::Reserved)))]
#[case::committed(stock(Some(Phase::Committed)), (6, 4, 0), Some((4, Phase::Committed)))]
#[case::shipped(stock(Some(Phase::Shipped)), (6, 0, 4), Some((4, Phase::Shipped)))]
#[case::released(stock(Some(Phase::Released)), (10, 0, 0), Some((4, Phase::Released)))]
#[case::closed([stock(None), vec![closed(1)]].concat(), (10, 0, 0), Some((0, Phase::Released)))]
#[case::lost_and_found([stock(None), vec![adjusted(1, -3), adjusted(2, 1)]].concat(), (8, 0, 0), None)]
#[case::parted(parted(&[some_shipped(1, 1), some_released(1, 2)]), (8, 1, 1), Some((4, Phase::Committed)))]
#[case::parted_to_the_end(parted(&[some_released(1, 3), some_shipped(1, 1)]), (9, 0, 1), Some((4, Phase::Shipped)))]
#[case::given_up(parted(&[some_released(1, 4)]), (10, 0, 0), Some((4, Phase::Released)))]
fn stock_counts(
    #[case] history: Vec<Event>,
    #[case] available_reserved_shipped: (u64, u64, u64),
    #[case] reservation: Option<(u32, Phase)>,
) {
    let stock = Inventory::fold(&history);
    assert_eq!((stock.available(), stock.reserved(), stock.shipped()), available_reserved_shipped);
    let reservation = reservation.map(|(units, phase)| Reservation { units, phase });
    assert_eq!(stock.reservation(order_id(1)), reservation);
    assert_eq!(stock.reservation(order_id(9)), None);
    assert_eq!(stock.received(), 10);
}

#[rstest]
#[case::nobody_pays(held_unpaid(&[(1, 2), (2, 3)], &[]), 5)]
#[case::one_pays(held_unpaid(&[(1, 2), (2, 3)], &[committed(1, 2)]), 3)]
#[case::one_is_called_off(held_unpaid(&[(1, 2), (2, 3)], &[released(2, 3, false)]), 2)]
#[case::one_is_shipped(held_unpaid(&[(1, 2)], &[committed(1, 2), shipped(1, 2)]), 0)]
#[case::somebody_known_holds_some(stock(Some(Phase::Reserved)), 0)]
fn stock_knows_what_is_held_unpaid(#[case] history: Vec<Event>, #[case] expected: u64) {
    assert_eq!(Inventory::fold(&history).held_unpaid(), expected);
}

#[rstest]
#[case::a_half(50, 10, 5)]
#[case::a_half_of_an_odd_number(50, 11, 5)]
#[case::one_unit_at_least(50, 1, 1)]
#[case::one_unit_at_least_of_nothing(0, 0, 1)]
#[case::all(100, 7, 7)]
#[case::no_more_than_all(400, 7, 7)]
#[case::of_more_than_any_warehouse_holds(99, u64::MAX, 18_262_276_632_972_456_098)]
fn a_share(#[case] percent: u32, #[case] units: u64, #[case] expected: u64) {
    assert_eq!(Share::of_percent(percent).of_units(units), expected);
}
