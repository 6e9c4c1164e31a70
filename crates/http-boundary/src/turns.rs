//! Whose turn it is. As many as there are places; the others wait, in turn by address and, behind one address, by
//! connection: a client that sends a thousand requests at once delays its own, and another's by one or two.
//!
//! Busy connections, which send more than a person does, have only a few places for each address, and a few for all
//! addresses together, even if more are free: the processor is shared by all, and a place that a flood may not have leaves
//! it to others.

use crate::Client;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::oneshot;

/// How many have a place, and how many wait.
#[derive(Debug, Clone, Copy)]
pub struct TurnLimits {
    /// How many have a place at once.
    pub places: usize,
    /// Of these, the busy connections of one address. At least one, whatever it says.
    pub places_of_a_busy_address: usize,
    /// Of these, the busy connections of all addresses together. At least one, whatever it says.
    pub places_of_the_busy: usize,
    /// How many requests of one connection wait.
    pub waiting_of_a_connection: usize,
    /// How many requests from one address wait.
    pub waiting_of_an_address: usize,
    /// How many wait in all.
    pub waiting: usize,
    /// How long one waits.
    pub patience: Duration,
}

impl TurnLimits {
    /// Places for the busy connections of all addresses: one for each processor, and two at least.
    #[must_use]
    pub fn places_of_the_busy() -> usize {
        std::thread::available_parallelism().map_or(1, NonZeroUsize::get).max(2)
    }
}

/// The places. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Turns {
    room: Arc<Mutex<Room>>,
    limits: TurnLimits,
}

/// A place, until it is dropped.
pub struct Turn {
    turns: Option<Turns>,
    client: Client,
}

/// Too many wait already, or the turn did not come in time.
#[derive(Debug, PartialEq, Eq)]
pub struct NoTurn;

#[derive(Default)]
struct Room {
    free: usize,
    waiting: usize,
    /// Of those that wait, the ones on connections that are not busy.
    ordinary_waiting: usize,
    /// Places that busy connections have, by address, and in all.
    busy: HashMap<IpAddr, usize>,
    all_busy: usize,
    addresses: Line<IpAddr, Address>,
}

/// Those behind one address.
#[derive(Default)]
struct Address {
    waiting: usize,
    /// Connections that are not busy come first.
    ordinary: Line<u64, VecDeque<Call>>,
    busy: Line<u64, VecDeque<Call>>,
}

/// How one that waits is called.
struct Call {
    client: Client,
    call: oneshot::Sender<Turn>,
}

/// Some of whom each has their own that wait, and who of them is next.
struct Line<K, W> {
    next: VecDeque<K>,
    waiting: HashMap<K, W>,
}

impl<K, W> Default for Line<K, W> {
    fn default() -> Self {
        Self { next: VecDeque::new(), waiting: HashMap::new() }
    }
}

impl Turns {
    /// All places are free.
    #[must_use]
    pub fn new(limits: TurnLimits) -> Self {
        let room = Room { free: limits.places, ..Room::default() };
        Self { room: Arc::new(Mutex::new(room)), limits }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// At once when as many wait as may, and later when the turn did not come in time.
    pub async fn take(&self, client: Client) -> Result<Turn, NoTurn> {
        let called = {
            let mut room = self.lock();
            if room.has_place_for(client, &self.limits) {
                return Ok(self.give(&mut room, client));
            }
            room.wait(client, &self.limits)?
        };
        // The place that is given to one that waits is never dropped without a call to somebody.
        let called = tokio::time::timeout(self.limits.patience, called).await;
        called.ok().and_then(Result::ok).ok_or(NoTurn)
    }

    fn give(&self, room: &mut Room, client: Client) -> Turn {
        room.free -= 1;
        if client.is_busy {
            *room.busy.entry(client.address).or_default() += 1;
            room.all_busy += 1;
        }
        Turn { turns: Some(self.clone()), client }
    }

    fn give_back(&self, client: Client) {
        let mut room = self.lock();
        room.take_back(client);
        while let Some(next) = room.call(&self.limits) {
            let turn = self.give(&mut room, next.client);
            // If nobody is there any more, the next one is called, without coming here again.
            if let Err(turn) = next.call.send(turn) {
                room.take_back(next.client);
                turn.forget();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        // Nothing panics while it holds the lock.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }
}

impl Turn {
    fn forget(mut self) {
        self.turns = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.turns.take() {
            turns.give_back(self.client);
        }
    }
}

impl Room {
    fn has_place_for(&self, client: Client, limits: &TurnLimits) -> bool {
        self.free > 0 && (!client.is_busy || self.busy_may_have_more(client.address, limits))
    }

    fn busy_may_have_more(&self, address: IpAddr, limits: &TurnLimits) -> bool {
        self.all_busy < limits.places_of_the_busy.max(1)
            && self.busy.get(&address).copied().unwrap_or_default() < limits.places_of_a_busy_address.max(1)
    }

    fn take_back(&mut self, client: Client) {
        self.free += 1;
        if client.is_busy
            && let Some(busy) = self.busy.get_mut(&client.address)
        {
            *busy -= 1;
            self.all_busy -= 1;
            if *busy == 0 {
                self.busy.remove(&client.address);
            }
        }
    }

    fn wait(&mut self, client: Client, limits: &TurnLimits) -> Result<oneshot::Receiver<Turn>, NoTurn> {
        let address = self.addresses.waiting.get(&client.address);
        let of_an_address = address.map_or(0, |address| address.waiting);
        let of_a_connection = address.map_or(0, |address| address.of(client.connection));
        if self.waiting >= limits.waiting
            || of_an_address >= limits.waiting_of_an_address
            || of_a_connection >= limits.waiting_of_a_connection
        {
            return Err(NoTurn);
        }
        let (call, called) = oneshot::channel();
        self.waiting += 1;
        self.ordinary_waiting += usize::from(!client.is_busy);
        let address = self.addresses.of(client.address);
        address.waiting += 1;
        let line = if client.is_busy { &mut address.busy } else { &mut address.ordinary };
        line.of(client.connection).push_back(Call { client, call });
        Ok(called)
    }

    /// The next one that may have a place, if one is free. Of the addresses that wait, those with nothing but busy connections
    /// are passed over if these have all that they may have.
    fn call(&mut self, limits: &TurnLimits) -> Option<Call> {
        let busy_have_all = self.all_busy >= limits.places_of_the_busy.max(1);
        if self.free == 0 || busy_have_all && self.ordinary_waiting == 0 {
            return None;
        }
        for _ in 0..self.addresses.next.len() {
            let next = self.addresses.next.front().copied()?;
            let busy_too = self.busy_may_have_more(next, limits);
            if let Some(called) = self.addresses.turn(|address| address.call(busy_too)) {
                self.waiting = self.waiting.saturating_sub(1);
                self.ordinary_waiting -= usize::from(!called.client.is_busy);
                return Some(called);
            }
        }
        None
    }
}

impl Address {
    /// How many wait of one connection.
    fn of(&self, connection: u64) -> usize {
        let lines = [&self.ordinary, &self.busy];
        lines.into_iter().filter_map(|line| line.waiting.get(&connection)).map(VecDeque::len).sum()
    }

    fn call(&mut self, busy_too: bool) -> (Option<Call>, bool) {
        let next = |calls: &mut VecDeque<Call>| (calls.pop_front(), calls.is_empty());
        let called = self.ordinary.turn(next).or_else(|| busy_too.then(|| self.busy.turn(next)).flatten());
        self.waiting -= usize::from(called.is_some());
        (called, self.waiting == 0)
    }
}

impl<K: Copy + Eq + std::hash::Hash, W: Default> Line<K, W> {
    /// What waits of this one, who takes part from now on.
    fn of(&mut self, key: K) -> &mut W {
        self.waiting.entry(key).or_insert_with(|| {
            self.next.push_back(key);
            W::default()
        })
    }

    /// The next one's turn: what is taken from those that wait, and whether that was the last of them.
    fn turn<C>(&mut self, take: impl FnOnce(&mut W) -> (Option<C>, bool)) -> Option<C> {
        let key = self.next.pop_front()?;
        let (called, is_last) = take(self.waiting.get_mut(&key)?);
        if is_last {
            self.waiting.remove(&key);
        } else {
            self.next.push_back(key);
        }
        called
    }
}

#[cfg(test)]
mod tests;
