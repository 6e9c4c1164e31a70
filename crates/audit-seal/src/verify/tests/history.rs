//! A history of three carts, and what forgers do to it.

use crate::chain::{self, Linked, START, open, with_link};
use crate::key::{PublicKeys, SealingKey};
use crate::merkle::{Frontier, leaf};
use crate::pending::Chains;
use crate::seal::Seal;
use crate::verify::{Found, Outcome, Verifier, Which};
use crate::{Digest, SEAL_TYPE, SEALS_STREAM};
use chrono::DateTime;
use std::collections::HashMap;
use uuid::Uuid;

/// An event as a store has it.
#[derive(Debug, Clone)]
pub struct Stored {
    pub stream: String,
    pub revision: u64,
    pub id: Uuid,
    pub event_type: String,
    pub data: Vec<u8>,
    pub metadata: Vec<u8>,
}

/// The log, with a seal after every seventh event.
pub struct History {
    pub key: SealingKey,
    pub log: Vec<Stored>,
}

pub const EVENTS: u64 = 40;
pub const BETWEEN_SEALS: usize = 7;

impl History {
    pub fn key() -> SealingKey {
        SealingKey::from_bytes(&[5; 32])
    }

    /// The first three seals are made with one key and the later ones with another.
    pub fn written_with_keys(old: &SealingKey, new: &SealingKey) -> Self {
        let mut writer = Writer::new(old.clone());
        for event in Self::written().log.into_iter().filter(|event| event.stream != SEALS_STREAM) {
            if writer.frontier.size() == 3 * BETWEEN_SEALS as u64 {
                writer.key = new.clone();
            }
            writer.append(event);
        }
        Self { key: new.clone(), log: writer.log }
    }

    pub fn written() -> Self {
        Self::written_chained_from(0)
    }

    /// The first events are from before there were chains.
    pub fn written_chained_from(first: u64) -> Self {
        let mut links = HashMap::<String, (u64, Digest)>::new();
        let mut writer = Writer::new(Self::key());
        for number in 0..EVENTS {
            let stream = format!("cart-{}", number % 3);
            let (revision, previous) =
                links.get(&stream).map_or((0, START), |(last, link)| (last + 1, *link));
            let (id, data) =
                (Uuid::from_u128(number.into()), format!(r#"{{"number":{number}}}"#).into_bytes());
            let metadata = br#"{"actor":"shopper"}"#.to_vec();
            let event_type = "cart.item_added.v1".to_owned();
            let is_chained = number >= first;
            let linked = Linked {
                stream: &stream,
                revision,
                id,
                event_type: &event_type,
                data: &data,
                metadata: if is_chained { open(&metadata) } else { &metadata },
            };
            let link = chain::link(&previous, &linked);
            links.insert(stream.clone(), (revision, link));
            let metadata = if is_chained { with_link(metadata, &link) } else { metadata };
            writer.append_linked(Stored { stream, revision, id, event_type, data, metadata }, &link);
        }
        Self { key: Self::key(), log: writer.log }
    }

    pub fn verified(&self) -> Outcome {
        self.verified_with(self.key.public().into(), vec![])
    }

    pub fn verified_with(&self, keys: PublicKeys, kept: Vec<Seal>) -> Outcome {
        let mut verifier = Verifier::new(keys);
        kept.into_iter().for_each(|seal| verifier.expect(seal));
        self.found().for_each(|found| verifier.add(&found));
        verifier.finish()
    }

    pub fn found(&self) -> impl Iterator<Item = Found<'_>> {
        (0..).zip(&self.log).map(|(position, event)| Found {
            stream: &event.stream,
            revision: event.revision,
            position,
            id: event.id,
            event_type: &event.event_type,
            data: &event.data,
            metadata: &event.metadata,
        })
    }

    pub fn seals(&self) -> Vec<Seal> {
        let seals = self.log.iter().filter(|event| event.stream == SEALS_STREAM);
        seals.map(|event| serde_json::from_slice(&event.data).unwrap()).collect()
    }

    /// Makes all seals anew with the present key, from what is in the log.
    pub fn seal_anew(&mut self) {
        self.log.retain(|event| event.stream != SEALS_STREAM);
        let facts = std::mem::take(&mut self.log);
        let mut writer = Writer::new(self.key.clone());
        for event in facts {
            writer.append(event);
        }
        self.log = writer.log;
    }

    /// The same where the first event is from before there were links.
    pub fn seal_anew_with_first_linked(&mut self) {
        let link = self.link(0);
        let mut digest = START;
        hex::decode_to_slice(link, &mut digest).unwrap();
        self.log.retain(|event| event.stream != SEALS_STREAM);
        let mut facts = std::mem::take(&mut self.log).into_iter();
        let mut writer = Writer::new(self.key.clone());
        writer.append_linked(facts.next().unwrap(), &digest);
        facts.for_each(|event| writer.append(event));
        self.log = writer.log;
    }

    /// Where the event with this number stands.
    pub fn at(&self, number: u64) -> usize {
        self.log.iter().position(|event| event.id == Uuid::from_u128(number.into())).unwrap()
    }

    pub fn which(&self, at: usize) -> Which {
        let event = &self.log[at];
        Which { stream: event.stream.clone(), revision: event.revision, position: at as u64 }
    }

    /// The link that the event at this place has or would have, in hexadecimal digits.
    pub fn link(&self, at: usize) -> String {
        let mut chains = Chains::default();
        let mut last = START;
        for found in self.found().take(at + 1).filter(|found| found.stream == self.log[at].stream) {
            let chain = chains.of(found.stream).1;
            let (computed, stored) = chain.link(&found);
            last = stored.unwrap_or(computed);
            chain.link = Some(last);
        }
        hex::encode(last)
    }

    /// Computes the revisions and the chain of a stream anew, as a forger would who knows how.
    pub fn chain_anew(&mut self, stream: &str) {
        let mut last = START;
        for (revision, event) in (0..).zip(self.log.iter_mut().filter(|event| event.stream == stream)) {
            event.revision = revision;
            let metadata = chain::split(&event.metadata).0.to_vec();
            let linked = Linked {
                stream,
                revision,
                id: event.id,
                event_type: &event.event_type,
                data: &event.data,
                metadata: &metadata,
            };
            last = chain::link(&last, &linked);
            event.metadata = with_link([metadata, b"}".to_vec()].concat(), &last);
        }
    }
}

/// Writes a log, with a seal after every seventh event.
struct Writer {
    key: SealingKey,
    log: Vec<Stored>,
    frontier: Frontier,
    since: Vec<Digest>,
    last: Option<Seal>,
    seals: u64,
}

impl Writer {
    fn new(key: SealingKey) -> Self {
        Self { key, log: vec![], frontier: Frontier::default(), since: vec![], last: None, seals: 0 }
    }

    fn append(&mut self, event: Stored) {
        let link = chain::split(&event.metadata).1.unwrap();
        self.append_linked(event, &link);
    }

    fn append_linked(&mut self, event: Stored, link: &Digest) {
        let position = self.log.len() as u64;
        let is_chained = chain::split(&event.metadata).1.is_some();
        self.log.push(event);
        self.frontier.push(leaf(link));
        self.since.push(leaf(link));
        // The first seal is made by a shop that knows of links.
        if self.since.len() >= BETWEEN_SEALS && is_chained {
            let at = (position, DateTime::UNIX_EPOCH);
            let seal = Seal::sign(&self.key, &self.frontier, self.last.as_ref(), &self.since, at);
            self.log.push(Stored {
                stream: SEALS_STREAM.to_owned(),
                revision: self.seals,
                id: Uuid::from_u128(u128::from(position) << 64),
                event_type: SEAL_TYPE.to_owned(),
                data: serde_json::to_vec(&seal).unwrap(),
                metadata: b"{}".to_vec(),
            });
            self.seals += 1;
            self.last = Some(seal);
            self.since.clear();
        }
    }
}
