//! Forgeries that leave every link and every root as it was.

use super::history::{EVENTS, History, Stored};
use super::proofs::prove;
use crate::chain::split;
use crate::prove::FalseProof;
use crate::verify::{Finding, Found};
use rstest::rstest;

#[test]
fn what_the_event_store_writes_into_a_stream_of_facts_is_told() {
    let mut history = History::written();
    let tombstone = Stored {
        stream: "cart-1".to_owned(),
        revision: i64::MAX as u64,
        event_type: "$streamDeleted".to_owned(),
        ..history.log[0].clone()
    };
    history.log.push(tombstone);
    let event = history.which(history.log.len() - 1);
    assert_eq!(history.verified().findings, [Finding::Foreign { event }]);
}

/// Whoever writes to a stream's `$$` stream deletes it, shortens it or hides it from readers, and its facts stay in the
/// log.
#[rstest]
#[case::deleted(br#"{"$tb":9223372036854775807}"#)]
#[case::shortened(br#"{"$maxCount":1}"#)]
#[case::hidden(br#"{"$acl":{"$r":"$admins"}}"#)]
fn what_hides_facts_from_readers_is_told(#[case] data: &[u8]) {
    let told_of = |stream: &str| {
        let mut history = History::written();
        let hiding = Stored {
            stream: stream.to_owned(),
            revision: 0,
            event_type: "$metadata".to_owned(),
            data: data.to_vec(),
            metadata: vec![],
            ..history.log[0].clone()
        };
        history.log.insert(17, hiding);
        let event = history.which(17);
        (history.verified().findings, event)
    };
    let (findings, event) = told_of("$$cart-1");
    assert_eq!(findings, [Finding::Foreign { event }]);
    assert_eq!(told_of("$$snapshot-cart-1").0, []);
}

#[test]
fn a_link_that_was_cut_off_is_told_though_it_changes_no_digest() {
    // The last ones are not sealed yet, and have none after them that could tell.
    for number in 0..EVENTS {
        let mut history = History::written();
        let at = history.at(number);
        history.log[at].metadata = split(&history.log[at].metadata).0.to_vec();
        let event = history.which(at);
        assert_eq!(history.verified().findings, [Finding::Changed { event }], "{number}");
    }
}

#[test]
fn a_link_that_was_put_on_an_event_from_before_there_were_links_is_told() {
    for number in 0..20 {
        let mut history = History::written_chained_from(20);
        let at = history.at(number);
        // The link that it would have.
        let link = history.link(at);
        history.log[at].metadata.extend(format!(r#","chain":"{link}"}}"#).into_bytes());
        let event = history.which(at);
        assert_eq!(history.verified().findings, [Finding::Changed { event }], "{number}");
    }
}

#[test]
fn an_event_without_a_link_after_linked_ones_is_told_and_does_not_hide_what_the_seal_says() {
    let mut history = History::written_chained_from(10);
    let last = history.at(EVENTS - 1);
    let next = Stored {
        revision: history.log[last].revision + 1,
        metadata: br#"{"actor":"nobody"}"#.to_vec(),
        ..history.log[last].clone()
    };
    history.log.push(next);
    let event = history.which(history.log.len() - 1);
    assert_eq!(history.verified().findings, [Finding::Unlinked { event }]);

    // The same before a seal.
    let mut history = History::written();
    let at = history.at(34);
    history.log[at].metadata = br#"{"actor":"nobody"}"#.to_vec();
    let findings = history.verified().findings;
    let expected =
        [Finding::Unlinked { event: history.which(at) }, Finding::Changed { event: history.which(at) }];
    assert_eq!(findings[..2], expected);
}

/// Nobody knows the stream, and no link in it says that there should be one.
#[test]
fn an_event_without_a_link_in_a_stream_of_its_own_is_told_if_a_seal_stands_before_it() {
    let mut history = History::written();
    let foreign = Stored {
        stream: "order-foreign".to_owned(),
        revision: 0,
        id: uuid::Uuid::from_u128(999),
        metadata: vec![],
        ..history.log[0].clone()
    };
    history.log.push(foreign.clone());
    let event = history.which(history.log.len() - 1);
    assert_eq!(history.verified().findings, [Finding::Unlinked { event }]);

    // From before there were links.
    history.log.pop();
    history.log.insert(0, foreign);
    history.seal_anew_with_first_linked();
    assert_eq!(history.verified().findings, []);
}

#[test]
fn a_proof_holds_for_an_event_as_it_was_written_alone() {
    for history in [History::written(), History::written_chained_from(20)] {
        let keys = history.key.public().into();
        for event in history.found().take(30).filter(|event| event.stream.starts_with("cart-")) {
            let proof = prove(&history, &event).unwrap().unwrap();
            let other = match split(event.metadata) {
                (cut, Some(_)) => cut.to_vec(),
                (all, None) => {
                    let link = history.link(usize::try_from(event.position).unwrap());
                    [all, format!(r#","chain":"{link}"}}"#).as_bytes()].concat()
                }
            };
            let forged = Found { metadata: &other, ..event };
            assert_eq!(proof.check(&forged, &keys), Err(FalseProof::Metadata));
        }
    }
}
