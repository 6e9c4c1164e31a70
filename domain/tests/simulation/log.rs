//! The event store: streams that are appended to at the revision that the writer expects, and one log of all.

use crate::audit::name_of;
use domain::cart::Cart;
use domain::inventory::Inventory;
use domain::order::Order;
use domain::{Aggregate, CartId, Event, OrderId, Sku};
use std::collections::BTreeMap;

/// Whose history it is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    Cart(CartId),
    Order(OrderId),
    Stock(Sku),
}

/// An event as it stands in the log.
#[derive(Debug, Clone)]
pub struct Entry {
    /// When it was recorded, in seconds.
    pub at: u64,
    pub stream: Stream,
    pub event: Event,
}

/// Somebody else has written since.
#[derive(Debug)]
pub struct Conflict;

#[derive(Debug, Default)]
pub struct Log {
    pub entries: Vec<Entry>,
    streams: BTreeMap<Stream, Vec<usize>>,
}

impl Log {
    /// How many events the stream has.
    pub fn revision(&self, stream: &Stream) -> usize {
        self.streams.get(stream).map_or(0, Vec::len)
    }

    /// The events of the stream after the first so many.
    pub fn since(&self, stream: &Stream, revision: usize) -> impl Iterator<Item = &Event> {
        let positions = self.streams.get(stream).map_or(&[][..], |positions| &positions[revision..]);
        positions.iter().map(|&position| &self.entries[position].event)
    }

    /// All events or none.
    pub fn append(
        &mut self,
        at: u64,
        stream: &Stream,
        expected: usize,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<(), Conflict> {
        if self.revision(stream) != expected {
            return Err(Conflict);
        }
        let positions = self.streams.entry(stream.clone()).or_default();
        for event in events {
            positions.push(self.entries.len());
            self.entries.push(Entry { at, stream: stream.clone(), event });
        }
        Ok(())
    }

    /// Of the names of all events in their order, as FNV-1a makes it: the same on every machine and for ever.
    pub fn digest(&self) -> String {
        let bytes = self.entries.iter().flat_map(|entry| name_of(&entry.event).bytes().chain([0]));
        let mixed = |digest: u64, byte: u8| (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3);
        format!("{:016x}", bytes.fold(0xCBF2_9CE4_8422_2325, mixed))
    }
}

/// An aggregate whose events stand in the log among others.
pub trait Kept: Aggregate {
    fn any(event: Self::Event) -> Event;
    fn of(event: &Event) -> Option<&Self::Event>;
}

macro_rules! kept {
    ($($aggregate:ident as $variant:ident),+ $(,)?) => {
        $(impl Kept for $aggregate {
            fn any(event: Self::Event) -> Event {
                Event::$variant(event)
            }

            fn of(event: &Event) -> Option<&Self::Event> {
                match event {
                    Event::$variant(event) => Some(event),
                    _ => None,
                }
            }
        })+
    };
}

kept!(Cart as Cart, Order as Order, Inventory as Inventory);
