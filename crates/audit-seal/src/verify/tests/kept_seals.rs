//! What a seal proves that the auditor has kept: also against whoever has the key.

use super::history::{BETWEEN_SEALS, EVENTS, History};
use crate::SEALS_STREAM;
use crate::key::SealingKey;
use crate::verify::{Finding, KeptSeal};

fn name(history: &History, seal: usize) -> KeptSeal {
    let seal = &history.seals()[seal];
    KeptSeal { size: seal.size, sealed_at: seal.sealed_at }
}

#[test]
fn kept_seals_are_found_in_a_sound_log() {
    let history = History::written();
    let seals = history.seals();
    let outcome =
        history.verified_with(history.key.public().into(), vec![seals[3].clone(), seals[1].clone()]);
    assert_eq!((outcome.findings, outcome.kept_seals_found), (vec![], 2));
}

#[test]
fn the_root_of_all_events_is_the_newest_seals_when_nothing_came_after_it() {
    let mut history = History::written();
    let whole = history.verified().root;
    let newest = history.seals().pop().unwrap();
    assert_ne!(whole, hex::encode(newest.root), "there are events that no seal covers yet");
    let cut = history.at(newest.size);
    history.log.truncate(cut);
    let outcome = history.verified();
    assert_eq!((outcome.unsealed, outcome.root), (0, hex::encode(newest.root)));
}

#[test]
fn a_log_that_was_cut_off_is_found_by_a_seal_from_after_the_cut() {
    let mut history = History::written();
    let kept = history.seals()[4].clone();
    let expected = Finding::CutOff { kept: name(&history, 4), events: 30 };
    let cut = history.at(30);
    history.log.truncate(cut);
    assert_eq!(history.verified().findings, []);
    let outcome = history.verified_with(history.key.public().into(), vec![kept]);
    assert_eq!((outcome.findings, outcome.kept_seals_found), (vec![expected], 0));
}

/// He computes the chains and all seals anew: the log alone is sound. One kept seal tells that it is another log, and
/// all of them together tell which event is the first that differs.
#[test]
fn one_who_has_the_key_is_found_by_the_seals_that_were_kept() {
    let last_sealed = EVENTS / BETWEEN_SEALS as u64 * BETWEEN_SEALS as u64;
    for number in 0..last_sealed {
        let mut history = History::written();
        let seals = history.seals();
        let at = history.at(number);
        history.log[at].data = b"{}".to_vec();
        let stream = history.log[at].stream.clone();
        history.chain_anew(&stream);
        history.seal_anew();
        assert_eq!(history.verified().findings, [], "{number}");

        let keys = || history.key.public().into();
        let all = history.verified_with(keys(), seals.clone()).findings;
        let event = history.which(at);
        assert!(
            matches!(&all[0], Finding::WrittenAnew { event: first, is_exact: true, .. } if *first == event),
            "{number}: {all:?}"
        );
        let one = history.verified_with(keys(), vec![seals[4].clone()]).findings;
        let Finding::WrittenAnew { event: first, is_exact, .. } = &one[0] else {
            panic!("{number}: {one:?}")
        };
        assert!(first.position >= event.position && (!is_exact || *first == event), "{number}: {one:?}");
    }
}

#[test]
fn seals_that_were_replaced_are_missed_though_all_events_are_there() {
    let mut history = History::written();
    let kept = history.seals()[2].clone();
    let expected = Finding::SealReplaced { kept: name(&history, 2) };
    history.log.retain(|event| event.stream != SEALS_STREAM);
    let outcome = history.verified_with(history.key.public().into(), vec![kept]);
    assert_eq!(outcome.findings, [expected]);
}

#[test]
fn a_kept_seal_of_an_unknown_key_proves_nothing() {
    let history = History::written();
    let kept = history.seals()[2].clone();
    let other = SealingKey::from_bytes(&[9; 32]);
    let findings = history.verified_with(other.public().into(), vec![kept]).findings;
    assert!(matches!(&findings[0], Finding::FalseKeptSeal { why, .. } if why.contains("not among the keys")));
}
