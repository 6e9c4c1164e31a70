//! The rules of a product.

mod samples;
mod scenario;

use domain::Aggregate;
use domain::product::{Command, Defined, Event, Product, Rejection, Repriced, Retired};
use rstest::rstest;
use samples::{currency, eur, gbp, merchant, money, name, sku};
use scenario::given;

fn defined(price: i64) -> Event {
    let (sku, merchant_id, name) = (sku("MUG"), merchant("pottery"), name("Mug"));
    Event::Defined(Defined { sku, merchant_id, name, price: gbp(price) })
}

fn repriced(price: i64) -> Event {
    Event::Repriced(Repriced { price: gbp(price) })
}

fn retired() -> Event {
    Event::Retired(Retired {})
}

fn define_as(merchant_id: &str, called: &str, price: i64) -> Command {
    let (sku, merchant_id, name) = (sku("MUG"), merchant(merchant_id), name(called));
    Command::Define { sku, merchant_id, name, price: gbp(price) }
}

fn define(price: i64) -> Command {
    define_as("pottery", "Mug", price)
}

fn reprice(price: i64) -> Command {
    Command::Reprice { price: gbp(price) }
}

#[rstest]
#[case::is_defined(&[], define(100), &[defined(100)])]
#[case::is_defined_free_of_charge(&[], define(0), &[defined(0)])]
#[case::is_defined_in_the_same_words(&[defined(100)], define(100), &[])]
#[case::is_defined_in_the_same_words_after_a_new_price(&[defined(100), repriced(90)], define(100), &[])]
#[case::gets_another_price(&[defined(100)], reprice(90), &[repriced(90)])]
#[case::gets_the_price_that_it_has(&[defined(100)], reprice(100), &[])]
#[case::gets_the_price_that_it_has_by_now(&[defined(100), repriced(90)], reprice(90), &[])]
#[case::gets_its_first_price_back(&[defined(100), repriced(90)], reprice(100), &[repriced(100)])]
#[case::is_retired(&[defined(100)], Command::Retire, &[retired()])]
#[case::is_retired_again(&[defined(100), retired()], Command::Retire, &[])]
fn a_product(#[case] history: &[Event], #[case] command: Command, #[case] events: &[Event]) {
    given::<Product>(history).when(command).then(events);
}

#[rstest]
#[case::a_price_for_nothing(&[], reprice(90), Rejection::Undefined)]
#[case::retiring_nothing(&[], Command::Retire, Rejection::Undefined)]
#[case::a_currency_that_nobody_knows(
    &[],
    Command::Define {
        sku: sku("MUG"), merchant_id: merchant("pottery"), name: name("Mug"), price: money(5, "ZZZ"),
    },
    Rejection::UnknownCurrency { currency: currency("ZZZ") },
)]
#[case::another_merchant(&[defined(100)], define_as("forge", "Mug", 100), Rejection::AlreadyDefined)]
#[case::another_name(&[defined(100)], define_as("pottery", "Cup", 100), Rejection::AlreadyDefined)]
#[case::another_first_price(&[defined(100)], define(90), Rejection::AlreadyDefined)]
#[case::its_present_price_as_its_first(&[defined(100), repriced(90)], define(90), Rejection::AlreadyDefined)]
#[case::another_currency(
    &[defined(100)],
    Command::Reprice { price: eur(100) },
    Rejection::CurrencyMismatch { product: currency("GBP"), price: currency("EUR") },
)]
#[case::defining_it_after_its_end(&[defined(100), retired()], define(100), Rejection::Retired)]
#[case::a_price_after_its_end(&[defined(100), retired()], reprice(100), Rejection::Retired)]
fn a_product_refuses(#[case] history: &[Event], #[case] command: Command, #[case] rejection: Rejection) {
    given::<Product>(history).when(command).then_refused(&rejection);
}

#[rstest]
#[case::a_price_before_the_definition(&[], repriced(90))]
#[case::an_end_before_the_definition(&[], retired())]
#[case::a_second_definition(&[defined(100)], defined(90))]
#[case::a_definition_after_the_end(&[defined(100), retired()], defined(90))]
#[case::a_price_after_the_end(&[defined(100), retired()], repriced(90))]
#[case::a_second_end(&[defined(100), retired()], retired())]
fn a_product_is_not_moved_by(#[case] history: &[Event], #[case] nonsense: Event) {
    let state = Product::fold(history);
    assert_eq!(state.clone().evolve(&nonsense), state);
}

#[test]
fn a_retired_product_keeps_its_definition() {
    let Product::Retired(definition) = Product::fold(&[defined(100), repriced(90), retired()]) else {
        panic!("it is not retired");
    };
    assert_eq!(definition.sku, sku("MUG"));
    assert_eq!((definition.price, definition.first_price), (gbp(90), gbp(100)));
}
