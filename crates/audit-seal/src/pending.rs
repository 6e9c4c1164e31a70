//! What is known while a log is walked through: where each stream's chain stands, and the events that no seal has
//! covered yet.

use crate::Digest;
use crate::stream::Chain;
use crate::verify::Which;
use indexmap::IndexMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// The streams, and where the chain of each stands.
#[derive(Default)]
pub struct Chains(IndexMap<Arc<str>, Chain>);

impl Chains {
    /// The stream of this name.
    pub fn of(&mut self, stream: &str) -> (Arc<str>, &mut Chain) {
        let number = match self.0.get_index_of(stream) {
            Some(number) => number,
            None => self.0.insert_full(stream.into(), Chain::EMPTY).0,
        };
        let name = self.0.get_index(number).map_or_else(|| stream.into(), |(name, _)| Arc::clone(name));
        (name, &mut self.0[number])
    }

    /// Where a stream stands that was seen, if it was.
    pub fn is_known(&self, stream: &str) -> bool {
        self.0.contains_key(stream)
    }

    pub fn set(&mut self, stream: &str, chain: Chain) {
        self.0.insert(stream.into(), chain);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// An event, small: there may be very many, when a long history is sealed for the first time.
#[derive(Clone)]
pub struct Waiting {
    pub leaf: Digest,
    pub stream: Arc<str>,
    pub revision: u64,
    pub position: u64,
}

impl Waiting {
    pub fn which(&self) -> Which {
        Which { stream: self.stream.to_string(), revision: self.revision, position: self.position }
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
