//! Seals that were kept elsewhere: what they cover must be what is found, and they must stand in the log.
//!
//! They speak for themselves: their tree is computed from the events alone, whatever the log's own seals say, for those
//! may have been made anew by somebody who has the key.

use super::difference::hint;
use super::{Finding, KeptSeal, Which};
use crate::Digest;
use crate::merkle::Frontier;
use crate::pending::Waiting;
use crate::seal::{HINT, Seal};
use std::collections::VecDeque;

/// What is known of them so far.
#[derive(Default)]
pub struct KeptSeals {
    /// Those whose events have not all been found, the smallest first.
    waiting: VecDeque<Kept>,
    reached: Vec<Kept>,
    /// The tree over all events as they are found.
    tree: Frontier,
    /// So many events are known to be those of a kept seal.
    agreed: u64,
    /// The events are others than those of a kept seal; the later ones can say nothing more.
    finding: Option<Finding>,
}

struct Kept {
    seal: Seal,
    digest: Digest,
    hints: Vec<[u8; HINT]>,
    first_difference: Option<Which>,
    is_in_log: bool,
}

impl KeptSeals {
    pub fn add(&mut self, seal: Seal) {
        let kept = Kept {
            digest: seal.digest(),
            hints: seal.hints(),
            seal,
            first_difference: None,
            is_in_log: false,
        };
        let at = self.waiting.partition_point(|other| other.seal.size < kept.seal.size);
        self.waiting.insert(at, kept);
    }

    /// The next event.
    pub fn see(&mut self, event: &Waiting) {
        if self.waiting.is_empty() {
            return;
        }
        let index = self.tree.size();
        self.tree.push(event.leaf);
        let first = &mut self.waiting[0];
        let start = first.seal.size.saturating_sub(first.hints.len() as u64);
        let wanted = index.checked_sub(start).and_then(|at| first.hints.get(usize::try_from(at).ok()?));
        if first.first_difference.is_none() && wanted.is_some_and(|wanted| *wanted != hint(&event.leaf)) {
            first.first_difference = Some(event.which());
        }
        while self.waiting.front().is_some_and(|kept| kept.seal.size <= self.tree.size()) {
            let Some(kept) = self.waiting.pop_front() else { return };
            self.compare(&kept, || event.which());
            self.reached.push(kept);
        }
    }

    fn compare(&mut self, kept: &Kept, last: impl Fn() -> Which) {
        if self.finding.is_some() {
            return;
        }
        if self.tree.root() == kept.seal.root {
            self.agreed = kept.seal.size;
            return;
        }
        let (event, is_exact) = match &kept.first_difference {
            // What is before the hints may differ too, unless another kept seal speaks for it.
            Some(event) => (event.clone(), kept.seal.first_hinted() <= self.agreed),
            None => (last(), false),
        };
        self.finding = Some(Finding::WrittenAnew { kept: name(&kept.seal), event, is_exact });
    }

    /// A good seal stands in the log.
    pub fn is_in_log(&mut self, digest: &Digest) {
        for kept in self.waiting.iter_mut().chain(&mut self.reached) {
            kept.is_in_log |= kept.digest == *digest;
        }
    }

    /// How many stand in the log, and what is wrong with the others.
    pub fn finish(self, events: u64) -> (u64, Vec<Finding>) {
        let found = self.waiting.iter().chain(&self.reached).filter(|kept| kept.is_in_log).count();
        let has_other_events = self.finding.is_some();
        let mut findings = Vec::from_iter(self.finding);
        if !has_other_events {
            let replaced = self.reached.iter().filter(|kept| !kept.is_in_log);
            findings.extend(replaced.map(|kept| Finding::SealReplaced { kept: name(&kept.seal) }));
        }
        let cut_off = self.waiting.iter().filter(|kept| !kept.is_in_log);
        findings.extend(cut_off.map(|kept| Finding::CutOff { kept: name(&kept.seal), events }));
        (found as u64, findings)
    }
}

pub fn name(seal: &Seal) -> KeptSeal {
    KeptSeal { size: seal.size, sealed_at: seal.sealed_at }
}
