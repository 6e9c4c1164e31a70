//! The bounds of amounts, quantities, currencies and texts.

mod samples;

use domain::money::{InvalidCurrency, InvalidMoney};
use domain::quantity::InvalidQuantity;
use domain::text::InvalidText;
use domain::{
    Country, CountryCode, Currency, CustomerId, MerchantId, Money, OrderId, PaymentMethod, ProductName,
};
use domain::{Quantity, Reason, Reference, Sku};
use proptest::prelude::*;
use rstest::rstest;
use samples::{currency, eur, gbp, units};

const MAX: i64 = Money::MAX_AMOUNT;

#[rstest]
#[case::nothing(0)]
#[case::a_penny(1)]
#[case::the_most(MAX)]
fn money_can_be(#[case] amount: i64) {
    let money = Money::new(amount, currency("GBP")).unwrap();
    assert_eq!((money.amount(), money.currency()), (amount, currency("GBP")));
}

#[rstest]
#[case::a_penny_owed(-1)]
#[case::a_penny_too_many(MAX + 1)]
#[case::the_lowest_number(i64::MIN)]
#[case::the_highest_number(i64::MAX)]
fn money_cannot_be(#[case] amount: i64) {
    assert_eq!(Money::new(amount, currency("GBP")), Err(InvalidMoney::OutOfRange(i128::from(amount))));
}

#[test]
fn money_of_two_currencies_is_never_added() {
    let mismatch = InvalidMoney::CurrencyMismatch(currency("GBP"), currency("EUR"));
    assert_eq!(gbp(1).plus(eur(1)), Err(mismatch));
    assert_eq!(Money::zero(currency("EUR")), eur(0));
}

#[rstest]
#[case(1999, "GBP", "19.99 GBP")]
#[case(1900, "GBP", "19.00 GBP")]
#[case(5, "GBP", "0.05 GBP")]
#[case(0, "EUR", "0.00 EUR")]
#[case(1999, "JPY", "1999 JPY")]
#[case(1999, "KWD", "1.999 KWD")]
#[case(19, "CLF", "0.0019 CLF")]
#[case(-1999, "GBP", "-19.99 GBP")]
fn money_is_written_with_the_decimals_of_its_currency(
    #[case] amount: i64,
    #[case] code: &str,
    #[case] written: &str,
) {
    assert_eq!(currency(code).written(amount), written);
    if let Ok(money) = Money::new(amount, currency(code)) {
        assert_eq!(money.to_string(), written);
    }
}

#[rstest]
#[case::pounds("GBP", true, 2)]
#[case::yen("JPY", true, 0)]
#[case::kronur("ISK", true, 0)]
#[case::dinars("KWD", true, 3)]
#[case::ariary("MGA", true, 2)]
#[case::unidades_de_fomento("CLF", false, 4)]
#[case::indexed_pesos("UYI", false, 0)]
#[case::units_of_the_wage_index("UYW", false, 4)]
#[case::mvdol("BOV", false, 2)]
#[case::wir_euros("CHE", false, 2)]
#[case::wir_francs("CHW", false, 2)]
#[case::units_of_real_value("COU", false, 2)]
#[case::units_of_investment("MXV", false, 2)]
#[case::dollars_of_the_next_day("USN", false, 2)]
#[case::the_guilder_of_today("XCG", true, 2)]
#[case::kuna("HRK", false, 2)]
#[case::leva("BGN", false, 2)]
#[case::gold("XAU", false, 2)]
#[case::for_tests("XTS", false, 2)]
#[case::nobodys("ZZZ", false, 2)]
fn a_currency_can_be_read_whether_it_is_known_or_not(
    #[case] code: &str,
    #[case] is_known: bool,
    #[case] decimals: usize,
) {
    let currency: Currency = serde_json::from_value(code.into()).unwrap();
    assert_eq!((currency.is_known(), currency.decimals()), (is_known, decimals));
}

#[rstest]
#[case::an_empty_text("")]
#[case::two_letters("GB")]
#[case::four_letters("GBPS")]
#[case::small_letters("gbp")]
#[case::a_space("GB ")]
#[case::a_digit("GB1")]
#[case::three_bytes_of_one_letter("€")]
fn a_currency_is_not(#[case] code: &str) {
    assert_eq!(code.parse::<Currency>(), Err(InvalidCurrency(code.to_owned())));
    assert!(serde_json::from_value::<Currency>(code.into()).is_err());
}

#[rstest]
#[case::nothing(0)]
#[case::a_unit_missing(-1)]
#[case::a_unit_too_many(1_000_000_001)]
#[case::more_than_fits_in_32_bits(1 << 32 | 1)]
#[case::the_lowest_number(i64::MIN)]
fn a_quantity_is_not(#[case] units: i64) {
    assert_eq!(Quantity::new(units), Err(InvalidQuantity(units)));
    assert!(serde_json::from_value::<Quantity>(units.into()).is_err());
}

#[test]
fn a_quantity_has_bounds_in_its_sum_too() {
    assert_eq!(units(Quantity::MAX - 1).plus(units(1)), Ok(units(Quantity::MAX)));
    assert_eq!(units(Quantity::MAX).plus(units(1)), Err(InvalidQuantity(i64::from(Quantity::MAX) + 1)));
    assert_eq!(units(7).to_string(), "7");
}

#[rstest]
#[case::negative(r#"{"amount":-1,"currency":"GBP"}"#)]
#[case::too_much(r#"{"amount":1000000000000001,"currency":"GBP"}"#)]
#[case::a_float(r#"{"amount":1.5,"currency":"GBP"}"#)]
#[case::a_text(r#"{"amount":"1","currency":"GBP"}"#)]
#[case::without_a_currency(r#"{"amount":1}"#)]
#[case::with_a_strange_currency(r#"{"amount":1,"currency":"pounds"}"#)]
#[case::with_more_than_it_says(r#"{"amount":1,"currency":"GBP","decimals":2}"#)]
fn money_is_not_read_from(#[case] json: &str) {
    assert!(serde_json::from_str::<Money>(json).is_err());
}

type Check = fn(&str) -> Result<String, InvalidText>;

macro_rules! check {
    ($text:ident) => {
        |text: &str| $text::new(text).map(|text| text.as_str().to_owned())
    };
}

#[rstest]
#[case::sku(check!(Sku), 64)]
#[case::merchant(check!(MerchantId), 64)]
#[case::customer(check!(CustomerId), 64)]
#[case::product_name(check!(ProductName), 200)]
#[case::country(check!(Country), 56)]
#[case::reason(check!(Reason), 500)]
#[case::reference(check!(Reference), 200)]
#[case::payment_method(check!(PaymentMethod), 64)]
fn a_text(#[case] check: Check, #[case] longest: usize) {
    assert_eq!(check("  Mug 1  ").as_deref(), Ok("Mug 1"));
    assert_eq!(check(&"x".repeat(longest)), Ok("x".repeat(longest)));
    let too_long = check(&"x".repeat(longest + 1));
    assert!(
        matches!(too_long, Err(InvalidText::TooLong { length, max, .. }) if (length, max) == (longest + 1, longest))
    );
    for empty in ["", " ", " \t\u{3000}"] {
        assert!(matches!(check(empty), Err(InvalidText::Empty { .. })), "{empty:?}");
    }
    for (text, character) in [("a\nb", '\n'), ("a\0", '\0'), ("a\u{1b}[0m", '\u{1b}')] {
        let refused = check(text);
        assert!(
            matches!(&refused, Err(InvalidText::Forbidden { character: found, .. }) if *found == character),
            "{refused:?}"
        );
    }
}

/// Around a code nothing but spaces may stand: what looks like a space and is none would make two codes look alike.
#[rstest]
#[case::a_no_break_space("Mug\u{a0}")]
#[case::a_tab("\tMug")]
#[case::the_end_of_a_line("Mug\n")]
#[case::a_wide_space("\u{3000}Mug")]
fn what_stands_around_a_text(#[case] text: &str) {
    let space = text.chars().find(|character| !character.is_alphanumeric()).unwrap();
    for check in [check!(Sku) as Check, check!(MerchantId), check!(PaymentMethod)] {
        let refused = check(text);
        assert!(
            matches!(refused, Err(InvalidText::Forbidden { character, .. }) if character == space),
            "{refused:?}"
        );
    }
    assert_eq!(ProductName::new(text).unwrap().as_str(), "Mug");
}

#[rstest]
#[case::in_a_product_name(check!(ProductName), "Kaffeetasse „Groß“ 咖啡 ☕", true)]
#[case::in_a_country(check!(Country), "Côte d’Ivoire", true)]
#[case::in_a_customer_id(check!(CustomerId), "auth0|ada@example.org", true)]
#[case::in_a_reason(check!(Reason), "broken/late", true)]
#[case::in_a_reference(check!(Reference), "pi_3/x#1", true)]
#[case::of_a_code_in_a_sku(check!(Sku), "85123A.b_c-d 2", true)]
#[case::of_a_path_in_a_sku(check!(Sku), "a/b", false)]
#[case::of_an_address_in_a_sku(check!(Sku), "a?b", false)]
#[case::beyond_ascii_in_a_sku(check!(Sku), "Tässe", false)]
#[case::of_a_path_in_a_merchant_id(check!(MerchantId), "a/b", false)]
#[case::of_a_path_in_a_payment_method(check!(PaymentMethod), "a/b", false)]
fn characters(#[case] check: Check, #[case] text: &str, #[case] are_allowed: bool) {
    match check(text) {
        Ok(kept) => assert!(are_allowed && kept == text, "{kept} was allowed"),
        Err(error) => assert!(!are_allowed && matches!(error, InvalidText::Forbidden { .. }), "{error}"),
    }
}

#[rstest]
#[case::a_code("GB", "GB")]
#[case::a_code_in_small_letters("gb", "GB")]
#[case::a_code_with_space_around_it(" De ", "DE")]
#[case::a_name("United Kingdom", "GB")]
#[case::a_name_in_capitals("UNITED KINGDOM", "GB")]
#[case::an_irish_name("EIRE", "IE")]
#[case::initials("USA", "US")]
#[case::other_initials("RSA", "ZA")]
#[case::two_letters_that_are_no_code("UK", "GB")]
#[case::an_old_name("Czech Republic", "CZ")]
#[case::marks_that_differ("Côte d’Ivoire", "CI")]
#[case::what_is_said_to_be_unknown("zz", "ZZ")]
fn a_country_is(#[case] text: &str, #[case] code: &str) {
    assert_eq!(text.parse::<CountryCode>().map(|country| country.to_string()).as_deref(), Ok(code));
    assert_eq!(Country::new(text).map(|country| country.code().as_str()), Ok(code));
}

/// A new command is refused; an event that says so counts as of no known country.
#[rstest]
#[case::two_letters_of_no_country("XX")]
#[case::a_union("European Community")]
#[case::more_than_one("Channel Islands")]
#[case::more_than_one_code("Korea")]
#[case::a_word("Unspecified")]
#[case::a_fable("Atlantis")]
fn no_country_is(#[case] text: &str) {
    let refused = text.parse::<CountryCode>().unwrap_err().to_string();
    assert!(refused.contains(text) && refused.contains("ISO 3166-1") && refused.contains("ZZ"), "{refused}");
    let old = Country::new(text).unwrap();
    assert_eq!((old.code(), old.as_str()), (CountryCode::UNKNOWN, text));
}

#[test]
fn every_country_of_iso_3166_is_known_by_its_code_and_by_no_other_ones_name() {
    let all: Vec<CountryCode> = CountryCode::all().collect();
    assert_eq!(all.len(), 249);
    assert!(all.is_sorted() && all.windows(2).all(|pair| pair[0] != pair[1]));
    for code in all {
        assert_eq!(code.as_str().parse(), Ok(code));
        assert_eq!(Country::from(code).code(), code);
        let json = serde_json::to_string(&code).unwrap();
        assert_eq!(serde_json::from_str::<CountryCode>(&json.to_lowercase()).unwrap(), code);
    }
}

#[test]
fn length_is_counted_in_characters_and_not_in_bytes() {
    assert!(ProductName::new(&"é".repeat(200)).is_ok());
    assert!(ProductName::new(&"é".repeat(201)).is_err());
}

#[test]
fn an_id_reads_what_it_shows() {
    let id = samples::order_id(42);
    assert_eq!(id.to_string(), "00000000-0000-0000-0000-00000000002a");
    assert_eq!(id.to_string().parse::<OrderId>(), Ok(id));
    assert!("forty-two".parse::<OrderId>().is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn sums_and_products_of_money_are_exact_or_refused(
        a in 0..=MAX,
        b in 0..=MAX,
        small in 0..=2 * MAX / i64::from(u32::MAX),
        units in any::<u32>(),
    ) {
        let sum = i128::from(a) + i128::from(b);
        match gbp(a).plus(gbp(b)) {
            Ok(total) => prop_assert_eq!(i128::from(total.amount()), sum),
            Err(error) => {
                prop_assert!(sum > i128::from(MAX));
                prop_assert_eq!(error, InvalidMoney::OutOfRange(sum));
            }
        }
        for price in [a, small] {
            let product = i128::from(price) * i128::from(units);
            match gbp(price).times(units) {
                Ok(total) => prop_assert_eq!(i128::from(total.amount()), product),
                Err(error) => {
                    prop_assert!(product > i128::from(MAX));
                    prop_assert_eq!(error, InvalidMoney::OutOfRange(product));
                }
            }
        }
    }

    #[test]
    fn a_quantity_is_from_one_to_its_maximum(units in prop_oneof![any::<i64>(), -2..2_000_000_000_i64]) {
        let is_one = (1..=i64::from(Quantity::MAX)).contains(&units);
        prop_assert_eq!(Quantity::new(units).map(|quantity| i64::from(quantity.units())).ok(), is_one.then_some(units));
    }

    #[test]
    fn a_text_that_was_taken_is_taken_unchanged_again(text in any::<String>()) {
        if let Ok(taken) = Reason::new(&text) {
            prop_assert!(taken.as_str().chars().all(|character| !character.is_control()));
            prop_assert_eq!(Reason::new(taken.as_str()), Ok(taken));
        }
    }
}
