//! The readable line of every event that was ever written, next to the golden files. The lines of orders also stand in
//! the rows of `order_history`: changing one changes what the same events give, so the projection needs a new version.

use domain::{Event, Summary};
use std::collections::BTreeMap;
use std::path::Path;

#[test]
fn every_event_that_was_ever_written_has_its_line() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut said = BTreeMap::new();
    for entry in std::fs::read_dir(folder.join("golden")).expect("the folder of golden files is there") {
        let path = entry.expect("the folder can be listed").path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".json")) else {
            continue;
        };
        let payload = std::fs::read(&path).expect("a golden file can be read");
        let type_name = name.split('-').next().unwrap_or(name);
        let event = Event::read(type_name, &payload).expect("a golden event can be read");
        said.insert(name.to_owned(), event.summary());
    }
    let lines: String = said.iter().map(|(name, line)| format!("{name}: {line}\n")).collect();
    let expected = std::fs::read_to_string(folder.join("summaries.txt")).unwrap_or_default();
    assert_eq!(lines, expected, "as it is now:\n{lines}");
}

#[test]
fn no_line_tells_the_means_of_payment() {
    let payload = br#"{"payment_id":"00000000-0000-0000-0000-000000000001","amount":{"amount":1,"currency":"GBP"},"token":"pm_secret"}"#;
    let event = Event::read("order.payment_requested.v1", payload).expect("a payment can be read");
    assert_eq!(event.summary(), "Payment of 0.01 GBP requested");
}
