//! One verification under way.

use audit_seal::is_of_seals;
use audit_seal::key::PublicKeys;
use audit_seal::seal::Seal;
use audit_seal::verification::Verification;
use audit_seal::verify::{Finding, Found, Verifier};
use event_store::Position;

/// Findings that are kept as sentences, and that one run writes into the log.
const FIRST: usize = 10;

/// A walk through the log from one seal to a later one.
pub struct Run {
    /// Must be told where streams stand.
    pub verifier: Verifier,
    begins_after: Option<Position>,
    /// The last good seal that was met, and its revision.
    reached: Option<(Seal, u64)>,
    findings: u64,
    new_findings: u64,
    first: Vec<String>,
}

impl Run {
    /// After a seal that was verified before, with what was found up to there; or from the first event.
    pub fn begin(keys: PublicKeys, from: Option<Seal>, before: Option<&Verification>) -> Self {
        let reached = from.clone().zip(before.map(|before| before.seal_revision));
        let begins_after = from.as_ref().map(|seal| Position::new(seal.position));
        let (verifier, begins_after, reached, before) = match Verifier::resume(keys.clone(), from) {
            Ok(verifier) => (verifier, begins_after, reached, before),
            // Its key is no longer believed: then neither is what was verified with it.
            Err(_) => (Verifier::new(keys), None, None, None),
        };
        Self {
            verifier,
            begins_after,
            reached,
            findings: before.map_or(0, |before| before.findings),
            new_findings: 0,
            first: before.map(|before| before.first_findings.clone()).unwrap_or_default(),
        }
    }

    /// Where it begins; at the first event without it.
    pub fn begins_after(&self) -> Option<Position> {
        self.begins_after
    }

    /// The next event.
    pub fn add(&mut self, found: &Found<'_>) {
        self.verifier.add(found);
        if is_of_seals(found.stream)
            && let Some(seal) = self.verifier.last_seal()
            && self.reached.as_ref().is_none_or(|(reached, _)| reached != seal)
        {
            self.reached = Some((seal.clone(), found.revision));
        }
        let findings = self.verifier.take_findings();
        self.take(findings);
    }

    /// Everything is given.
    pub fn finish(&mut self) {
        let findings = self.verifier.missing_seal().into_iter().collect();
        self.take(findings);
        if let Some(untold) = self.new_findings.checked_sub(FIRST as u64).filter(|untold| *untold > 0) {
            tracing::error!(
                untold,
                "more of the history is not as it was written: `emporium audit verify` names all"
            );
        }
    }

    fn take(&mut self, findings: Vec<Finding>) {
        for finding in findings {
            self.findings += 1;
            self.new_findings += 1;
            if self.new_findings <= FIRST as u64 {
                tracing::error!(%finding, "the history is not as it was written");
            }
            if self.first.len() < FIRST {
                self.first.push(finding.to_string());
            }
        }
    }

    /// The last good seal, and its revision.
    pub fn reached(&self) -> Option<&(Seal, u64)> {
        self.reached.as_ref()
    }

    /// Events that were verified.
    pub fn events(&self) -> u64 {
        self.verifier.events()
    }

    /// All that was found since the first event.
    pub fn findings(&self) -> u64 {
        self.findings
    }

    /// What this run has found.
    pub fn new_findings(&self) -> u64 {
        self.new_findings
    }

    /// The first of all findings, as sentences.
    pub fn first_findings(&self) -> &[String] {
        &self.first
    }
}
