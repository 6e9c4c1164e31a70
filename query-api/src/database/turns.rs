//! Who may ask the database next. As many as it has connections for; the others wait, in turn by address and, behind one
//! address, by connection: who sends a thousand questions at once delays their own, and another's by one or two.

use http_boundary::Client;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// How many wait.
#[derive(Debug, Clone, Copy)]
pub struct Waiting {
    pub of_a_connection: usize,
    pub of_an_address: usize,
    pub of_all: usize,
}

/// The places. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Turns {
    room: Arc<Mutex<Room>>,
    at_most: Waiting,
}

/// A place, until it is dropped.
pub struct Turn(Option<Turns>);

/// Too many wait already.
#[derive(Debug, PartialEq, Eq)]
pub struct Full;

#[derive(Default)]
struct Room {
    free: usize,
    waiting: usize,
    addresses: Line<IpAddr, Address>,
}

/// Those behind one address.
#[derive(Default)]
struct Address {
    waiting: usize,
    connections: Line<u64, VecDeque<oneshot::Sender<Turn>>>,
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
    /// So many places, all free.
    pub fn new(places: usize, at_most: Waiting) -> Self {
        Self { room: Arc::new(Mutex::new(Room { free: places, ..Room::default() })), at_most }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// At once, when as many wait as may.
    pub async fn take(&self, client: Client) -> Result<Turn, Full> {
        let called = {
            let mut room = self.lock();
            if room.free > 0 {
                room.free -= 1;
                return Ok(Turn(Some(self.clone())));
            }
            room.wait(client, self.at_most)?
        };
        // The place that frees a waiter is never dropped without calling somebody.
        called.await.map_err(|_| Full)
    }

    fn give_back(&self) {
        let mut room = self.lock();
        loop {
            let Some(next) = room.call() else {
                room.free += 1;
                return;
            };
            // Nobody is there any more: the next one, without coming here again.
            match next.send(Turn(Some(self.clone()))) {
                Ok(()) => return,
                Err(turn) => turn.forget(),
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Room> {
        // Nothing panics while it holds the lock.
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many wait now.
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }
}

impl Turn {
    fn forget(mut self) {
        self.0 = None;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.give_back();
        }
    }
}

impl Room {
    fn wait(&mut self, client: Client, at_most: Waiting) -> Result<oneshot::Receiver<Turn>, Full> {
        let address = self.addresses.waiting.get(&client.address);
        let of_an_address = address.map_or(0, |address| address.waiting);
        let of_a_connection = address.and_then(|address| address.connections.waiting.get(&client.connection));
        if self.waiting >= at_most.of_all
            || of_an_address >= at_most.of_an_address
            || of_a_connection.map_or(0, VecDeque::len) >= at_most.of_a_connection
        {
            return Err(Full);
        }
        let (call, called) = oneshot::channel();
        self.waiting += 1;
        let address = self.addresses.of(client.address);
        address.waiting += 1;
        address.connections.of(client.connection).push_back(call);
        Ok(called)
    }

    fn call(&mut self) -> Option<oneshot::Sender<Turn>> {
        let called = self.addresses.turn(|address| {
            address.waiting = address.waiting.saturating_sub(1);
            address
                .connections
                .turn(|calls| (calls.pop_front(), calls.is_empty()))
                .map_or((None, true), |call| (Some(call), address.waiting == 0))
        })?;
        self.waiting = self.waiting.saturating_sub(1);
        Some(called)
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
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::BoxFuture;
    use std::net::Ipv4Addr;

    const AT_MOST: Waiting = Waiting { of_a_connection: 100, of_an_address: 1_000, of_all: 2_000 };

    fn client(address: u32, connection: u64) -> Client {
        Client { address: Ipv4Addr::from_bits(address).into(), connection }
    }

    type Waiter = BoxFuture<'static, Result<Turn, Full>>;

    /// Somebody who has asked for a place and waits.
    fn waiter(turns: &Turns, client: Client) -> Waiter {
        let turns = turns.clone();
        let mut waiter = async move { turns.take(client).await }.boxed();
        assert!((&mut waiter).now_or_never().is_none(), "{client:?} has a place");
        waiter
    }

    /// Gives the place back until this one has it: so many had it before.
    async fn before(mut place: Turn, mut others: Vec<Waiter>, mut waiter: Waiter) -> usize {
        for served in 0.. {
            drop(place);
            if (&mut waiter).now_or_never().is_some_and(|turn| turn.is_ok()) {
                return served;
            }
            let called = |(at, other): (usize, &mut Waiter)| Some((at, other.now_or_never()?));
            let (at, turn) = others.iter_mut().enumerate().find_map(called).expect("somebody has it");
            drop(others.swap_remove(at));
            place = turn.expect("there was room");
        }
        unreachable!("a turn comes")
    }

    async fn take(turns: &Turns) -> Turn {
        turns.take(client(9, 9)).await.expect("a place is free")
    }

    #[tokio::test]
    async fn a_flood_over_one_connection_delays_another_by_one() {
        let turns = Turns::new(1, AT_MOST);
        let place = take(&turns).await;
        let flood: Vec<_> = (0..100).map(|_| waiter(&turns, client(1, 1))).collect();
        let visitor = waiter(&turns, client(1, 2));
        assert_eq!(before(place, flood, visitor).await, 1);
    }

    #[tokio::test]
    async fn a_flood_over_many_connections_delays_another_address_by_one() {
        let turns = Turns::new(1, AT_MOST);
        let place = take(&turns).await;
        let flood: Vec<_> = (0..500).map(|connection| waiter(&turns, client(1, connection))).collect();
        let visitor = waiter(&turns, client(2, 7_777));
        assert_eq!(before(place, flood, visitor).await, 1);
    }

    #[tokio::test]
    async fn connections_of_one_address_have_their_turns() {
        let turns = Turns::new(1, AT_MOST);
        let place = take(&turns).await;
        let flood: Vec<_> = (0..300).map(|number| waiter(&turns, client(1, number % 100))).collect();
        let visitor = waiter(&turns, client(1, 7_777));
        assert_eq!(before(place, flood, visitor).await, 100);
    }

    #[tokio::test]
    async fn each_bound_refuses_at_once_and_nobody_else() {
        let at_most = Waiting { of_a_connection: 2, of_an_address: 3, of_all: 4 };
        let turns = Turns::new(1, at_most);
        let _place = take(&turns).await;
        let _waiting = [waiter(&turns, client(1, 1)), waiter(&turns, client(1, 1))];
        assert!(matches!(turns.take(client(1, 1)).now_or_never(), Some(Err(Full))));
        let _another = waiter(&turns, client(1, 2));
        assert!(matches!(turns.take(client(1, 3)).now_or_never(), Some(Err(Full))));
        let _elsewhere = waiter(&turns, client(2, 4));
        assert!(matches!(turns.take(client(3, 5)).now_or_never(), Some(Err(Full))));
    }

    #[tokio::test]
    async fn who_went_away_neither_has_a_place_nor_keeps_one() {
        let turns = Turns::new(1, AT_MOST);
        let place = take(&turns).await;
        let gone: Vec<_> = (0..10).map(|number| waiter(&turns, client(number, 1))).collect();
        let mut staying = waiter(&turns, client(99, 1));
        drop(gone);
        drop(place);
        let turn = (&mut staying).now_or_never().expect("it is called").expect("there was room");
        assert_eq!(turns.waiting(), 0);
        // Called, and gone before it noticed.
        let called = waiter(&turns, client(5, 1));
        drop(turn);
        drop(called);
        take(&turns).await;
    }
}
