mod beside_the_chain;
mod history;
mod kept_seals;
mod proofs;
mod resumed;

use super::*;
use crate::SEALS_STREAM;
use crate::chain;
use crate::key::SealingKey;
use history::{EVENTS, History, Stored};
use rstest::rstest;

#[test]
fn a_history_that_nobody_touched_is_as_it_was_written() {
    let outcome = History::written().verified();
    assert_eq!((outcome.events, outcome.seals, outcome.sealed, outcome.unsealed), (EVENTS, 5, 35, 5));
    assert_eq!((outcome.findings, outcome.sealed_by[0].seals), (vec![], 5));
}

/// With a clumsy forger the chain tells; with one who computes the chains anew, the seals do.
#[rstest]
#[case::clumsy(false)]
#[case::skilled(true)]
fn a_changed_event_is_named(#[case] is_skilled: bool) {
    for number in 0..35 {
        let mut history = History::written();
        let at = history.at(number);
        history.log[at].data = br#"{"number":1000000}"#.to_vec();
        if is_skilled {
            history.chain_anew(&format!("cart-{}", number % 3));
        }
        let outcome = history.verified();
        assert_eq!(outcome.findings[0], Finding::Changed { event: history.which(at) }, "{number}");
    }
}

#[rstest]
#[case::clumsy(false)]
#[case::skilled(true)]
fn a_dropped_event_is_missed(#[case] is_skilled: bool) {
    // The last event of a stream leaves no gap in it, and the last one before a seal none in the log.
    for number in 0..32 {
        let mut history = History::written();
        let at = history.at(number);
        let stream = history.log[at].stream.clone();
        let revision = history.log[at].revision;
        history.log.remove(at);
        if is_skilled {
            history.chain_anew(&stream);
        }
        let outcome = history.verified();
        let is_last_before_a_seal = number % 7 == 6;
        match &outcome.findings[0] {
            Finding::Dropped { before, revision: Some(missing) } => {
                assert!(
                    !is_skilled && *before.stream == stream && *missing == revision,
                    "{number}: {before}"
                );
            }
            Finding::Dropped { before, revision: None } => {
                assert!(is_skilled || number % 7 < 6, "{number}");
                assert_eq!(before.position, at as u64, "{number}");
            }
            Finding::DroppedAtTheEnd { events, after } => {
                assert!(is_last_before_a_seal, "{number}");
                assert_eq!((*events, after.as_ref().unwrap().position), (1, at as u64 - 1), "{number}");
            }
            // The next event of the stream within the same seal has become another one before anything is missed.
            Finding::Changed { event } => {
                assert!(is_skilled && event.stream == stream && event.position >= at as u64, "{number}");
            }
            other => panic!("{number}: {other}"),
        }
    }
}

#[rstest]
#[case::clumsy(false)]
#[case::skilled(true)]
fn an_inserted_event_is_named(#[case] is_skilled: bool) {
    for number in 0..30 {
        let mut history = History::written();
        let at = history.at(number);
        let like = history.log[at].clone();
        let new = Stored { id: Uuid::from_u128(1 << 100), data: br#"{"number":-1}"#.to_vec(), ..like };
        history.log.insert(at, new);
        if is_skilled {
            let stream = history.log[at].stream.clone();
            history.chain_anew(&stream);
        }
        let outcome = history.verified();
        let first = &outcome.findings[0];
        let event = history.which(at);
        let is_named = [Finding::Added { event: event.clone() }, Finding::Changed { event }].contains(first);
        assert!(is_named, "{number}: {first}");
    }
}

#[test]
fn swapped_events_of_two_streams_are_named_where_no_chain_can_tell() {
    for number in 0..33 {
        let mut history = History::written();
        let (one, other) = (history.at(number), history.at(number + 1));
        history.log.swap(one, other);
        let outcome = history.verified();
        if number % 7 == 6 {
            // Over a seal: what stands before it now was sealed after it.
            assert!(!outcome.findings.is_empty(), "{number}");
        } else {
            assert_eq!(outcome.findings, [Finding::Moved { event: history.which(one) }], "{number}");
        }
    }
}

#[test]
fn events_of_one_stream_that_change_places_are_found() {
    let mut history = History::written();
    let (one, other) = (history.at(9), history.at(12));
    history.log.swap(one, other);
    let outcome = history.verified();
    assert!(matches!(&outcome.findings[0], Finding::Dropped { before, .. } if before.position == one as u64));
}

#[test]
fn seals_cannot_be_dropped_made_or_changed() {
    let seals = |history: &History| -> Vec<usize> {
        (0..history.log.len()).filter(|at| history.log[*at].stream == SEALS_STREAM).collect()
    };
    let mut history = History::written();
    let all = seals(&history);
    history.log.remove(all[1]);
    let out_of_order = Finding::SealOutOfOrder { seal: history.which(all[2] - 1) };
    assert_eq!(history.verified().findings[0], out_of_order);

    let mut history = History::written();
    let text = String::from_utf8(history.log[all[2]].data.clone()).unwrap();
    history.log[all[2]].data = text.replacen(r#""size":21"#, r#""size":20"#, 1).into_bytes();
    assert!(
        matches!(&history.verified().findings[0], Finding::FalseSeal { seal, .. } if seal.position == all[2] as u64)
    );

    let history = History::written();
    let findings = history.verified_with(SealingKey::from_bytes(&[6; 32]).public().into(), vec![]).findings;
    assert_eq!(findings.len(), 5);
    assert!(findings.iter().all(|finding| matches!(finding, Finding::FalseSeal { .. })));
}

#[test]
fn one_forgery_does_not_hide_another() {
    let mut history = History::written();
    let (first, second) = (history.at(3), history.at(30));
    history.log[first].data = b"{}".to_vec();
    history.log[second].data = b"{}".to_vec();
    let expected = [first, second].map(|at| Finding::Changed { event: history.which(at) });
    assert_eq!(history.verified().findings, expected);
}

#[test]
fn events_from_before_there_were_chains_count_all_the_same() {
    let history = || History::written_chained_from(10);
    let outcome = history().verified();
    assert_eq!((outcome.events, outcome.sealed, outcome.findings), (EVENTS, 39, vec![]));
    let mut forged = history();
    let at = forged.at(4);
    assert_eq!(chain::split(&forged.log[at].metadata).1, None);
    forged.log[at].data = b"{}".to_vec();
    // Nothing says so at the event itself, but at the first one after it that has a link, or at the seal.
    let findings = forged.verified().findings;
    assert!(matches!(&findings[0], Finding::Changed { event } if event.stream == "cart-1"), "{findings:?}");
}

/// Who drops or spoils a seal takes away what would name the event; that something has changed is told all the same.
#[test]
fn a_forgery_below_a_seal_that_is_gone_is_found() {
    let mut history = History::written();
    let at = history.at(9);
    history.log[at].data = b"{}".to_vec();
    history.chain_anew("cart-0");
    let seals: Vec<usize> =
        (0..history.log.len()).filter(|at| history.log[*at].stream == SEALS_STREAM).collect();
    history.log.remove(seals[1]);
    let findings = history.verified().findings;
    let (first, last) = (history.which(history.at(7)), history.which(history.at(20)));
    assert_eq!(findings[0], Finding::SealOutOfOrder { seal: history.which(seals[2] - 1) });
    assert_eq!(findings[1], Finding::ChangedAmong { events: 14, first, last });
}

#[test]
fn a_key_that_was_changed_needs_both_public_keys() {
    let (old, new) = (History::key(), SealingKey::from_bytes(&[6; 32]));
    let history = History::written_with_keys(&old, &new);
    let both = history.verified_with([old.public(), new.public()].into_iter().collect(), vec![]);
    let uses: Vec<_> = both.sealed_by.iter().map(|used| (used.key.clone(), used.seals)).collect();
    assert_eq!((both.findings, uses), (vec![], vec![(old.public().name(), 3), (new.public().name(), 2)]));

    let findings = history.verified_with(old.public().into(), vec![]).findings;
    assert_eq!(findings.len(), 2);
    let unknown = new.public().name();
    assert!(findings.iter().all(|finding| finding.to_string().contains(&unknown)), "{findings:?}");
}
