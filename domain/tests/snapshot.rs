//! Stock that is kept as bytes is the same stock.

mod commands;
mod events;
mod samples;

use domain::Aggregate;
use domain::inventory::{Event, Inventory, Received, ReservationClosed, Reserved, UnreadableSnapshot};
use proptest::collection::vec;
use proptest::prelude::*;
use samples::{order_id, receipt_id, units};

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

fn small() -> Inventory {
    Inventory::fold(&[
        Event::Received(Received { receipt_id: receipt_id(7), quantity: units(5) }),
        Event::Reserved(Reserved { order_id: order_id(9), quantity: units(2), unpaid: true }),
    ])
}

/// A snapshot of this stock in the version that this program writes.
const SMALL: &str = "03\
    0300000000000000\
    0200000000000000\
    0000000000000000\
    0000000000000000\
    0500000000000000\
    0000000000000000\
    0100000000000000\
    00000000000000000000000000000009\
    02000000\
    00\
    0000000000000000\
    0100000000000000\
    00000000000000000000000000000009\
    02000000\
    0100000000000000\
    00000000000000000000000000000007\
    05000000\
    0000000000000000";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Goes through the snapshot at every place of the history.
fn goes_on_as_if_never_interrupted(history: &[Event]) -> Result<(), TestCaseError> {
    let whole = Inventory::fold(history);
    for at in 0..=history.len() {
        let bytes = Inventory::fold(&history[..at]).to_snapshot();
        let kept = Inventory::from_snapshot(&bytes);
        let kept = kept.map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(history[at..].iter().fold(kept, Inventory::evolve), whole.clone());
    }
    Ok(())
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn any_history_goes_on_from_its_snapshot(history in vec(events::inventory(), 0..24)) {
        goes_on_as_if_never_interrupted(&history)?;
    }

    #[test]
    fn a_history_of_the_rules_goes_on_from_its_snapshot(commands in vec(commands::inventory(), 0..40)) {
        let (mut stock, mut history) = (Inventory::default(), Vec::new());
        for command in &commands {
            let Ok(events) = stock.decide(command) else { continue };
            stock = events.iter().fold(stock, Inventory::evolve);
            history.extend(events);
        }
        goes_on_as_if_never_interrupted(&history)?;
    }

    #[test]
    fn no_other_bytes_are_taken(history in vec(events::inventory(), 1..8), cut: prop::sample::Index, more: u8) {
        let bytes = Inventory::fold(&history).to_snapshot();
        prop_assert_eq!(
            Inventory::from_snapshot(&bytes[..cut.index(bytes.len())]),
            Err(UnreadableSnapshot::Damaged)
        );
        let longer: Vec<u8> = bytes.into_iter().chain([more]).collect();
        prop_assert_eq!(Inventory::from_snapshot(&longer), Err(UnreadableSnapshot::Damaged));
    }

    #[test]
    fn nonsense_neither_panics_nor_takes_memory(bytes in vec(any::<u8>(), 0..200), version in 0..4_u8) {
        let bytes: Vec<u8> = std::iter::once(version).chain(bytes).collect();
        let _ = Inventory::from_snapshot(&bytes);
    }
}

/// Other bytes for the same stock are another version, or old snapshots would be misread.
#[test]
fn the_bytes_of_a_version_do_not_change() {
    assert_eq!(hex(&small().to_snapshot()), SMALL);
}

#[test]
fn another_version_is_told_from_damage() {
    let mut bytes = small().to_snapshot();
    bytes[0] = 1;
    assert_eq!(Inventory::from_snapshot(&bytes), Err(UnreadableSnapshot::UnknownVersion(1)));
}

#[test]
fn an_order_that_is_there_twice_is_damage() {
    let closed = |order| Event::ReservationClosed(ReservationClosed { order_id: order_id(order) });
    let mut twice = Inventory::fold(&[closed(1), closed(2)]).to_snapshot();
    let first = 1 + 6 * 8 + 8;
    twice.copy_within(first..first + 16, first + 21);
    assert_eq!(Inventory::from_snapshot(&twice), Err(UnreadableSnapshot::Damaged));
}
