//! A log that somebody has changed, and what others do to the seals.

use super::{DEADLINE, History, Machine, key, pace, raw, sizes};
use crate::standing::CannotSeal;
use crate::{SealingConfig, SealingRunner};
use audit_seal::seal::Seal;
use audit_seal::verify::Finding;
use audit_seal::{SEAL_TYPE, SEALS_STREAM};
use bytes::Bytes;
use event_store::{EventStore, ExpectedRevision, RawEvent};
use uuid::Uuid;

#[tokio::test]
async fn a_log_that_was_changed_below_the_last_seal_is_not_sealed_on() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(4).await;
    let seals = history.seals_of(4).await;
    machine.stop().await.unwrap();

    let mut forged = History::empty().await;
    forged.append(4).await;
    for (revision, seal) in (0..).zip(&seals) {
        let event = RawEvent {
            id: Uuid::new_v4(),
            event_type: SEAL_TYPE.to_owned(),
            is_json: true,
            data: serde_json::to_vec(seal).unwrap().into(),
            metadata: Bytes::new(),
        };
        let expected =
            u64::checked_sub(revision, 1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        forged.store.append_raw(SEALS_STREAM, expected, vec![event]).await.unwrap();
    }
    let refused = Machine::sealing_every(&forged, 2).ends().await;
    assert!(matches!(refused, CannotSeal::NotAsSealed), "{refused}");
}

#[tokio::test]
async fn what_others_wrote_among_the_seals_is_passed_over() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(4).await;
    let last = history.seals_of(4).await.pop().unwrap();
    machine.stop().await.unwrap();
    let forged = serde_json::to_vec(&Seal { position: last.position + 1, ..last }).unwrap();
    let foreign = vec![raw("somebody.wrote.v1", b"{}"), raw(SEAL_TYPE, b"{}"), raw(SEAL_TYPE, &forged)];
    history.store.append_raw(SEALS_STREAM, ExpectedRevision::Exact(1), foreign).await.unwrap();

    let machine = Machine::sealing_every(&history, 2);
    history.append(2).await;
    assert_eq!(sizes(&history.seals_of(6).await), [2, 4, 6]);
    machine.stop().await.unwrap();
    let findings = history.verified(&[&key(1)]).await.findings;
    assert!(
        matches!(&findings[..], [Finding::FalseSeal { .. }, Finding::FalseSeal { .. }]),
        "what passes for a seal is named, and the seals are one chain: {findings:?}"
    );
}

#[tokio::test]
async fn a_stranger_who_holds_the_lock_is_reported() {
    let mut history = History::empty().await;
    let stranger = EventStore::connect(&history.server.connection_string()).unwrap();
    let lock = stranger.lock("audit_sealing", |error| panic!("{error}")).await;
    let config = SealingConfig { key: key(1), retired_keys: vec![], pace: pace(2) };
    let machine = Machine::start_as(&history, config, SealingRunner::without_patience);
    history.append(1).await;
    let reported = async {
        while !machine.page("/readyz").await.contains("does not work") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, reported).await.expect("it is reported in time");
    assert!(machine.page("/readyz").await.contains(r#""ready":true"#));
    // Until it is this machine's turn.
    drop((lock, stranger));
    history.append(1).await;
    assert_eq!(sizes(&history.seals_of(2).await), [2]);
    let page = machine.page("/readyz").await;
    assert!(!page.contains("does not work"), "{page}");
    machine.stop().await.unwrap();
}

#[tokio::test]
async fn a_deleted_stream_of_seals_has_a_successor_and_the_chain_goes_on() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(4).await;
    history.seals_of(4).await;
    history.store.tombstone(SEALS_STREAM, ExpectedRevision::Exact(1)).await.unwrap();
    // The machine notices at its next seal; another one at its start.
    history.append(2).await;
    history.seals_of(6).await;
    machine.kill().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(2).await;
    assert_eq!(sizes(&history.seals_of(8).await), [2, 4, 6, 8]);
    machine.stop().await.unwrap();
    let outcome = history.verified(&[&key(1)]).await;
    assert_eq!(outcome.sealed, 8);
    assert!(
        matches!(&outcome.findings[..], [Finding::Foreign { event }] if event.stream == SEALS_STREAM),
        "the deletion is named, and nothing else is wrong: {:?}",
        outcome.findings
    );
}
