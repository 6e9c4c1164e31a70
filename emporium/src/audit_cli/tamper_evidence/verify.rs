//! `emporium audit verify`: whether a history is the one that was sealed.

use super::history::{HistoryArgs, walk};
use super::keys::KeyArgs;
use super::{EvidenceError, kept_seals};
use crate::event_store_cli::EventStoreCliError;
use audit_seal::key::PublicKeys;
use audit_seal::seal::Seal;
use audit_seal::verify::{Outcome, Verifier};
use clap::Args;
use event_chains::found_raw;
use serde_json::json;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// `emporium audit verify …`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub history: HistoryArgs,
    #[command(flatten)]
    pub keys: KeyArgs,
    /// Seals that were kept elsewhere, as GET /audit/seals gave them: the history must hold them. Only they show that
    /// nothing was cut off since, and that not even somebody with the signing key wrote it anew; may be given several times
    #[arg(long = "seal", value_name = "FILE")]
    pub seals: Vec<PathBuf>,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// Verifies, and prints what was found.
pub async fn run(args: VerifyArgs) -> Result<(), EvidenceError> {
    let keys = args.keys.read()?;
    let mut kept = Vec::new();
    for path in &args.seals {
        kept.extend(kept_seals::read(path)?);
    }
    let started = Instant::now();
    let Verified { outcome, not_whole } = verified(&args.history, keys, kept.clone()).await?;
    let took = started.elapsed();
    if args.json {
        let is_whole = not_whole.is_none();
        println!("{}", json!({ "outcome": &outcome, "is_whole": is_whole, "seconds": took.as_secs_f64() }));
    } else {
        print(&args, &outcome, not_whole.is_none(), &kept, took);
    }
    match outcome.findings.len() {
        0 if let Some(not_whole) = not_whole => Err(not_whole.into()),
        0 if outcome.sealed == 0 => Err(EvidenceError::NothingSealed),
        0 => Ok(()),
        findings => Err(EvidenceError::Altered { findings }),
    }
}

/// What comes of verifying a history.
pub struct Verified {
    pub outcome: Outcome,
    /// Why the file is not whole, by what it says of itself.
    pub not_whole: Option<EventStoreCliError>,
}

/// Verifies a history.
pub async fn verified(
    history: &HistoryArgs,
    keys: PublicKeys,
    kept: Vec<Seal>,
) -> Result<Verified, EvidenceError> {
    let mut verifier = Verifier::new(keys);
    kept.into_iter().for_each(|seal| verifier.expect(seal));
    let verifier = walk(history, "verifying", verifier, |verifier, record| {
        verifier.add(&found_raw(&record));
        ControlFlow::Continue(())
    });
    let walked = verifier.await?;
    Ok(Verified { outcome: walked.state.finish(), not_whole: walked.not_whole })
}

fn print(args: &VerifyArgs, outcome: &Outcome, is_whole: bool, kept: &[Seal], took: Duration) {
    let verdict = match outcome.findings.len() {
        0 if !is_whole => "NOT WHOLE",
        0 if outcome.sealed == 0 => "NOT SEALED",
        0 => "intact",
        _ => "ALTERED",
    };
    println!("{verdict}: {}", args.history);
    println!("events     {}, {} of them sealed", outcome.events, outcome.sealed);
    println!("root       {}", outcome.root);
    match outcome.unsealed {
        0 => println!("unsealed   0"),
        events => println!("unsealed   {events}: only their chains speak for them yet"),
    }
    for used in &outcome.sealed_by {
        let (from, to) = (time(&used.from), time(&used.to));
        println!("seals      {} from {from} to {to}, made with key {}", used.seals, used.key);
    }
    if let Some(newest) = kept.iter().max_by_key(|seal| seal.size) {
        println!("kept seals {} of {} stand in the history", outcome.kept_seals_found, kept.len());
        let since = outcome.events.saturating_sub(newest.size);
        println!(
            "           the newest of {} over {} events; {since} since",
            time(&newest.sealed_at),
            newest.size
        );
    }
    let rate = outcome.events as f64 / took.as_secs_f64().max(f64::EPSILON);
    println!("took       {:.1} s, {rate:.0} events/s", took.as_secs_f64());
    for finding in &outcome.findings {
        println!("{finding}");
    }
}

fn time(time: &chrono::DateTime<chrono::Utc>) -> impl std::fmt::Display {
    time.format("%Y-%m-%dT%H:%M:%SZ")
}
