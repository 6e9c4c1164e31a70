//! When seals are made, by whom, and how they go on.

use super::{History, Machine, key, pace, raw, sizes};
use crate::SealingConfig;
use crate::config::Pace;
use crate::leaves::Leaves;
use crate::standing::{CannotSeal, is_at};
use audit_seal::seal::Seal;
use audit_seal::{SEAL_TYPE, SEALS_STREAM};
use bytes::Bytes;
use event_store::{ExpectedRevision, RawEvent};
use futures::TryStreamExt;
use std::time::Duration;
use uuid::Uuid;

#[tokio::test]
async fn so_many_events_make_a_seal_and_an_orderly_end_seals_the_rest() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 5);
    history.append(12).await;
    assert_eq!(sizes(&history.seals_of(10).await), [5, 10]);
    machine.stop().await.unwrap();
    assert_eq!(sizes(&history.seals_of(12).await), [5, 10, 12]);
    let outcome = history.verified(&[&key(1)]).await;
    assert_eq!((outcome.findings, outcome.sealed, outcome.unsealed), (vec![], 12, 0));
}

#[tokio::test]
async fn events_do_not_wait_longer_than_a_while() {
    let mut history = History::empty().await;
    let pace = Pace { every: Duration::from_millis(20), events: 1_000_000 };
    let machine = Machine::start(&history, SealingConfig { key: key(1), retired_keys: vec![], pace });
    for events in 1..=3 {
        history.append(1).await;
        assert_eq!(sizes(&history.seals_of(events).await), Vec::from_iter(1..=events));
    }
    machine.stop().await.unwrap();
}

#[tokio::test]
async fn a_killed_machine_is_gone_on_from_by_the_next_one() {
    let mut history = History::empty().await;
    for round in 1..=5 {
        let machine = Machine::sealing_every(&history, 4);
        // Some events are seen by a machine that dies before it has sealed them.
        history.append(6).await;
        history.seals_of(round * 6 - round * 6 % 4).await;
        machine.kill().await;
    }
    let machine = Machine::sealing_every(&history, 1);
    history.seals_of(30).await;
    machine.stop().await.unwrap();
    let outcome = history.verified(&[&key(1)]).await;
    assert_eq!((outcome.findings, outcome.sealed), (vec![], 30));
}

#[tokio::test]
async fn one_of_two_machines_seals_and_the_other_takes_over() {
    let mut history = History::empty().await;
    let first = Machine::sealing_every(&history, 3);
    history.append(3).await;
    history.seals_of(3).await;
    let second = Machine::sealing_every(&history, 3);
    history.append(6).await;
    history.seals_of(9).await;
    first.kill().await;
    history.append(3).await;
    assert_eq!(sizes(&history.seals_of(12).await), [3, 6, 9, 12]);
    second.stop().await.unwrap();
    assert_eq!(history.verified(&[&key(1)]).await.findings, []);
}

/// The lock may be held twice for a moment, or be got round: the seals stay one after the other.
#[tokio::test]
async fn two_machines_that_both_think_it_is_their_turn_never_fork_the_seals() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(2).await;
    history.seals_of(2).await;
    // Somebody with the key seals as well.
    history.append(1).await;
    let seals = history.seals_of(2).await;
    let mut frontier = seals[0].tree().unwrap();
    let leaf = audit_seal::merkle::leaf(&history.link);
    frontier.push(leaf);
    let position = history.store.head().await.unwrap().unwrap().value();
    let second = Seal::sign(&key(1), &frontier, Some(&seals[0]), &[leaf], (position, chrono::Utc::now()));
    let event = RawEvent {
        id: Uuid::new_v4(),
        event_type: SEAL_TYPE.to_owned(),
        is_json: true,
        data: serde_json::to_vec(&second).unwrap().into(),
        metadata: Bytes::from_static(b"{}"),
    };
    history.store.append_raw(SEALS_STREAM, ExpectedRevision::Exact(0), vec![event]).await.unwrap();
    // The machine still thinks that the third event is to be sealed, is refused, and looks again.
    history.append(3).await;
    assert_eq!(sizes(&history.seals_of(5).await), [2, 3, 5]);
    machine.stop().await.unwrap();
    let outcome = history.verified(&[&key(1)]).await;
    assert_eq!((outcome.findings, outcome.sealed), (vec![], 6));
}

#[tokio::test]
async fn a_history_from_before_there_were_chains_is_sealed_from_its_first_event() {
    let mut history = History::empty().await;
    history.is_linked = false;
    history.append(7).await;
    let machine = Machine::sealing_every(&history, 5);
    history.seals_of(5).await;
    machine.kill().await;
    // The next machine does not remember the links before the last seal.
    history.is_linked = true;
    history.append(5).await;
    let machine = Machine::sealing_every(&history, 1);
    history.seals_of(12).await;
    machine.stop().await.unwrap();
    let outcome = history.verified(&[&key(1)]).await;
    assert_eq!((outcome.findings, outcome.sealed), (vec![], 12));
}

#[tokio::test]
async fn a_history_in_another_store_is_sealed_on_where_it_was_left() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 4);
    history.append(8).await;
    history.seals_of(8).await;
    machine.stop().await.unwrap();

    // In the copy everything stands elsewhere, for more stands before it than the store's own events here.
    let mut copy = History::empty().await;
    let strangers = (0..20).map(|_| raw("note.v1", b"{}")).collect();
    copy.store.append_raw("notes", ExpectedRevision::NoStream, strangers).await.unwrap();
    let records: Vec<_> = history.store.read_log(None).try_collect().await.unwrap();
    for record in records.into_iter().filter(|record| !record.stream.starts_with('$')) {
        let expected =
            record.revision.checked_sub(1).map_or(ExpectedRevision::NoStream, ExpectedRevision::Exact);
        copy.store.append_raw(&record.stream, expected, vec![record.event]).await.unwrap();
    }
    (copy.next, copy.link) = (history.next, history.link);
    let last = history.seals_of(8).await.pop().unwrap();
    for (store, is_here) in [(&history.store, true), (&copy.store, false)] {
        let mut leaves = Leaves::new(store.clone());
        assert_eq!(is_at(&last, store, &mut leaves).await, is_here);
    }
    let machine = Machine::sealing_every(&copy, 4);
    copy.append(4).await;
    assert_eq!(sizes(&copy.seals_of(12).await), [4, 8, 12]);
    machine.stop().await.unwrap();
    assert_eq!(copy.verified(&[&key(1)]).await.findings, []);
}

#[tokio::test]
async fn another_key_seals_only_after_the_old_one_was_named() {
    let mut history = History::empty().await;
    let machine = Machine::sealing_every(&history, 2);
    history.append(2).await;
    history.seals_of(2).await;
    machine.stop().await.unwrap();

    let other = SealingConfig { key: key(2), retired_keys: vec![], pace: pace(2) };
    let refused = Machine::start(&history, other.clone()).ends().await;
    assert!(
        matches!(&refused, CannotSeal::FalseSeal { why } if why.contains(&key(1).public().name())),
        "{refused}"
    );

    let machine = Machine::start(&history, SealingConfig { retired_keys: vec![key(1).public()], ..other });
    history.append(2).await;
    history.seals_of(4).await;
    machine.stop().await.unwrap();
    assert_eq!(history.verified(&[&key(1), &key(2)]).await.findings, []);
}
