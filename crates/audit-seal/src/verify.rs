//! Tells from the events alone, with the public key, whether they are the ones that were sealed.
//!
//! Events are given in the order of the log. Each stream's chain is computed again, and each seal's root; where a root
//! does not fit, the first bytes of the leaves that the seal kept say which event is the first that is not the one that
//! was sealed. After a finding the verification goes on from what the seal says, so that one forgery does not hide
//! another.

use crate::chain::{self, Linked, START};
use crate::merkle::{Frontier, leaf};
use crate::seal::{FalseSeal, HINT, Seal};
use crate::{Digest, SEAL_TYPE, SEALS_STREAM, is_sealed};
use ed25519_dalek::VerifyingKey;
use serde::Serialize;
use std::collections::HashMap;
use std::fmt;
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

/// Which event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Which {
    /// The stream's name.
    pub stream: String,
    /// Its number in the stream.
    pub revision: u64,
    /// Its place in the log as it is found.
    pub position: u64,
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "finding", rename_all = "snake_case")]
pub enum Finding {
    /// The event is not the one that was written here: its content, its name or its place has changed.
    Changed {
        /// The event.
        event: Which,
    },
    /// Events are missing before this one.
    Dropped {
        /// The first event after the gap.
        before: Which,
        /// The stream's first revision that is missing, if it can be told.
        revision: Option<u64>,
    },
    /// Sealed events are missing at the end of what the seal covers.
    DroppedAtTheEnd {
        /// How many.
        events: u64,
        /// The last event that is there.
        after: Option<Which>,
    },
    /// The event was not there when the log was sealed.
    Added {
        /// The event.
        event: Which,
    },
    /// The event stands at another place of the log than when it was sealed.
    Moved {
        /// The event.
        event: Which,
    },
    /// A seal was not made by this key, or was changed.
    FalseSeal {
        /// The seal.
        seal: Which,
        /// What is wrong with it.
        why: String,
    },
    /// Seals are missing before this one, or it is not the next one.
    SealOutOfOrder {
        /// The seal.
        seal: Which,
    },
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "event {} of {} (position {})", self.revision, self.stream, self.position)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { event } => write!(f, "CHANGED  {event} is not the event that was written"),
            Self::Dropped { before, revision: Some(revision) } => {
                write!(f, "DROPPED  event {revision} of {} is missing before {before}", before.stream)
            }
            Self::Dropped { before, revision: None } => {
                write!(f, "DROPPED  a sealed event is missing before {before}")
            }
            Self::DroppedAtTheEnd { events, after: Some(after) } => {
                write!(f, "DROPPED  {events} sealed events are missing after {after}")
            }
            Self::DroppedAtTheEnd { events, after: None } => {
                write!(f, "DROPPED  {events} sealed events are missing")
            }
            Self::Added { event } => write!(f, "ADDED    {event} was not there when the log was sealed"),
            Self::Moved { event } => {
                write!(f, "MOVED    {event} stood at another place when the log was sealed")
            }
            Self::FalseSeal { seal, why } => write!(f, "SEAL     {seal} must not be believed: {why}"),
            Self::SealOutOfOrder { seal } => write!(f, "SEAL     {seal} does not follow the seal before it"),
        }
    }
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Events that a link was computed for.
    pub events: u64,
    /// Seals that were checked.
    pub seals: u64,
    /// Events that the last good seal covers.
    pub sealed: u64,
    /// Events after it: only their chains speak for them.
    pub unsealed: u64,
    /// Everything that is not as it was written, in the order of the log.
    pub findings: Vec<Finding>,
}

/// Walks through a log.
pub struct Verifier {
    key: VerifyingKey,
    streams: HashMap<Box<str>, Chain>,
    frontier: Frontier,
    /// Events since the last seal.
    pending: Vec<(Digest, Which)>,
    last_seal: Option<Seal>,
    /// A chain has already told of something since the last seal: the root then says nothing new.
    has_told: bool,
    outcome: Outcome,
}

/// Where a stream stands.
struct Chain {
    next_revision: u64,
    link: Digest,
}

impl Verifier {
    /// Knows only the public key.
    #[must_use]
    pub fn new(key: VerifyingKey) -> Self {
        Self {
            key,
            streams: HashMap::new(),
            frontier: Frontier::default(),
            pending: Vec::new(),
            last_seal: None,
            has_told: false,
            outcome: Outcome::default(),
        }
    }

    /// The next event of the log. Events of other streams than facts and seals are passed over.
    pub fn add(&mut self, found: &Found<'_>) {
        if found.stream == SEALS_STREAM && found.event_type == SEAL_TYPE {
            self.add_seal(found);
        } else if is_sealed(found.stream) {
            self.add_fact(found);
        }
    }

    /// Everything is given.
    #[must_use]
    pub fn finish(mut self) -> Outcome {
        self.outcome.unsealed = self.pending.len() as u64;
        self.outcome
    }

    fn add_fact(&mut self, found: &Found<'_>) {
        self.outcome.events += 1;
        let which = Which::of(found);
        if !self.streams.contains_key(found.stream) {
            self.streams.insert(found.stream.into(), Chain { next_revision: 0, link: START });
        }
        let Some(chain) = self.streams.get_mut(found.stream) else { return };
        let (metadata, stored) = chain::split(found.metadata);
        let linked = Linked {
            stream: found.stream,
            revision: found.revision,
            id: found.id,
            event_type: found.event_type,
            data: found.data,
            metadata,
        };
        let computed = chain::link(&chain.link, &linked);
        let finding = if found.revision > chain.next_revision {
            Some(Finding::Dropped { before: which.clone(), revision: Some(chain.next_revision) })
        } else if found.revision < chain.next_revision {
            Some(Finding::Added { event: which.clone() })
        } else if stored.is_some_and(|stored| stored != computed) {
            Some(Finding::Changed { event: which.clone() })
        } else {
            None
        };
        // What is stored is what later events were chained to; where it is wrong, that was told here.
        let link = stored.unwrap_or(computed);
        chain.link = link;
        chain.next_revision = found.revision.saturating_add(1);
        if let Some(finding) = finding {
            self.tell(finding);
        }
        self.pending.push((leaf(&link), which));
    }

    fn add_seal(&mut self, found: &Found<'_>) {
        self.outcome.seals += 1;
        let which = Which::of(found);
        let seal = serde_json::from_slice::<Seal>(found.data).map_err(|error| error.to_string());
        let checked = seal.and_then(|seal| {
            let frontier = seal.check(&self.key).map_err(|error: FalseSeal| error.to_string())?;
            Ok((seal, frontier))
        });
        let (seal, frontier) = match checked {
            Ok(checked) => checked,
            Err(why) => return self.outcome.findings.push(Finding::FalseSeal { seal: which, why }),
        };
        let previous = self.last_seal.as_ref().map_or(START, Seal::digest);
        let is_next = seal.previous == previous;
        if !is_next {
            self.outcome.findings.push(Finding::SealOutOfOrder { seal: which });
        }
        self.compare(&seal, &frontier, is_next);
        self.outcome.sealed = seal.size;
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
        self.pending.iter().take(count).for_each(|(leaf, _)| computed.push(*leaf));
        if computed == *sealed {
            self.pending.drain(..count.min(self.pending.len()));
            return;
        }
        let hints = seal.hints();
        if is_next && !self.has_told {
            let finding = first_difference(&self.pending, &hints);
            self.outcome.findings.push(finding);
        }
        // After the last event that the seal knows, wherever it stands now.
        let is_known = |(leaf, _): &(Digest, Which)| hints.contains(&hint(leaf));
        let covered = self.pending.iter().take(count + 1).rposition(is_known).map_or(0, |last| last + 1);
        self.pending.drain(..covered);
    }

    fn tell(&mut self, finding: Finding) {
        self.has_told = true;
        self.outcome.findings.push(finding);
    }
}

impl Which {
    fn of(found: &Found<'_>) -> Self {
        Self { stream: found.stream.to_owned(), revision: found.revision, position: found.position }
    }
}

fn hint(leaf: &Digest) -> [u8; HINT] {
    let mut hint = [0; HINT];
    hint.copy_from_slice(&leaf[..HINT]);
    hint
}

/// Where what is found parts from what was sealed, and how.
fn first_difference(found: &[(Digest, Which)], sealed: &[[u8; HINT]]) -> Finding {
    let hints: Vec<_> = found.iter().take(sealed.len() + 1).map(|(leaf, _)| hint(leaf)).collect();
    let at = hints.iter().zip(sealed).position(|(found, sealed)| found != sealed);
    let at = at.unwrap_or(hints.len().min(sealed.len()));
    let Some((_, event)) = found.get(at) else {
        let events = (sealed.len() - at) as u64;
        return Finding::DroppedAtTheEnd { events, after: found.last().map(|(_, which)| which.clone()) };
    };
    let event = event.clone();
    let (mine, next, wanted) = (hints.get(at), hints.get(at + 1), sealed.get(at));
    if sealed[at.min(sealed.len())..].iter().any(|sealed| Some(sealed) == mine) {
        // It was sealed further on. Is what should stand here gone, or behind it?
        let is_behind = wanted.is_some_and(|wanted| hints[at..].contains(wanted));
        return if is_behind {
            Finding::Moved { event }
        } else {
            Finding::Dropped { before: event, revision: None }
        };
    }
    let is_added = wanted.is_none() || (next.is_some() && next == wanted);
    if is_added { Finding::Added { event } } else { Finding::Changed { event } }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
