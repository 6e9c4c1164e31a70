//! Every payload that was ever written can be read, and what we write now is written the same for ever.
//! The files in `golden/` are never edited: see the README there.

mod golden_events;
mod samples;

use domain::stored::UnreadableEvent;
use domain::{Event, cart, inventory, order, product};
use golden_events::golden_events;
use rstest::rstest;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The files, by name without `.json`.
fn files() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files = BTreeMap::new();
    for entry in std::fs::read_dir(&folder).expect("the folder of golden files is there") {
        let path = entry.expect("the folder can be listed").path();
        let text = std::fs::read_to_string(&path).expect("a golden file can be read");
        match (path.file_stem().and_then(|stem| stem.to_str()), path.extension()) {
            (Some(name), Some(extension)) if extension == "json" => {
                files.insert(name.to_owned(), text);
            }
            _ => assert!(path.ends_with("README.md"), "{} is not a golden file", path.display()),
        }
    }
    files
}

/// `order.placed.v1-guest` is a variant of `order.placed.v1`; type names have no hyphen.
fn type_name(file: &str) -> &str {
    file.split('-').next().unwrap_or(file)
}

/// The JSON without the white space between its tokens.
fn compact(json: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    json.chars()
        .filter(|&character| {
            let keep = in_string || !character.is_ascii_whitespace();
            if character == '"' && !escaped {
                in_string = !in_string;
            }
            escaped = in_string && character == '\\' && !escaped;
            keep
        })
        .collect()
}

fn type_names() -> BTreeSet<&'static str> {
    let names = [
        product::Event::TYPE_NAMES,
        inventory::Event::TYPE_NAMES,
        cart::Event::TYPE_NAMES,
        order::Event::TYPE_NAMES,
    ];
    names.concat().into_iter().collect()
}

#[test]
fn every_type_name_has_a_golden_file_and_every_golden_file_a_type_name() {
    let files = files();
    assert_eq!(files.keys().map(|file| type_name(file)).collect::<BTreeSet<_>>(), type_names());
    for name in type_names() {
        assert!(files.contains_key(name), "{name}.json is missing");
        let [category, fact, version] = name.split('.').collect::<Vec<_>>()[..] else {
            panic!("{name} is not category.fact.version")
        };
        assert!(["product", "inventory", "cart", "order"].contains(&category), "{name}");
        assert!(fact.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_'), "{name}");
        let number: Option<u32> = version.strip_prefix('v').and_then(|number| number.parse().ok());
        assert!(number.is_some_and(|number| number >= 1), "{name}");
    }
}

#[test]
fn every_golden_file_reads_as_the_event_that_was_written() {
    let mut expected = golden_events();
    for (file, json) in files() {
        let read = Event::read(type_name(&file), json.as_bytes());
        let read =
            read.unwrap_or_else(|error| panic!("{file}: {error} ({:?})", std::error::Error::source(&error)));
        assert_eq!(Some(read), expected.remove(file.as_str()), "{file}");
    }
    assert!(expected.is_empty(), "no golden file for {:?}", expected.keys());
}

#[test]
fn what_we_write_is_what_the_golden_files_say() {
    for (file, json) in files() {
        let event = golden_events().remove(file.as_str()).expect("every golden file has its event");
        let (written_as, payload) = written(&event);
        if written_as == type_name(&file) {
            let payload = String::from_utf8(payload).expect("JSON is UTF-8");
            let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("it is JSON");
            assert_eq!(value(&payload), value(&json), "{file}");
            assert_eq!(payload, compact(&json), "{file}: the same bytes");
        } else {
            assert!(
                type_names().contains(written_as),
                "{file} is written as {written_as}, which nobody reads"
            );
        }
    }
}

fn written(event: &Event) -> (&'static str, Vec<u8>) {
    use domain::stored::StoredEvent;
    match event {
        Event::Product(event) => (event.type_name(), event.payload()),
        Event::Inventory(event) => (event.type_name(), event.payload()),
        Event::Cart(event) => (event.type_name(), event.payload()),
        Event::Order(event) => (event.type_name(), event.payload()),
    }
}

/// The bytes of one event of each kind, spelled out.
#[rstest]
#[case("product.repriced.v1", r#"{"price":{"amount":295,"currency":"GBP"}}"#)]
#[case("product.retired.v1", "{}")]
#[case(
    "inventory.released.v1",
    r#"{"order_id":"018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f02","quantity":3,"was_committed":false}"#
)]
#[case("cart.opened.v1-guest", r#"{"currency":"GBP"}"#)]
#[case(
    "order.cancelled.v1",
    r#"{"reason":{"kind":"out_of_stock","refused":[{"sku":"85123A","available":5}]}}"#
)]
fn the_exact_bytes(#[case] file: &str, #[case] bytes: &str) {
    let (_, payload) = written(&golden_events()[file]);
    assert_eq!(String::from_utf8(payload).as_deref(), Ok(bytes));
}

/// What a program of another age may have left out or put in.
#[rstest]
#[case::a_line_whose_price_was_not_agreed(
    "cart.item_added.v1",
    r#"{"line_id":"018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f03","sku":"A","quantity":1,"unit_price":{"amount":1,"currency":"GBP"}}"#,
    r#"{"line_id":"018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f03","sku":"A","quantity":1,"unit_price":{"amount":1,"currency":"GBP"},"agreed":false}"#
)]
#[case::a_guest_spelled_out(
    "cart.opened.v1",
    r#"{"currency":"GBP","customer_id":null}"#,
    r#"{"currency":"GBP"}"#
)]
#[case::no_answers_spelled_out("order.reservations_answered.v1", r#"{"held":[],"refused":[]}"#, "{}")]
#[case::a_field_of_a_newer_program("product.retired.v1", r#"{"why":"sold out"}"#, "{}")]
#[case::other_white_space(
    "order.paid.v1",
    "{ \"amount\" : {\"currency\":\"GBP\",\n\"amount\":1}}",
    r#"{"amount":{"amount":1,"currency":"GBP"}}"#
)]
fn reads_also(#[case] type_name: &str, #[case] payload: &str, #[case] is_written: &str) {
    let event = Event::read(type_name, payload.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(written(&event).1).as_deref(), Ok(is_written));
}

#[rstest]
#[case::a_newer_version("cart.opened.v2")]
#[case::another_fact("cart.stolen.v1")]
#[case::another_category("parcel.sent.v1")]
#[case::a_fact_of_another_category("product.opened.v1")]
#[case::a_type_of_the_store_itself("$metadata")]
#[case::nothing("")]
fn an_unknown_type_is_unreadable(#[case] name: &str) {
    let error = Event::read(name, b"{}").unwrap_err();
    assert!(matches!(&error, UnreadableEvent::UnknownType(unknown) if unknown == name), "{error}");
    assert!(error.to_string().contains(name));
}

#[rstest]
#[case::nothing("order.paid.v1", "")]
#[case::no_json("order.paid.v1", "amount=1")]
#[case::a_field_missing("order.paid.v1", "{}")]
#[case::something_after_the_end("product.retired.v1", "{}{}")]
#[case::a_negative_amount("order.paid.v1", r#"{"amount":{"amount":-1,"currency":"GBP"}}"#)]
#[case::a_strange_currency("cart.opened.v1", r#"{"currency":"pounds"}"#)]
#[case::no_units(
    "inventory.received.v1",
    r#"{"receipt_id":"018f3c6e-7a10-7c3d-9b42-0c5a1e2d3f05","quantity":0}"#
)]
#[case::no_uuid("cart.item_removed.v1", r#"{"line_id":"first"}"#)]
#[case::an_impossible_sku("order.stock_committed.v1", r#"{"skus":["a/b"]}"#)]
#[case::an_unknown_reason("order.cancelled.v1", r#"{"reason":{"kind":"weather"}}"#)]
fn a_payload_of_another_shape_is_unreadable(#[case] name: &str, #[case] payload: &str) {
    let error = Event::read(name, payload.as_bytes()).unwrap_err();
    assert!(matches!(&error, UnreadableEvent::Payload { type_name, .. } if type_name == name), "{error}");
}
