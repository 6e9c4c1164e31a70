//! A verification that goes on from a seal that was verified before, and keeps little in mind.

use super::history::{History, Stored};
use crate::seal::Seal;
use crate::stream::Chain;
use crate::verify::{Finding, Found, KeptSeal, Outcome, Verifier};
use rstest::rstest;

/// Goes on after the seal with this number, with no more streams in mind than so many.
fn resumed(history: &History, verified: Option<&Seal>, at_most: usize) -> Outcome {
    let keys = history.key.public().into();
    let mut verifier = Verifier::resume(keys, verified.cloned()).unwrap();
    let begin = verified.map_or(0, |seal| seal.position + 1);
    let events: Vec<_> = history.found().collect();
    for (at, found) in events.iter().enumerate() {
        if found.position < begin {
            continue;
        }
        if verifier.needs(found) {
            verifier.stands(found.stream, before(&events[..at], found));
        }
        verifier.add(found);
        if verifier.streams() > at_most {
            verifier.forget_streams();
        }
    }
    verifier.finish()
}

/// What a store says of the event before this one in its stream.
fn before(events: &[Found<'_>], found: &Found<'_>) -> Chain {
    let last = events.iter().rfind(|event| event.stream == found.stream);
    last.map_or(Chain::EMPTY, |last| Chain::after(last).unwrap())
}

#[rstest]
#[case::from_the_first_event(None)]
#[case::from_the_first_seal(Some(0))]
#[case::from_the_last_seal(Some(4))]
fn what_was_not_touched_is_as_it_was_sealed(#[case] from: Option<usize>) {
    let history = History::written();
    let seals = history.seals();
    for at_most in [0, 2, 100] {
        let outcome = resumed(&history, from.map(|from| &seals[from]), at_most);
        assert_eq!((outcome.findings, outcome.unsealed), (vec![], 5), "{at_most}");
        assert_eq!(outcome.seals, 4 - from.unwrap_or(0) as u64 + u64::from(from.is_none()));
    }
}

#[rstest]
#[case::clumsy(false)]
#[case::skilled(true)]
fn what_was_changed_since_is_named_and_what_was_changed_before_is_not(#[case] is_skilled: bool) {
    for number in 0..35 {
        let mut history = History::written();
        let seals = history.seals();
        let at = history.at(number);
        history.log[at].data = br#"{"number":1000000}"#.to_vec();
        if is_skilled {
            history.chain_anew(&format!("cart-{}", number % 3));
        }
        for at_most in [0, 100] {
            let findings = resumed(&history, Some(&seals[1]), at_most).findings;
            let changed = Finding::Changed { event: history.which(at) };
            match number {
                // All later links of the stream are others too, and that is seen.
                0..14 if is_skilled => assert!(!findings.is_empty() && !findings.contains(&changed)),
                0..14 => assert_eq!(findings, []),
                14.. => assert_eq!(findings[0], changed, "{number}"),
            }
        }
    }
}

#[test]
fn an_event_that_is_missing_or_nobodys_is_told() {
    let mut history = History::written();
    let seals = history.seals();
    let at = history.at(20);
    let stream = history.log[at].stream.clone();
    let revision = history.log[at].revision;
    history.log.remove(at);
    let foreign = Stored {
        stream: "order-foreign".to_owned(),
        revision: 0,
        metadata: vec![],
        ..history.log[at].clone()
    };
    history.log.push(foreign);
    for at_most in [0, 100] {
        let findings = resumed(&history, Some(&seals[0]), at_most).findings;
        let is_missing = |finding: &Finding| {
            matches!(finding, Finding::Dropped { before, revision: Some(missing) }
                if before.stream == stream && *missing == revision)
        };
        assert!(findings.iter().any(is_missing), "{findings:?}");
        let event = history.which(history.log.len() - 1);
        assert!(findings.contains(&Finding::Unlinked { event }), "{findings:?}");
    }
}

#[test]
fn the_seal_that_was_verified_must_still_be_there() {
    let mut history = History::written();
    let verified = history.seals()[2].clone();
    let data = serde_json::to_vec(&verified).unwrap();
    history.log.retain(|event| event.data != data);
    let findings = resumed(&history, Some(&verified), 100).findings;
    let kept = KeptSeal { size: verified.size, sealed_at: verified.sealed_at };
    assert!(findings.contains(&Finding::SealReplaced { kept }), "{findings:?}");
}

#[test]
fn a_seal_that_nobody_has_signed_is_not_gone_on_from() {
    let history = History::written();
    let forged = Seal { size: 8, ..history.seals()[0].clone() };
    assert!(Verifier::resume(history.key.public().into(), Some(forged)).is_err());
}
