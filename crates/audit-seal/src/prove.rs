//! Proofs that a single event was sealed: they need nothing but the event, some digests and the public key.

use crate::Digest;
use crate::chain::{START, is_as_written};
use crate::key::PublicKeys;
use crate::merkle::{Frontier, Proof, leaf};
use crate::pending::{Chains, Pending, Waiting};
use crate::seal::{FalseSeal, Seal};
use crate::stream::Chain;
use crate::verify::Found;
use crate::{SEAL_TYPE, is_fact, is_of_seals};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// That an event is among those that a seal covers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InclusionProof {
    /// The link of the event before it in its stream; of none, zeros.
    #[serde(with = "crate::seal::digest")]
    pub previous_link: Digest,
    /// The way from the event's leaf to the root.
    pub path: Proof,
    /// The first seal that covers it.
    pub seal: Seal,
}

/// Why a proof proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FalseProof {
    /// The seal is not one.
    #[error("its seal must not be believed: {0}")]
    Seal(#[from] FalseSeal),
    /// The event's metadata is what is left when a link is cut off or put on.
    #[error("the event's metadata is not as a shop writes it: a link was cut off or put on")]
    Metadata,
    /// The event's link is not what the event and the link before it make.
    #[error("the event does not have the link that it must have after the one before it")]
    Link,
    /// The event is not under the root.
    #[error("the event is not among those that the seal covers")]
    Root,
}

/// Why no proof can be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoProof {
    /// The seal cannot be read.
    #[error(
        "seal {seal} of the log is none ({why}): `emporium audit verify` says what is wrong with the log"
    )]
    NoSeal {
        /// Its revision.
        seal: u64,
        /// What is wrong.
        why: String,
    },
    /// The log is not the one that was sealed.
    #[error(
        "seal {seal} is not one of the events before it: `emporium audit verify` says what is wrong with the log"
    )]
    NotAsSealed {
        /// Its revision.
        seal: u64,
    },
}

impl InclusionProof {
    /// Whether it proves that this event was sealed by whoever has one of the keys.
    ///
    /// # Errors
    /// Says why not.
    pub fn check(&self, event: &Found<'_>, keys: &PublicKeys) -> Result<(), FalseProof> {
        self.seal.check(keys)?;
        if !is_as_written(event.metadata) {
            return Err(FalseProof::Metadata);
        }
        let before =
            Chain { next_revision: event.revision, link: Some(self.previous_link), is_linked: false };
        let (computed, stored) = before.link(event);
        if stored.is_some_and(|stored| stored != computed) {
            return Err(FalseProof::Link);
        }
        let root = self.path.root(&leaf(&computed));
        let is_under_root = root == Some(self.seal.root) && self.path.size == self.seal.size;
        if is_under_root { Ok(()) } else { Err(FalseProof::Root) }
    }
}

/// Walks through a log up to the first seal that covers an event. It believes links and seals: checking the proof that
/// comes of it is what counts.
pub struct Prover {
    stream: String,
    revision: u64,
    chains: Chains,
    frontier: Frontier,
    pending: Pending,
    /// The event's number in the tree, and the link before it.
    found: Option<(u64, Digest)>,
}

impl Prover {
    /// Looks for this event.
    #[must_use]
    pub fn new(stream: &str, revision: u64) -> Self {
        Self {
            stream: stream.to_owned(),
            revision,
            chains: Chains::default(),
            frontier: Frontier::default(),
            pending: Pending::default(),
            found: None,
        }
    }

    /// Whether this is the event.
    #[must_use]
    pub fn is_wanted(&self, found: &Found<'_>) -> bool {
        found.stream == self.stream
            && found.revision == self.revision
            && is_fact(found.stream, found.event_type)
    }

    /// The next event of the log, from the first one on. Gives the proof when a seal covers the event.
    ///
    /// # Errors
    /// When the log is not what was sealed.
    pub fn add(&mut self, found: &Found<'_>) -> Result<Option<InclusionProof>, NoProof> {
        if is_fact(found.stream, found.event_type) {
            self.add_fact(found);
            Ok(None)
        } else if is_of_seals(found.stream) && found.event_type == SEAL_TYPE {
            self.add_seal(found)
        } else {
            Ok(None)
        }
    }

    fn add_fact(&mut self, found: &Found<'_>) {
        let is_wanted = self.is_wanted(found);
        let (stream, chain) = self.chains.of(found.stream);
        let previous = chain.link.unwrap_or(START);
        let link = crate::chain::split(found.metadata).1.unwrap_or_else(|| chain.link(found).0);
        chain.link = Some(link);
        if is_wanted {
            self.found = Some((self.frontier.size() + self.pending.len() as u64, previous));
        }
        let (revision, position) = (found.revision, found.position);
        self.pending.push(Waiting { leaf: leaf(&link), stream, revision, position });
    }

    fn add_seal(&mut self, found: &Found<'_>) -> Result<Option<InclusionProof>, NoProof> {
        let number = found.revision;
        let no_seal = |why: String| NoProof::NoSeal { seal: number, why };
        let seal: Seal = serde_json::from_slice(found.data).map_err(|error| no_seal(error.to_string()))?;
        let sealed = seal.tree().map_err(|error| no_seal(error.to_string()))?;
        let not_as_sealed = NoProof::NotAsSealed { seal: number };
        let count =
            sealed.size().checked_sub(self.frontier.size()).and_then(|count| usize::try_from(count).ok());
        let count =
            count.filter(|count| *count <= self.pending.len()).ok_or_else(|| not_as_sealed.clone())?;
        let leaves: Vec<Digest> = self.pending.leaves().take(count).copied().collect();
        let mut computed = self.frontier.clone();
        leaves.iter().for_each(|leaf| computed.push(*leaf));
        if computed != sealed {
            return Err(not_as_sealed);
        }
        if let Some((index, previous_link)) = self.found
            && let Some(path) = Proof::of(index, &self.frontier, &leaves)
        {
            return Ok(Some(InclusionProof { previous_link, path, seal }));
        }
        self.frontier = sealed;
        self.pending.are_covered(count);
        Ok(None)
    }
}
