//! The rules of a cart.

mod carts;
mod samples;
mod scenario;

use carts::{
    abandoned, added, agreed, all_prices, already_sold, changed, check_out, check_out_in_time, checked_out,
    checked_out_with_shipping, filled, line, many, open, opened, price, prices, put, remove, removed,
    ship_for, shipping, sold, to_elsewhere, with,
};
use domain::Aggregate;
use domain::cart::{
    Cart, Command, Event, LinePrice, MAX_CHANGES, MAX_LINES, MAX_UNITS_OF_A_LINE, NewLine, Opened, Rejection,
};
use domain::money::InvalidMoney;
use domain::{LineId, Money};
use rstest::rstest;
use samples::{country, currency, customer, eur, gbp, line_id, order_id, sku, units};
use scenario::given;

#[rstest]
#[case::is_opened_by_a_guest(vec![], open("GBP", None), &[opened()])]
#[case::is_opened_by_a_customer(
    vec![], open("EUR", Some("ada")),
    &[Event::Opened(Opened { currency: currency("EUR"), customer_id: Some(customer("ada")) })],
)]
#[case::is_opened_once(vec![opened()], open("GBP", None), &[])]
#[case::takes_lines(
    vec![opened()], put(&[line(1, "MUG", 2, 10), agreed(line(2, "MUG", 1, 9))]),
    &[added(&line(1, "MUG", 2, 10)), added(&agreed(line(2, "MUG", 1, 9)))],
)]
#[case::takes_a_line_once(filled(), put(&[line(1, "MUG", 2, 10)]), &[])]
#[case::keeps_the_price_that_was_seen(filled(), put(&[line(1, "MUG", 2, 12)]), &[])]
#[case::takes_another_quantity(filled(), put(&[line(1, "MUG", 5, 10)]), &[changed(1, 5)])]
#[case::takes_another_quantity_at_a_new_price(filled(), put(&[line(1, "MUG", 5, 12)]), &[changed(1, 5)])]
#[case::takes_old_and_new_lines_together(
    filled(), put(&[line(2, "BOWL", 1, 25), line(3, "JUG", 1, 40), line(1, "MUG", 1, 10)]),
    &[added(&line(3, "JUG", 1, 40)), changed(1, 1)],
)]
#[case::takes_no_lines(vec![opened()], put(&[]), &[])]
#[case::takes_the_largest_line(
    vec![opened()], put(&[line(1, "PIN", MAX_UNITS_OF_A_LINE, 1)]),
    &[added(&line(1, "PIN", MAX_UNITS_OF_A_LINE, 1))],
)]
#[case::takes_the_last_line(with(&many(1_999, 1)), put(&[line(2_000, "X", 1, 1)]), &[added(&line(2_000, "X", 1, 1))])]
#[case::changes_a_line_when_full(with(&many(2_000, 1)), put(&[line(1, "SKU-1", 2, 1)]), &[changed(1, 2)])]
#[case::gives_lines_back(filled(), remove(&[2, 1]), &[removed(2), removed(1)])]
#[case::gives_a_line_back_once(filled(), remove(&[1, 1]), &[removed(1)])]
#[case::has_lost_what_it_never_had(filled(), remove(&[9]), &[])]
#[case::takes_a_removed_line_anew(
    [filled(), vec![removed(1)]].concat(), put(&[line(1, "CUP", 1, 5)]), &[added(&line(1, "CUP", 1, 5))],
)]
#[case::is_checked_out(filled(), check_out(gbp(45), &prices(10, 25)), &[checked_out(45, &prices(10, 25))])]
#[case::is_checked_out_at_the_new_prices(
    filled(), check_out(gbp(47), &prices(11, 25)), &[checked_out(47, &prices(11, 25))],
)]
#[case::is_checked_out_when_prices_moved_and_the_total_did_not(
    filled(), check_out(gbp(45), &prices(9, 27)), &[checked_out(45, &prices(9, 27))],
)]
#[case::is_checked_out_in_the_order_of_its_lines(
    filled(), check_out(gbp(45), &[price(9, gbp(1)), price(2, gbp(25)), price(1, gbp(10))]),
    &[checked_out(45, &prices(10, 25))],
)]
#[case::keeps_an_agreed_price(
    with(&[agreed(line(1, "MUG", 2, 8))]), check_out(gbp(16), &[price(1, gbp(10))]),
    &[checked_out(16, &[price(1, gbp(8))])],
)]
#[case::is_checked_out_free_of_charge(
    with(&[line(1, "MUG", 2, 0)]), check_out(gbp(0), &[price(1, gbp(0))]),
    &[checked_out(0, &[price(1, gbp(0))])],
)]
#[case::is_checked_out_at_the_limit_of_units(
    with(&many(1_000, 1_000_000)), check_out(gbp(1_000_000_000), &all_prices(1_000)),
    &[checked_out(1_000_000_000, &all_prices(1_000))],
)]
#[case::is_checked_out_once(sold(), check_out(gbp(45), &prices(10, 25)), &[])]
#[case::is_checked_out_once_whatever_prices_are_now(sold(), check_out(gbp(45), &[]), &[])]
#[case::knows_what_sending_costs(filled(), ship_for(gbp(4)), &[shipping(4)])]
#[case::knows_what_sending_costs_before_it_has_lines(vec![opened()], ship_for(gbp(4)), &[shipping(4)])]
#[case::knows_that_sending_is_free(filled(), ship_for(gbp(0)), &[shipping(0)])]
#[case::learns_another_charge([filled(), vec![shipping(4)]].concat(), ship_for(gbp(5)), &[shipping(5)])]
#[case::learns_a_charge_once([filled(), vec![shipping(4)]].concat(), ship_for(gbp(4)), &[])]
#[case::is_checked_out_with_its_shipping_and_its_deadline(
    [filled(), vec![shipping(4)]].concat(), check_out_in_time(49), &[checked_out_with_shipping()],
)]
#[case::is_abandoned(filled(), Command::Abandon, &[abandoned()])]
#[case::is_abandoned_once(vec![opened(), abandoned()], Command::Abandon, &[])]
fn a_cart(#[case] history: Vec<Event>, #[case] command: Command, #[case] events: &[Event]) {
    given::<Cart>(&history).when(command).then(events);
}

fn taken(line: u128, what: &str) -> Rejection {
    Rejection::LineTaken { line_id: line_id(line), sku: sku(what) }
}

/// So many mugs at their price now, and the bowl, with the charge for sending.
fn unseen(expected: Money, total: i64, (mugs, mug): (u32, i64), shipping: Option<Money>) -> Rejection {
    let of_line = |number: u128, what: &str, quantity: u32, old: i64, new: i64| LinePrice {
        line_id: line_id(number),
        sku: sku(what),
        quantity: units(quantity),
        old: gbp(old),
        new: gbp(new),
    };
    let lines = vec![of_line(1, "MUG", mugs, 10, mug), of_line(2, "BOWL", 1, 25, 25)];
    Rejection::PriceChanged { expected, total: gbp(total), shipping, lines }
}

/// A mug whose quantity goes to and fro so often that the cart was changed so many times.
fn changed_so_often(changes: u32) -> Vec<Event> {
    let again = (1..changes).map(|change| changed(1, 1 + change % 2));
    with(&[line(1, "MUG", 1, 10)]).into_iter().chain(again).collect()
}

fn too_often() -> Rejection {
    Rejection::TooManyChanges { max: MAX_CHANGES }
}

#[rstest]
#[case::the_last_change(changed_so_often(MAX_CHANGES - 1), put(&[line(2, "BOWL", 1, 25)]), &[added(&line(2, "BOWL", 1, 25))])]
#[case::no_change(changed_so_often(MAX_CHANGES), put(&[line(1, "MUG", 2, 10)]), &[])]
#[case::a_line_goes_out(changed_so_often(MAX_CHANGES), remove(&[1]), &[removed(1)])]
#[case::it_is_given_up(changed_so_often(MAX_CHANGES), Command::Abandon, &[abandoned()])]
#[case::a_longer_one_of_old_is_checked_out(
    changed_so_often(MAX_CHANGES + 500), check_out(gbp(20), &[price(1, gbp(10))]),
    &[checked_out(20, &[price(1, gbp(10))])],
)]
fn a_cart_that_was_changed_often_still_takes(
    #[case] history: Vec<Event>,
    #[case] command: Command,
    #[case] events: &[Event],
) {
    given::<Cart>(&history).when(command).then(events);
}

#[rstest]
#[case::another_line(changed_so_often(MAX_CHANGES), put(&[line(2, "BOWL", 1, 25)]))]
#[case::another_quantity(changed_so_often(MAX_CHANGES), put(&[line(1, "MUG", 7, 10)]))]
#[case::more_than_are_left(
    changed_so_often(MAX_CHANGES - 1), put(&[line(2, "BOWL", 1, 25), line(3, "JUG", 1, 25)]),
)]
#[case::a_charge(changed_so_often(MAX_CHANGES), ship_for(gbp(4)))]
#[case::a_line_after_one_went_out(
    [changed_so_often(MAX_CHANGES), vec![removed(1)]].concat(), put(&[line(2, "BOWL", 1, 25)]),
)]
#[case::a_longer_one_of_old(changed_so_often(MAX_CHANGES + 500), put(&[line(2, "BOWL", 1, 25)]))]
fn a_cart_that_was_changed_too_often_refuses(#[case] history: Vec<Event>, #[case] command: Command) {
    given::<Cart>(&history).when(command).then_refused(&too_often());
}

#[rstest]
#[case::lines_before_it_is_open(vec![], put(&[]), Rejection::NotFound)]
#[case::removal_before_it_is_open(vec![], remove(&[]), Rejection::NotFound)]
#[case::checkout_before_it_is_open(vec![], check_out(gbp(0), &[]), Rejection::NotFound)]
#[case::abandonment_before_it_is_open(vec![], Command::Abandon, Rejection::NotFound)]
#[case::a_currency_that_nobody_knows(
    vec![], open("ZZZ", None), Rejection::UnknownCurrency { currency: currency("ZZZ") },
)]
#[case::a_currency_that_is_no_more(
    vec![], open("HRK", None), Rejection::UnknownCurrency { currency: currency("HRK") },
)]
#[case::a_unit_of_account(
    vec![], open("CLF", None), Rejection::UnknownCurrency { currency: currency("CLF") },
)]
#[case::a_second_currency(vec![opened()], open("EUR", None), Rejection::AlreadyOpen)]
#[case::a_second_customer(vec![opened()], open("GBP", Some("ada")), Rejection::AlreadyOpen)]
#[case::a_line_twice(
    vec![opened()], put(&[line(1, "MUG", 1, 10), line(1, "MUG", 1, 10)]),
    Rejection::LineTwice { line_id: line_id(1) },
)]
#[case::a_line_in_another_currency(
    vec![opened()], put(&[NewLine { unit_price: eur(10), ..line(1, "MUG", 1, 10) }]),
    Rejection::CurrencyMismatch { cart: currency("GBP"), line: currency("EUR") },
)]
#[case::a_line_too_large(
    vec![opened()], put(&[line(1, "MUG", 1, 1), line(2, "PIN", MAX_UNITS_OF_A_LINE + 1, 1)]),
    Rejection::QuantityTooLarge { line_id: line_id(2), max: MAX_UNITS_OF_A_LINE },
)]
#[case::another_sku_on_a_line(filled(), put(&[line(1, "CUP", 2, 10)]), taken(1, "MUG"))]
#[case::agreeing_a_price_afterwards(filled(), put(&[agreed(line(1, "MUG", 2, 10))]), taken(1, "MUG"))]
#[case::losing_an_agreed_price(with(&[agreed(line(1, "MUG", 2, 8))]), put(&[line(1, "MUG", 2, 8)]), taken(1, "MUG"))]
#[case::another_agreed_price(
    with(&[agreed(line(1, "MUG", 2, 8))]), put(&[agreed(line(1, "MUG", 2, 7))]), taken(1, "MUG"),
)]
#[case::a_line_too_many(
    with(&many(2_000, 1)), put(&[line(2_001, "X", 1, 1)]), Rejection::TooManyLines { max: MAX_LINES },
)]
#[case::too_many_lines_at_once(vec![opened()], put(&many(2_001, 1)), Rejection::TooManyLines { max: MAX_LINES })]
#[case::an_empty_checkout(vec![opened()], check_out(gbp(0), &[]), Rejection::Empty)]
#[case::a_checkout_emptied_again(
    [with(&[line(1, "MUG", 1, 1)]), vec![removed(1)]].concat(), check_out(gbp(0), &[]), Rejection::Empty,
)]
#[case::a_checkout_without_a_price(filled(), check_out(gbp(20), &[price(1, gbp(10))]), Rejection::Changed)]
#[case::a_higher_price_unseen(filled(), check_out(gbp(45), &prices(11, 25)), unseen(gbp(45), 47, (2, 11), None))]
#[case::a_lower_price_unseen(filled(), check_out(gbp(45), &prices(9, 25)), unseen(gbp(45), 43, (2, 9), None))]
#[case::a_wrong_total(
    filled(), check_out(gbp(44), &prices(10, 25)),
    unseen(gbp(44), 45, (2, 10), None),
)]
#[case::a_total_in_another_currency(
    filled(), check_out(eur(45), &prices(10, 25)),
    unseen(eur(45), 45, (2, 10), None),
)]
#[case::a_total_without_the_changed_quantity(
    [filled(), vec![changed(1, 3)]].concat(), check_out(gbp(45), &prices(10, 25)),
    unseen(gbp(45), 55, (3, 10), None),
)]
#[case::an_impossible_line(
    with(&[line(1, "MUG", 2, Money::MAX_AMOUNT)]), check_out(gbp(0), &[price(1, gbp(Money::MAX_AMOUNT))]),
    Rejection::Total(InvalidMoney::OutOfRange(2 * i128::from(Money::MAX_AMOUNT))),
)]
#[case::an_impossible_sum(
    with(&[line(1, "MUG", 1, Money::MAX_AMOUNT), line(2, "PIN", 1, 1)]),
    check_out(gbp(0), &prices(Money::MAX_AMOUNT, 1)),
    Rejection::Total(InvalidMoney::OutOfRange(i128::from(Money::MAX_AMOUNT) + 1)),
)]
#[case::a_product_whose_currency_is_another(
    with(&[line(1, "MUG", 1, 10)]), check_out(gbp(10), &[price(1, eur(10))]),
    Rejection::Total(InvalidMoney::CurrencyMismatch(currency("GBP"), currency("EUR"))),
)]
#[case::more_of_a_sku_than_can_be_reserved(
    with(&many(1_001, 1_000_000)), check_out(gbp(1_001_000_000), &all_prices(1_001)),
    Rejection::TooManyUnits { sku: sku("PIN") },
)]
#[case::a_total_without_the_shipping(
    [filled(), vec![shipping(4)]].concat(), check_out_in_time(45),
    unseen(gbp(45), 49, (2, 10), Some(gbp(4))),
)]
#[case::a_charge_before_it_is_open(vec![], ship_for(gbp(4)), Rejection::NotFound)]
#[case::a_charge_in_another_currency(
    filled(), ship_for(eur(4)), Rejection::CurrencyMismatch { cart: currency("GBP"), line: currency("EUR") },
)]
#[case::checkout_for_another_total_after_checkout(sold(), check_out(gbp(44), &[]), already_sold())]
#[case::checkout_to_elsewhere_after_checkout(sold(), to_elsewhere(), already_sold())]
#[case::a_charge_after_checkout(sold(), ship_for(gbp(4)), already_sold())]
#[case::a_charge_after_abandonment(vec![opened(), abandoned()], ship_for(gbp(4)), Rejection::Abandoned)]
#[case::a_second_order(
    sold(),
    Command::CheckOut {
        order_id: order_id(8), country: country("GB"), expected_total: gbp(45), prices: vec![], hold_seconds: None, anonymous: false,
    },
    already_sold(),
)]
#[case::opening_after_checkout(sold(), open("GBP", None), already_sold())]
#[case::lines_after_checkout(sold(), put(&[]), already_sold())]
#[case::removal_after_checkout(sold(), remove(&[1]), already_sold())]
#[case::abandonment_after_checkout(sold(), Command::Abandon, already_sold())]
#[case::opening_after_abandonment(vec![opened(), abandoned()], open("GBP", None), Rejection::Abandoned)]
#[case::lines_after_abandonment(vec![opened(), abandoned()], put(&[]), Rejection::Abandoned)]
#[case::removal_after_abandonment(vec![opened(), abandoned()], remove(&[]), Rejection::Abandoned)]
#[case::checkout_after_abandonment(vec![opened(), abandoned()], check_out(gbp(0), &[]), Rejection::Abandoned)]
fn a_cart_refuses(#[case] history: Vec<Event>, #[case] command: Command, #[case] rejection: Rejection) {
    given::<Cart>(&history).when(command).then_refused(&rejection);
}

#[rstest]
#[case::a_line_before_it_is_open(vec![], added(&line(1, "MUG", 1, 1)))]
#[case::a_second_opening(filled(), opened())]
#[case::another_quantity_of_no_line(filled(), changed(9, 3))]
#[case::removal_of_no_line(filled(), removed(9))]
#[case::a_line_after_checkout(sold(), added(&line(3, "JUG", 1, 1)))]
#[case::a_quantity_after_checkout(sold(), changed(1, 9))]
#[case::removal_after_checkout(sold(), removed(1))]
#[case::abandonment_after_checkout(sold(), abandoned())]
#[case::checkout_after_abandonment(vec![opened(), abandoned()], checked_out(45, &[]))]
fn a_cart_is_not_moved_by(#[case] history: Vec<Event>, #[case] nonsense: Event) {
    let state = Cart::fold(&history);
    assert_eq!(state.clone().evolve(&nonsense), state);
}

#[test]
fn a_checked_out_cart_keeps_its_lines_and_their_locked_prices() {
    let history = [filled(), vec![changed(1, 3), checked_out(58, &prices(11, 25))]].concat();
    let Cart::CheckedOut(cart) = Cart::fold(&history) else { panic!("it is not checked out") };
    let lines: Vec<(LineId, u32, Money)> = cart
        .lines
        .iter()
        .map(|(line, price)| (line.line_id, line.quantity.units(), price.unit_price))
        .collect();
    assert_eq!(lines, [(line_id(1), 3, gbp(11)), (line_id(2), 1, gbp(25))]);
    assert_eq!((cart.order_id, cart.country, cart.total), (order_id(7), country("GB"), gbp(58)));
    assert_eq!(cart.customer_id, None);
}
