//! Tells from the events alone, with the public key, whether they are the ones that were sealed.
//!
//! Events are given in the order of the log. Each stream's chain is computed again, and each seal's root; where a root
//! does not fit, the first bytes of the leaves that the seal kept say which event is the first that is not the one that
//! was sealed. After a finding the verification goes on from what the seal says, so that one forgery does not hide
//! another.

mod difference;
mod finding;
mod kept;
mod outcome;

pub use finding::{Finding, KeptSeal, Which};
pub use outcome::{KeyInUse, Outcome};

use crate::chain::START;
use crate::key::PublicKeys;
use crate::merkle::{Frontier, leaf};
use crate::pending::{Chains, Pending, Waiting};
use crate::seal::{FalseSeal, Seal};
use crate::stream::{Chain, Fault};
use crate::{SEAL_TYPE, is_about_facts, is_fact, is_of_seals, is_sealed};
use difference::{Difference, first_difference, hint};
use kept::KeptSeals;
use uuid::Uuid;

/// An event as it is found.
#[derive(Debug, Clone, Copy)]
pub struct Found<'a> {
    /// The stream's name.
    pub stream: &'a str,
    /// Its number in the stream.
    pub revision: u64,
    /// Its place in the log.
    pub position: u64,
    /// Its identity.
    pub id: Uuid,
    /// Its name on disk.
    pub event_type: &'a str,
    /// The payload.
    pub data: &'a [u8],
    /// The metadata, with the link if it has one.
    pub metadata: &'a [u8],
}

/// Walks through a log.
pub struct Verifier {
    keys: PublicKeys,
    chains: Chains,
    frontier: Frontier,
    pending: Pending,
    last_seal: Option<Seal>,
    /// A seal that was verified before, while it is not yet found: what is sealed before it counts as seen.
    resumed: Option<Seal>,
    kept: KeptSeals,
    /// A chain has already told of something since the last seal: the root then says nothing new.
    has_told: bool,
    outcome: Outcome,
}

impl Verifier {
    /// Knows only the public keys.
    #[must_use]
    pub fn new(keys: PublicKeys) -> Self {
        Self {
            keys,
            chains: Chains::default(),
            frontier: Frontier::default(),
            pending: Pending::default(),
            last_seal: None,
            resumed: None,
            kept: KeptSeals::default(),
            has_told: false,
            outcome: Outcome::default(),
        }
    }

    /// Goes on after a seal that was verified before, or from the first event if there is none. The events are then given
    /// from the one after the seal's last on. Where a stream stands must be told before its first event here: see
    /// [`Self::needs`]. So what is kept in mind can be bounded: see [`Self::forget_streams`].
    ///
    /// # Errors
    /// When the seal must not be believed itself.
    pub fn resume(keys: PublicKeys, verified: Option<Seal>) -> Result<Self, FalseSeal> {
        let frontier = verified.as_ref().map(|seal| seal.check(&keys)).transpose()?.unwrap_or_default();
        Ok(Self { frontier, last_seal: verified.clone(), resumed: verified, ..Self::new(keys) })
    }

    /// Whether it must be told where the stream of this event stands before the event is given.
    #[must_use]
    pub fn needs(&self, found: &Found<'_>) -> bool {
        found.revision > 0 && is_sealed(found.stream) && !self.chains.is_known(found.stream)
    }

    /// Tells where a stream stands before its next event.
    pub fn stands(&mut self, stream: &str, chain: Chain) {
        self.chains.set(stream, chain);
    }

    /// How many streams it keeps in mind.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.chains.len()
    }

    /// Forgets where all streams stand: it must be told again.
    pub fn forget_streams(&mut self) {
        self.chains.clear();
    }

    /// The last good seal up to which the events were given.
    #[must_use]
    pub fn last_seal(&self) -> Option<&Seal> {
        self.last_seal.as_ref()
    }

    /// Events that were given, and are counted in the outcome.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.outcome.events
    }

    /// What there is to say when everything is given: that the seal which it has gone on from was not found.
    #[must_use]
    pub fn missing_seal(&self) -> Option<Finding> {
        self.resumed.as_ref().map(|gone| Finding::SealReplaced { kept: kept::name(gone) })
    }

    /// Takes out what was found so far.
    pub fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.outcome.findings)
    }

    /// A seal that was kept elsewhere: it must be one of those in the log, and cover what is found there. Given before
    /// the first event.
    pub fn expect(&mut self, seal: Seal) {
        match seal.check(&self.keys) {
            Ok(_) => self.kept.add(seal),
            Err(why) => {
                let finding = Finding::FalseKeptSeal { kept: kept::name(&seal), why: why.to_string() };
                self.outcome.findings.push(finding);
            }
        }
    }

    /// The next event of the log. Events of other streams than facts and seals are passed over, and so is what somebody
    /// else has written among the seals; that the event store was told to delete them is not.
    pub fn add(&mut self, found: &Found<'_>) {
        if is_fact(found.stream, found.event_type) {
            self.add_fact(found);
        } else if is_of_seals(found.stream) && found.event_type == SEAL_TYPE {
            self.add_seal(found);
        } else if is_of_seals(found.stream) && found.event_type.starts_with('$') {
            self.outcome.findings.push(Finding::Foreign { event: which(found) });
        } else if is_sealed(found.stream) {
            self.chains.of(found.stream).1.next_revision = found.revision.saturating_add(1);
            self.outcome.findings.push(Finding::Foreign { event: which(found) });
        } else if is_about_facts(found.stream) {
            self.outcome.findings.push(Finding::Foreign { event: which(found) });
        }
    }

    /// Everything is given.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        self.outcome.unsealed = self.pending.len() as u64;
        self.pending.leaves().for_each(|leaf| self.frontier.push(*leaf));
        self.outcome.root = hex::encode(self.frontier.root());
        self.outcome.findings.extend(self.missing_seal());
        let (found, findings) = self.kept.finish(self.outcome.events);
        self.outcome.kept_seals_found = found;
        self.outcome.findings.extend(findings);
        self.outcome
    }

    fn add_fact(&mut self, found: &Found<'_>) {
        self.outcome.events += 1;
        let must_be_linked = self.outcome.seals > 0 || self.last_seal.is_some();
        let (stream, chain) = self.chains.of(found.stream);
        let taken = chain.take(found, must_be_linked);
        let misplaced = taken.misplaced.map(|fault| match fault {
            Fault::Dropped { revision } => {
                Finding::Dropped { before: which(found), revision: Some(revision) }
            }
            _ => Finding::Added { event: which(found) },
        });
        let changed = taken.is_changed.then(|| Finding::Changed { event: which(found) });
        misplaced.into_iter().chain(changed).for_each(|finding| self.tell(finding));
        if taken.is_unlinked {
            // The seal still has to tell whether it was sealed so.
            self.outcome.findings.push(Finding::Unlinked { event: which(found) });
        }
        let (revision, position) = (found.revision, found.position);
        let event = Waiting { leaf: leaf(&taken.link), stream, revision, position };
        self.kept.see(&event);
        self.pending.push(event);
    }

    fn add_seal(&mut self, found: &Found<'_>) {
        if let Some(resumed) = &self.resumed {
            // Seals that stand between that one's last event and itself are older than it.
            if serde_json::from_slice::<Seal>(found.data).is_ok_and(|seal| seal == *resumed) {
                self.resumed = None;
            }
            return;
        }
        self.outcome.seals += 1;
        let which = which(found);
        let seal = serde_json::from_slice::<Seal>(found.data).map_err(|error| error.to_string());
        let checked = seal.and_then(|seal| {
            let frontier = seal.check(&self.keys).map_err(|error: FalseSeal| error.to_string())?;
            Ok((seal, frontier))
        });
        let (seal, frontier) = match checked {
            Ok(checked) => checked,
            Err(why) => return self.outcome.findings.push(Finding::FalseSeal { seal: which, why }),
        };
        self.kept.is_in_log(&seal.digest());
        let previous = self.last_seal.as_ref().map_or(START, Seal::digest);
        let is_next = seal.previous == previous;
        if !is_next {
            self.outcome.findings.push(Finding::SealOutOfOrder { seal: which });
        }
        self.compare(&seal, &frontier, is_next);
        self.outcome.note(&seal);
        self.frontier = frontier;
        self.last_seal = Some(seal);
        self.has_told = false;
    }

    /// Compares what was found since the last seal with what this one covers. What is beyond it stays pending: events
    /// that were appended while it was made.
    fn compare(&mut self, seal: &Seal, sealed: &Frontier, is_next: bool) {
        let expected = seal.size.saturating_sub(self.frontier.size());
        let count = usize::try_from(expected).unwrap_or(usize::MAX);
        let mut computed = self.frontier.clone();
        self.pending.leaves().take(count).for_each(|leaf| computed.push(*leaf));
        if computed == *sealed {
            return self.pending.are_covered(count);
        }
        let hints = seal.hints();
        if !self.has_told {
            let finding = if is_next {
                self.named(first_difference(&self.pending, &hints))
            } else {
                self.named_roughly(count)
            };
            self.outcome.findings.extend(finding);
        }
        // After the last event that the seal knows, wherever it stands now.
        let window = count.saturating_add(1).min(self.pending.len());
        let mut newest_first = self.pending.leaves().take(window).rev();
        let behind = newest_first.position(|leaf| hints.contains(&hint(leaf)));
        drop(newest_first);
        self.pending.are_covered(behind.map_or(0, |behind| window - behind));
    }

    fn named(&self, difference: Difference) -> Option<Finding> {
        let which = |at: usize| self.pending.get(at).map(Waiting::which);
        Some(match difference {
            Difference::Changed(at) => Finding::Changed { event: which(at)? },
            Difference::Added(at) => Finding::Added { event: which(at)? },
            Difference::Moved(at) => Finding::Moved { event: which(at)? },
            Difference::DroppedBefore(at) => Finding::Dropped { before: which(at)?, revision: None },
            Difference::DroppedAtTheEnd(events) => {
                let after = self.pending.last().map(Waiting::which);
                Finding::DroppedAtTheEnd { events, after }
            }
        })
    }

    /// The seals before this one are gone or false, so that nothing says which event it was.
    fn named_roughly(&self, count: usize) -> Option<Finding> {
        let events = count.min(self.pending.len());
        let which = |at: usize| self.pending.get(at).map(Waiting::which);
        let (first, last) = (which(0)?, which(events.checked_sub(1)?)?);
        Some(Finding::ChangedAmong { events: events as u64, first, last })
    }

    fn tell(&mut self, finding: Finding) {
        self.has_told = true;
        self.outcome.findings.push(finding);
    }
}

fn which(found: &Found<'_>) -> Which {
    Which { stream: found.stream.to_owned(), revision: found.revision, position: found.position }
}

#[cfg(test)]
mod tests;
