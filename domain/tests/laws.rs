//! Laws that hold for every aggregate and every history, tried with random commands and events.

mod audits;
mod commands;
mod events;
mod samples;

use audits::{adds_up, counts, is_the_whole_cart, keeps_to_the_share, total_of};
use domain::cart::Cart;
use domain::fulfilment::order_of;
use domain::inventory::Inventory;
use domain::order::Order;
use domain::product::Product;
use domain::stored::StoredEvent;
use domain::{Aggregate, Event, cart, inventory, order, product};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use samples::{cart_id, gbp, order_id};
use std::collections::BTreeSet;
use std::fmt::Debug;

fn cases(cases: u32) -> ProptestConfig {
    // The failing input is printed; keep it as a named case of a rule table.
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

/// Sends the commands one after the other. Twice is once, what is decided and written folds back to the state,
/// and the audit likes every state on the way. Gives the history.
fn obeys<A>(
    commands: &[A::Command],
    audit: impl Fn(&A) -> Result<(), TestCaseError>,
) -> Result<Vec<A::Event>, TestCaseError>
where
    A: Aggregate + Debug + PartialEq,
    A::Event: Debug + PartialEq,
    A::Rejection: PartialEq,
{
    let mut state = A::default();
    let mut history = Vec::new();
    for command in commands {
        let Ok(events) = state.decide(command) else { continue };
        state = events.iter().fold(state, A::evolve);
        prop_assert_eq!(state.decide(command), Ok(vec![]), "a second time after {:?}", events);
        audit(&state)?;
        history.extend(events);
    }
    let mut stored = Vec::with_capacity(history.len());
    for event in &history {
        stored.push(
            A::Event::read(event.type_name(), &event.payload())
                .map_err(|e| TestCaseError::fail(e.to_string()))?,
        );
    }
    prop_assert_eq!(A::fold(&stored), state);
    Ok(history)
}

/// Every event that an accepted command gave, in any order and number, is taken without a panic, and so is any
/// command after it.
fn survives<A: Aggregate>(nonsense: &[A::Event], commands: &[A::Command]) {
    let mut state = A::default();
    for event in nonsense {
        state = state.evolve(event);
        for command in commands {
            let _ = state.decide(command);
        }
    }
}

/// Some of the history, again and again and in a wrong order.
fn jumble<E: Clone>(history: &[E], picks: &[prop::sample::Index]) -> Vec<E> {
    if history.is_empty() {
        return vec![];
    }
    picks.iter().map(|pick| pick.get(history).clone()).collect()
}

fn reads_what_it_writes<E: StoredEvent + Debug + PartialEq>(
    event: &E,
    any: fn(E) -> Event,
) -> Result<(), TestCaseError> {
    let (type_name, payload) = (event.type_name(), event.payload());
    let read = |error: domain::stored::UnreadableEvent| TestCaseError::fail(error.to_string());
    prop_assert_eq!(&E::read(type_name, &payload).map_err(read)?, event);
    let again = E::read(type_name, &payload).map_err(read)?;
    prop_assert_eq!(&again.payload(), &payload);
    prop_assert_eq!(Event::read(type_name, &payload).map_err(read)?, any(again));
    Ok(())
}

proptest! {
    #![proptest_config(cases(1_500))]

    #[test]
    fn a_product_obeys(commands in vec(commands::product(), 0..20)) {
        obeys::<Product>(&commands, |_| Ok(()))?;
    }

    #[test]
    fn stock_obeys_and_counts(commands in vec(commands::inventory(), 0..40)) {
        obeys::<Inventory>(&commands, counts)?;
    }

    #[test]
    fn unpaid_orders_never_hold_more_than_their_share(commands in vec(commands::inventory(), 0..60)) {
        keeps_to_the_share(&commands)?;
    }

    #[test]
    fn a_cart_obeys(commands in vec(commands::cart(), 0..25)) {
        obeys::<Cart>(&commands, |_| Ok(()))?;
    }

    #[test]
    fn an_order_obeys_and_adds_up(commands in commands::order_life()) {
        obeys::<Order>(&commands, adds_up)?;
    }

    #[test]
    fn a_checkout_makes_an_order_of_the_whole_cart(
        commands in vec(commands::cart(), 0..25),
        price in 0..5_i64,
    ) {
        let history = obeys::<Cart>(&commands, |_| Ok(()))?;
        let cart = Cart::fold(&history);
        if let (Cart::Open(open), Some(total)) = (&cart, total_of(&cart, gbp(price))) {
            let events = cart.decide(&commands::check_out(order_id(1), total, gbp(price)));
            let events = events.map_err(|rejection| TestCaseError::fail(rejection.to_string()))?;
            let Cart::CheckedOut(sold) = events.iter().fold(cart.clone(), Cart::evolve) else {
                return Err(TestCaseError::fail("the cart is not checked out"));
            };
            is_the_whole_cart(&order_of(cart_id(1), &sold), open)?;
        }
    }

    #[test]
    fn nonsense_of_our_own_making_does_no_harm(
        products in vec(commands::product(), 0..12),
        stocks in vec(commands::inventory(), 0..12),
        carts in vec(commands::cart(), 0..12),
        orders in commands::order_life(),
        picks in vec(any::<prop::sample::Index>(), 0..25),
    ) {
        survives::<Product>(&jumble(&obeys::<Product>(&products, |_| Ok(()))?, &picks), &products);
        survives::<Inventory>(&jumble(&obeys::<Inventory>(&stocks, |_| Ok(()))?, &picks), &stocks);
        survives::<Cart>(&jumble(&obeys::<Cart>(&carts, |_| Ok(()))?, &picks), &carts);
        survives::<Order>(&jumble(&obeys::<Order>(&orders, |_| Ok(()))?, &picks), &orders);
    }

    #[test]
    fn nonsense_of_any_kind_does_no_harm(
        (products, product) in (vec(events::product(), 0..12), commands::product()),
        (stocks, stock) in (vec(events::inventory(), 0..12), commands::inventory()),
        (carts, cart) in (vec(events::cart(), 0..12), commands::cart()),
        (orders, order) in (vec(events::order(), 0..12), commands::order()),
    ) {
        survives::<Product>(&products, &[product]);
        survives::<Inventory>(&stocks, &[stock]);
        survives::<Cart>(&carts, &[cart]);
        survives::<Order>(&orders, &[order]);
    }

    #[test]
    fn every_event_reads_what_it_writes(
        product in events::product(),
        stock in events::inventory(),
        cart in events::cart(),
        order in events::order(),
    ) {
        reads_what_it_writes(&product, Event::Product)?;
        reads_what_it_writes(&stock, Event::Inventory)?;
        reads_what_it_writes(&cart, Event::Cart)?;
        reads_what_it_writes(&order, Event::Order)?;
    }
}

/// A law that no random history reaches proves nothing: these are all the events that the commands led to.
fn reached<A: Aggregate>(commands: impl Strategy<Value = Vec<A::Command>>) -> BTreeSet<&'static str> {
    let mut runner = TestRunner::deterministic();
    let mut names = BTreeSet::new();
    for _ in 0..1_000 {
        let commands = commands.new_tree(&mut runner).expect("commands can be drawn").current();
        let mut state = A::default();
        for command in &commands {
            let events = state.decide(command).unwrap_or_default();
            names.extend(events.iter().map(StoredEvent::type_name));
            state = events.iter().fold(state, A::evolve);
        }
    }
    names
}

#[test]
fn random_commands_reach_every_event() {
    let all = |names: &[&'static str]| names.iter().copied().collect::<BTreeSet<_>>();
    assert_eq!(reached::<Product>(vec(commands::product(), 0..40)), all(product::Event::TYPE_NAMES));
    assert_eq!(reached::<Inventory>(vec(commands::inventory(), 0..40)), all(inventory::Event::TYPE_NAMES));
    assert_eq!(reached::<Cart>(vec(commands::cart(), 0..40)), all(cart::Event::TYPE_NAMES));
    assert_eq!(reached::<Order>(commands::order_life()), all(order::Event::TYPE_NAMES));
}
