use super::*;
use crate::chain::{open, with_link};
use chrono::DateTime;
use ed25519_dalek::SigningKey;
use rstest::rstest;

/// An event as a store has it.
#[derive(Debug, Clone)]
struct Stored {
    stream: String,
    revision: u64,
    id: Uuid,
    event_type: String,
    data: Vec<u8>,
    metadata: Vec<u8>,
}

/// A history of three carts, with a seal after every seventh event.
struct History {
    key: SigningKey,
    log: Vec<Stored>,
}

const EVENTS: u64 = 40;
const BETWEEN_SEALS: usize = 7;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[5; 32])
}

impl History {
    fn written() -> Self {
        Self::written_chained_from(0)
    }

    /// The first events are from before there were chains.
    fn written_chained_from(first: u64) -> Self {
        let (mut log, mut links) = (Vec::new(), HashMap::<String, (u64, Digest)>::new());
        let (mut frontier, mut since) = (Frontier::default(), Vec::new());
        let mut last: Option<Seal> = None;
        for number in 0..EVENTS {
            let stream = format!("cart-{}", number % 3);
            let (revision, previous) =
                links.get(&stream).map_or((0, START), |(last, link)| (last + 1, *link));
            let (id, data) =
                (Uuid::from_u128(number.into()), format!(r#"{{"number":{number}}}"#).into_bytes());
            let metadata = br#"{"actor":"shopper"}"#.to_vec();
            let event_type = "cart.item_added.v1".to_owned();
            let is_chained = number >= first;
            let linked = Linked {
                stream: &stream,
                revision,
                id,
                event_type: &event_type,
                data: &data,
                metadata: if is_chained { open(&metadata) } else { &metadata },
            };
            let link = chain::link(&previous, &linked);
            links.insert(stream.clone(), (revision, link));
            let metadata = if is_chained { with_link(metadata, &link) } else { metadata };
            log.push(Stored { stream, revision, id, event_type, data, metadata });
            frontier.push(leaf(&link));
            since.push(leaf(&link));
            if since.len() == BETWEEN_SEALS {
                let seal =
                    Seal::sign(&key(), &frontier, last.as_ref(), &since, (number, DateTime::UNIX_EPOCH));
                log.push(Stored {
                    stream: SEALS_STREAM.to_owned(),
                    revision: frontier.size() / BETWEEN_SEALS as u64 - 1,
                    id: Uuid::from_u128(u128::from(number) << 64),
                    event_type: SEAL_TYPE.to_owned(),
                    data: serde_json::to_vec(&seal).unwrap(),
                    metadata: b"{}".to_vec(),
                });
                last = Some(seal);
                since.clear();
            }
        }
        Self { key: key(), log }
    }

    fn verified(&self) -> Outcome {
        let mut verifier = Verifier::new(self.key.verifying_key());
        for (position, event) in (0..).zip(&self.log) {
            verifier.add(&Found {
                stream: &event.stream,
                revision: event.revision,
                position,
                id: event.id,
                event_type: &event.event_type,
                data: &event.data,
                metadata: &event.metadata,
            });
        }
        verifier.finish()
    }

    /// Where the event with this number stands.
    fn at(&self, number: u64) -> usize {
        self.log.iter().position(|event| event.id == Uuid::from_u128(number.into())).unwrap()
    }

    fn which(&self, at: usize) -> Which {
        let event = &self.log[at];
        Which { stream: event.stream.clone(), revision: event.revision, position: at as u64 }
    }

    /// Computes the revisions and the chain of a stream anew, as a forger would who knows how.
    fn chain_anew(&mut self, stream: &str) {
        let mut last = START;
        for (revision, event) in (0..).zip(self.log.iter_mut().filter(|event| event.stream == stream)) {
            event.revision = revision;
            let metadata = chain::split(&event.metadata).0.to_vec();
            let linked = Linked {
                stream,
                revision,
                id: event.id,
                event_type: &event.event_type,
                data: &event.data,
                metadata: &metadata,
            };
            last = chain::link(&last, &linked);
            event.metadata = with_link([metadata, b"}".to_vec()].concat(), &last);
        }
    }
}

#[test]
fn a_history_that_nobody_touched_is_as_it_was_written() {
    let outcome = History::written().verified();
    let expected = Outcome { events: EVENTS, seals: 5, sealed: 35, unsealed: 5, findings: vec![] };
    assert_eq!(outcome, expected);
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

    let mut history = History::written();
    history.key = SigningKey::from_bytes(&[6; 32]);
    let findings = history.verified().findings;
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
    assert_eq!(history().verified(), History::written().verified());
    let mut forged = history();
    let at = forged.at(4);
    assert_eq!(chain::split(&forged.log[at].metadata).1, None);
    forged.log[at].data = b"{}".to_vec();
    // Nothing says so at the event itself, but at the first one after it that has a link, or at the seal.
    let findings = forged.verified().findings;
    assert!(matches!(&findings[0], Finding::Changed { event } if event.stream == "cart-1"), "{findings:?}");
}
