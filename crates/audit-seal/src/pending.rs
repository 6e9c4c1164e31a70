//! What is known while a log is walked through: where each stream's chain stands, and the events that no seal has
//! covered yet.

use crate::Digest;
use crate::chain::{self, Linked, START};
use crate::verify::{Found, Which};
use indexmap::IndexMap;
use std::collections::VecDeque;

/// The streams, each with its number, and where its chain stands.
#[derive(Default)]
pub struct Chains(IndexMap<Box<str>, Chain>);

/// Where a stream stands.
pub struct Chain {
    pub next_revision: u64,
    pub link: Digest,
    /// An event in it has a link of its own: then all later ones must.
    pub is_linked: bool,
}

impl Chains {
    /// The stream of this name, and its number.
    pub fn of(&mut self, stream: &str) -> (usize, &mut Chain) {
        let number = match self.0.get_index_of(stream) {
            Some(number) => number,
            None => {
                self.0.insert_full(stream.into(), Chain { next_revision: 0, link: START, is_linked: false }).0
            }
        };
        (number, &mut self.0[number])
    }

    /// The name of the stream with this number.
    fn name(&self, number: usize) -> &str {
        self.0.get_index(number).map_or("", |(name, _)| name)
    }
}

impl Chain {
    /// The link that an event should have here, and the one that it has, if it has one.
    pub fn link(&self, found: &Found<'_>) -> (Digest, Option<Digest>) {
        let (metadata, stored) = chain::split(found.metadata);
        let linked = Linked {
            stream: found.stream,
            revision: found.revision,
            id: found.id,
            event_type: found.event_type,
            data: found.data,
            metadata,
        };
        (chain::link(&self.link, &linked), stored)
    }
}

/// An event, small: there may be very many, when a long history is sealed for the first time.
#[derive(Clone, Copy)]
pub struct Waiting {
    pub leaf: Digest,
    pub stream: usize,
    pub revision: u64,
    pub position: u64,
}

impl Waiting {
    pub fn which(&self, chains: &Chains) -> Which {
        let stream = chains.name(self.stream).to_owned();
        Which { stream, revision: self.revision, position: self.position }
    }
}

/// The events since the last seal, in the order of the log.
#[derive(Default)]
pub struct Pending(VecDeque<Waiting>);

impl Pending {
    pub fn push(&mut self, event: Waiting) {
        self.0.push_back(event);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, at: usize) -> Option<&Waiting> {
        self.0.get(at)
    }

    pub fn last(&self) -> Option<&Waiting> {
        self.0.back()
    }

    pub fn leaves(&self) -> impl DoubleEndedIterator<Item = &Digest> + ExactSizeIterator {
        self.0.iter().map(|event| &event.leaf)
    }

    /// Forgets the first ones: a seal covers them.
    pub fn are_covered(&mut self, count: usize) {
        self.0.drain(..count.min(self.0.len()));
    }
}
