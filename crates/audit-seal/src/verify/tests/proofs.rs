//! Proofs for single events, made from a whole history and checked without it.

use super::history::History;
use crate::SEALS_STREAM;
use crate::key::SealingKey;
use crate::prove::{FalseProof, InclusionProof, NoProof, Prover};
use crate::seal::FalseSeal;
use crate::verify::Found;
use rstest::rstest;

pub fn prove(history: &History, event: &Found<'_>) -> Result<Option<InclusionProof>, NoProof> {
    let mut prover = Prover::new(event.stream, event.revision);
    for found in history.found() {
        if let Some(proof) = prover.add(&found)? {
            return Ok(Some(proof));
        }
    }
    Ok(None)
}

#[rstest]
#[case::chained(History::written())]
#[case::partly_from_before_there_were_chains(History::written_chained_from(20))]
fn every_sealed_event_has_a_proof_that_holds_for_nothing_else(#[case] history: History) {
    let keys = history.key.public().into();
    for event in history.found().filter(|event| event.stream != SEALS_STREAM) {
        let proof = prove(&history, &event).unwrap();
        let Some(proof) = proof else {
            assert!(event.position >= history.at(35) as u64, "only what is not sealed has none");
            continue;
        };
        assert_eq!(proof.check(&event, &keys), Ok(()));
        let forged = [
            Found { data: b"{}", ..event },
            Found { revision: event.revision + 1, ..event },
            Found { stream: "cart-9", ..event },
        ];
        for forged in forged {
            assert!(proof.check(&forged, &keys).is_err());
        }
        // Without a link it is still not another event.
        let unlinked = Found { data: b"{}", metadata: br#"{"actor":"shopper"}"#, ..event };
        assert_eq!(proof.check(&unlinked, &keys), Err(FalseProof::Root));
    }
}

#[test]
fn a_proof_with_a_seal_of_somebody_elses_proves_nothing() {
    let history = History::written();
    let event = history.found().next().unwrap();
    let mut proof = prove(&history, &event).unwrap().unwrap();
    let other = SealingKey::from_bytes(&[9; 32]).public();
    let unknown = FalseProof::Seal(FalseSeal::UnknownKey(history.key.public().name()));
    assert_eq!(proof.check(&event, &other.into()), Err(unknown));
    proof.seal.size += 1;
    assert_eq!(proof.check(&event, &history.key.public().into()), Err(FalseSeal::Signature.into()));
}

#[test]
fn a_log_that_was_changed_gives_no_proof_of_what_comes_after() {
    let mut history = History::written();
    let at = history.at(3);
    history.log.remove(at);
    let event = history.found().find(|event| event.position > 20).unwrap();
    assert_eq!(prove(&history, &event), Err(NoProof::NotAsSealed { seal: 0 }));
}
