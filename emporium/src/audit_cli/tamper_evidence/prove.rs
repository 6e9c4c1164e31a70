//! `emporium audit prove`: a proof that one event was sealed.
//!
//! It reads the history from its first event up to the seal that covers the event, without computing the events' digests.

use super::EvidenceError;
use super::history::{HistoryArgs, walk};
use super::proof_file;
use audit_seal::prove::{InclusionProof, NoProof, Prover};
use clap::Args;
use event_chains::found_raw;
use event_store::RawRecord;
use std::ops::ControlFlow;

/// `emporium audit prove …`
#[derive(Debug, Args)]
pub struct ProveArgs {
    /// The event's stream, for example order-0193…
    pub stream: String,
    /// The event's revision in it
    pub revision: u64,
    #[command(flatten)]
    pub history: HistoryArgs,
}

struct Search {
    prover: Prover,
    event: Option<RawRecord>,
    result: Result<Option<InclusionProof>, NoProof>,
}

/// Prints the proof.
pub async fn run(args: ProveArgs) -> Result<(), EvidenceError> {
    let ProveArgs { stream, revision, history } = args;
    let search = Search { prover: Prover::new(&stream, revision), event: None, result: Ok(None) };
    let search = walk(&history, "proving", search, look).await?.state;
    let Some(event) = search.event else {
        search.result?;
        return Err(EvidenceError::NoSuchEvent { stream, revision });
    };
    let Some(proof) = search.result? else { return Err(EvidenceError::NotSealedYet { stream, revision }) };
    println!("{}", proof_file::write(&event, &proof).map_err(EvidenceError::WriteProof)?);
    Ok(())
}

fn look(search: &mut Search, record: RawRecord) -> ControlFlow<()> {
    search.result = search.prover.add(&found_raw(&record));
    if search.prover.is_wanted(&found_raw(&record)) {
        search.event = Some(record);
    }
    match search.result {
        Ok(None) => ControlFlow::Continue(()),
        Ok(Some(_)) | Err(_) => ControlFlow::Break(()),
    }
}
