//! The order fulfilment process: what each state owes, and that no message, lost, late or twice, can leak stock
//! or leave an order stuck.

mod commands;
mod samples;
mod world;

use domain::cart::{self, Cart};
use domain::fulfilment::{StockRequest, order_of, owed};
use domain::order::{Event, Order, OrderLine, Placed};
use domain::{Aggregate, OrderId, Quantity, Sku};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rstest::rstest;
use samples::orders::*;
use samples::{cart_id, country, customer, gbp, line_id, merchant, name, order_id, sku, units};
use std::collections::{BTreeMap, BTreeSet};
use world::{Act, World};

fn reserve(units_: u32) -> StockRequest {
    StockRequest::Reserve(units(units_))
}

use StockRequest::{Commit, Release, Ship};

const ALL: &[&str] = &["BOWL", "MUG"];

#[rstest]
#[case::nothing_before_it_is_placed(vec![], &[])]
#[case::every_reservation_at_first(pending(), &[("BOWL", reserve(1)), ("MUG", reserve(3))])]
#[case::every_reservation_when_it_is_paid_already(prepaid(), &[("BOWL", reserve(1)), ("MUG", reserve(3))])]
#[case::the_other_reservation_after_one(and(pending(), &[answered(&["BOWL"], &[])]), &[("MUG", reserve(3))])]
#[case::the_other_reservation_after_a_refusal(and(pending(), &[answered(&[], &[("BOWL", 0)])]), &[("MUG", reserve(3))])]
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
    let owed: Vec<_> = owed.iter().map(|owed| (owed.sku.as_str(), owed.request)).collect();
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
        cart::Command::CheckOut {
            order_id: order_id(7),
            country: country("GB"),
            expected_total: gbp(20),
            prices: vec![price],
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
        total: gbp(20),
    };
    assert_eq!(order_of(cart_id(3), &cart), placed);
}

/// What can happen in the world at any moment.
#[derive(Debug, Clone)]
enum Step {
    SendOwed(OrderId),
    Deliver {
        which: usize,
        twice: bool,
    },
    Lose(usize),
    Act(OrderId, Act),
    /// The shopper pays all that is due.
    PayAll(OrderId),
    Receive(Sku, Quantity),
}

/// The world at its start, what happens in it, and which orders are paid when it heals.
#[derive(Debug, Clone)]
struct Story {
    stocks: BTreeMap<Sku, Option<Quantity>>,
    orders: Vec<(OrderId, Placed)>,
    steps: Vec<Step>,
    paid_at_last: BTreeSet<OrderId>,
}

fn some_order() -> impl Strategy<Value = OrderId> {
    commands::ORDERS.prop_map(order_id)
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => (0..9_i64).prop_map(Act::Pay),
        1 => Just(Act::Cancel),
        2 => Just(Act::Ship),
        2 => Just(Act::Deliver),
        2 => (0..9_i64).prop_map(Act::Refund),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => some_order().prop_map(Step::SendOwed),
        16 => (any::<usize>(), prop::bool::weighted(0.3)).prop_map(|(which, twice)| Step::Deliver { which, twice }),
        3 => any::<usize>().prop_map(Step::Lose),
        2 => (some_order(), act()).prop_map(|(order_id, act)| Step::Act(order_id, act)),
        2 => some_order().prop_map(Step::PayAll),
        1 => (select(vec!["MUG", "BOWL", "JUG"]), 1..4_u32)
            .prop_map(|(what, quantity)| Step::Receive(sku(what), units(quantity))),
    ]
}

fn story() -> impl Strategy<Value = Story> {
    let stock = || (0..9_i64).prop_map(|units| Quantity::new(units).ok());
    let stocks = (stock(), stock(), stock())
        .prop_map(|(mug, bowl, jug)| [(sku("MUG"), mug), (sku("BOWL"), bowl), (sku("JUG"), jug)].into());
    let orders =
        vec(commands::placed(), 3).prop_map(|placed| commands::ORDERS.map(order_id).zip(placed).collect());
    let paid_at_last = prop::collection::btree_set(some_order(), 0..3);
    (stocks, orders, vec(step(), 0..240), paid_at_last)
        .prop_map(|(stocks, orders, steps, paid_at_last)| Story { stocks, orders, steps, paid_at_last })
}

/// Lives through the story, heals, and gives where the orders stand at the end. Panics where a rule is broken.
fn tell(story: Story) -> Vec<&'static str> {
    let mut world = World::new(&story.stocks, story.orders);
    for step in story.steps {
        match step {
            Step::SendOwed(order_id) => world.send_owed(order_id),
            Step::Deliver { which, twice } => world.deliver(which, twice),
            Step::Lose(which) => world.lose(which),
            Step::Act(order_id, act) => world.act(order_id, act),
            Step::PayAll(order_id) => world.act(order_id, Act::Pay(world.due(order_id))),
            Step::Receive(sku, quantity) => world.receive(&sku, quantity),
        }
    }
    world.heal(|order_id| story.paid_at_last.contains(&order_id));
    world.standings()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(6_000) })]

    #[test]
    fn no_message_leaks_stock_and_no_order_is_stuck(story in story()) {
        tell(story);
    }
}

#[test]
fn the_simulated_orders_come_to_every_end() {
    let mut runner = TestRunner::deterministic();
    let ends: BTreeSet<&str> = (0..300)
        .flat_map(|_| tell(story().new_tree(&mut runner).expect("a story can be drawn").current()))
        .collect();
    assert_eq!(ends, BTreeSet::from(["processing", "shipped", "delivered", "cancelled", "refunded"]));
}
