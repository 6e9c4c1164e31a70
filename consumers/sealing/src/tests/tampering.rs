//! What no shop has written is named at once, wherever it stands.

use super::{DEADLINE, History, Machine, raw};
use audit_seal::verification::Verification;
use audit_seal::{SEAL_TYPE, SEALS_STREAM, VERIFICATIONS_STREAM, VERIFIED_TYPE};
use event_store::{ExpectedRevision, TOMBSTONE_REVISION};

/// Waits until so many events are counted under each of these names, and gives what `/readyz` says then.
async fn counted(machine: &Machine, expected: &[(&str, u64)]) -> String {
    let lines: Vec<_> = expected
        .iter()
        .map(|(fault, events)| format!("emporium_audit_forged_events_total{{fault=\"{fault}\"}} {events}\n"))
        .collect();
    let counting = async {
        loop {
            let metrics = machine.page("/metrics").await;
            if lines.iter().all(|line| metrics.contains(line)) {
                return machine.page("/readyz").await;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, counting).await.expect("they are counted in time")
}

/// A history with a seal over all of it.
async fn sealed() -> (History, Machine) {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(2).await;
    history.seals_of(2).await;
    (history, machine)
}

#[tokio::test]
async fn a_deleted_stream_of_facts_is_named_before_anybody_needs_it() {
    let (history, machine) = sealed().await;
    history.store.tombstone("cart-1", ExpectedRevision::Exact(1)).await.unwrap();
    let ready = counted(&machine, &[("deleted", 1)]).await;
    assert!(
        ready.contains("1 events were not written by a shop, the first was the last event of cart-1"),
        "{ready}"
    );
    assert!(ready.contains("it deletes the stream"), "{ready}");
    machine.stop().await.unwrap();
}

#[tokio::test]
async fn a_stream_that_was_deleted_or_shortened_while_nobody_sealed_is_named_by_the_next_one() {
    let (history, machine) = sealed().await;
    machine.stop().await.unwrap();
    history.store.tombstone("inventory-MUG", ExpectedRevision::NoStream).await.unwrap();
    history.store.truncate_before("cart-1", 1).await.unwrap();
    history.store.truncate_before("order-1", TOMBSTONE_REVISION).await.unwrap();
    let machine = Machine::sealing_every(&history, 2);
    let ready = counted(&machine, &[("deleted", 2), ("hidden", 1)]).await;
    assert!(ready.contains("the last event of inventory-MUG"), "{ready}");
    machine.stop().await.unwrap();
}

#[tokio::test]
async fn what_others_write_into_the_services_own_streams_is_named_and_what_the_service_writes_is_not() {
    let (mut history, machine) = sealed().await;
    let nobodys = serde_json::to_vec(&Verification {
        seal: [0; 32],
        seal_revision: 0,
        size: 2,
        position: 2,
        findings: 0,
        first_findings: vec![],
        verified_at: chrono::Utc::now(),
        key: super::key(1).public().name(),
        signature: [0; 64],
    })
    .unwrap();
    let checkpoint = br#"{"position":1,"part":0,"parts":1}"#;
    for (stream, events) in [
        (VERIFICATIONS_STREAM, vec![raw(VERIFIED_TYPE, &nobodys)]),
        ("lock-order_fulfilment", vec![raw("somebody.wrote.v1", b"{}")]),
        ("snapshot-inventory-MUG", vec![raw("snapshot.part_recorded.v1", b"{}")]),
        (
            "process-order_fulfilment",
            vec![raw("process.checkpoint_recorded.v1", checkpoint), raw("somebody.wrote.v1", b"{}")],
        ),
        ("process-somebodys", vec![raw("somebody.wrote.v1", b"{}")]),
        ("notes", vec![raw("somebody.wrote.v1", b"{}")]),
    ] {
        history.store.append_raw(stream, ExpectedRevision::NoStream, events).await.unwrap();
    }
    counted(&machine, &[("strange", 4)]).await;
    history.append(2).await;
    history.seals_of(4).await;
    let foreign = vec![raw(SEAL_TYPE, b"{}"), raw("somebody.wrote.v1", b"{}")];
    history.store.append_raw(SEALS_STREAM, ExpectedRevision::Exact(1), foreign).await.unwrap();
    let ready = counted(&machine, &[("strange", 6)]).await;
    assert!(ready.contains("6 events were not written by a shop"), "{ready}");
    let first = format!("the first was event 0 of {VERIFICATIONS_STREAM}");
    assert!(ready.contains(&first), "{ready}");
    machine.stop().await.unwrap();
}

#[tokio::test]
async fn an_event_is_counted_once_even_if_its_part_of_the_log_is_read_again() {
    let (mut history, machine) = sealed().await;
    history
        .store
        .append_raw("cart-2", ExpectedRevision::NoStream, vec![raw("cart.opened.v1", b"{}")])
        .await
        .unwrap();
    counted(&machine, &[("unlinked", 1)]).await;
    // The machine's next seal is refused, and it goes on after its last one.
    history.store.append_raw(SEALS_STREAM, ExpectedRevision::Exact(0), vec![raw("t", b"{}")]).await.unwrap();
    history.append(3).await;
    history.seals_of(5).await;
    let ready = counted(&machine, &[("unlinked", 1), ("strange", 1)]).await;
    assert!(ready.contains("2 events were not written by a shop"), "{ready}");
    machine.stop().await.unwrap();
}
