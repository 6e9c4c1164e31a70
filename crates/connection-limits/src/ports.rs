//! The ports of this process and what became of their connections.

use crate::acceptor::Limits;
use crate::clock::{self, has_lasted};
use crate::connection::{Connection, Cut, State};
use crate::network::counted_as;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// When there is no place left, this part of all places is made free at once: looking for the quietest costs more than
/// giving up a few.
const EVICTED_AT_ONCE: usize = 64;
/// A request that is under way for longer keeps its place only as long as nobody else needs it.
const LONG_REQUEST: Duration = Duration::from_secs(5);

static NUMBERS: AtomicU64 = AtomicU64::new(1);
static PORTS: Mutex<Vec<Weak<Port>>> = Mutex::new(Vec::new());

/// What became of a port's connections since it was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Those that are open now.
    pub open: u64,
    /// As many may be open.
    pub most: u64,
    /// Taken.
    pub accepted: u64,
    /// Closed at once, because there was no place and nobody who could make some.
    pub refused: u64,
    /// Closed to make place for others.
    pub evicted: u64,
    /// Those of them that had a whole request under way.
    pub evicted_busy: u64,
    /// Closed because no request came in time, or no more.
    pub timed_out: u64,
    /// Closed because their other end did not read.
    pub not_read: u64,
    /// Read slowly, because they sent much besides requests.
    pub slowed: u64,
}

/// The figures of all ports that are open in this process, by their names. Ports of one name are added together.
#[must_use]
pub fn figures() -> Vec<(&'static str, Figures)> {
    let mut ports = PORTS.lock().unwrap_or_else(PoisonError::into_inner);
    ports.retain(|port| port.strong_count() > 0);
    let mut all: Vec<(&'static str, Figures)> = Vec::new();
    for port in ports.iter().filter_map(Weak::upgrade) {
        let figures = port.figures();
        match all.iter_mut().find(|(name, _)| *name == port.name) {
            Some((_, sum)) => sum.add(&figures),
            None => all.push((port.name, figures)),
        }
    }
    all
}

impl Figures {
    fn add(&mut self, other: &Self) {
        self.open += other.open;
        self.most += other.most;
        self.accepted += other.accepted;
        self.refused += other.refused;
        self.evicted += other.evicted;
        self.evicted_busy += other.evicted_busy;
        self.timed_out += other.timed_out;
        self.not_read += other.not_read;
        self.slowed += other.slowed;
    }
}

/// A port with the connections that are open on it.
#[derive(Debug)]
pub(crate) struct Port {
    name: &'static str,
    most: usize,
    most_by_peer: usize,
    open: Mutex<Open>,
    /// A place became free.
    pub freed: Notify,
    accepted: AtomicU64,
    refused: AtomicU64,
    evicted_quiet: AtomicU64,
    evicted_busy: AtomicU64,
    timed_out: AtomicU64,
    not_read: AtomicU64,
    slowed: AtomicU64,
}

#[derive(Debug, Default)]
struct Open {
    connections: HashMap<u64, Arc<State>>,
    by_peer: HashMap<IpAddr, usize>,
}

impl Port {
    pub fn open(name: &'static str, most: usize, most_by_peer: usize) -> Arc<Self> {
        let zero = AtomicU64::default;
        let port = Arc::new(Self {
            name,
            most,
            most_by_peer,
            open: Mutex::default(),
            freed: Notify::new(),
            accepted: zero(),
            refused: zero(),
            evicted_quiet: zero(),
            evicted_busy: zero(),
            timed_out: zero(),
            not_read: zero(),
            slowed: zero(),
        });
        PORTS.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(&port));
        port
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it holds the lock.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from this address.
    pub fn place(self: &Arc<Self>, address: IpAddr) -> Option<Connection> {
        let peer = counted_as(address);
        let mut open = self.lock();
        if self.is_full(&open) || self.has_its_share(&open, peer) {
            return None;
        }
        let number = NUMBERS.fetch_add(1, Ordering::Relaxed);
        let state = Arc::new(State::new(number, peer, Arc::clone(self)));
        open.connections.insert(number, Arc::clone(&state));
        *open.by_peer.entry(peer).or_default() += 1;
        drop(open);
        self.accepted.fetch_add(1, Ordering::Relaxed);
        Some(Connection::new(state))
    }

    /// Tells connections to make place for one from this address. False if there is none that could. The quietest go
    /// first. If all have a request under way, those go that an address has more of than the newcomer's, and those whose
    /// request takes long: live pages, and answers that are not read, must not keep everybody else out.
    pub fn make_place(&self, address: IpAddr) -> bool {
        let peer = counted_as(address);
        let open = self.lock();
        let now = clock::now();
        let takes_long = |since: &u64| has_lasted(*since, LONG_REQUEST, now);
        if self.has_its_share(&open, peer) {
            let own = |state: &State| state.peer == peer;
            let busy = |state: &State| state.busy_since().filter(takes_long);
            return open.evict(1, Cut::EvictedQuiet, |state, _| state.quiet_since().filter(|_| own(state)))
                || open.evict(1, Cut::EvictedBusy, |state, _| busy(state).filter(|_| own(state)));
        }
        let of_newcomer = open.by_peer.get(&peer).copied().unwrap_or_default();
        let count = (self.most / EVICTED_AT_ONCE).max(1);
        open.evict(count, Cut::EvictedQuiet, |state, _| state.quiet_since())
            || open.evict(count, Cut::EvictedBusy, |state, of_its_peer| {
                let since = state.busy_since()?;
                (of_its_peer > of_newcomer.saturating_add(1) || takes_long(&since)).then_some(since)
            })
    }

    fn is_full(&self, open: &Open) -> bool {
        open.connections.len() >= self.most
    }

    fn has_its_share(&self, open: &Open, peer: IpAddr) -> bool {
        let of_peer = open.by_peer.get(&peer).copied().unwrap_or_default();
        of_peer >= self.most_by_peer && !peer.is_loopback()
    }

    /// Closes those that have not read an answer for this long: all, or those of one peer.
    pub fn give_up_unread(&self, after: Duration, of: Option<IpAddr>) {
        let now = clock::now();
        for state in self.lock().connections.values() {
            if of.is_none_or(|peer| state.peer == peer) && state.has_unread_answer(after, now) {
                state.cut(Cut::NotRead);
            }
        }
    }

    /// Closes those that have done something for too long.
    pub fn sweep(&self, limits: &Limits) {
        let now = clock::now();
        for state in self.lock().connections.values() {
            if let Some(why) = state.overdue(limits, now) {
                state.cut(why);
            }
        }
    }

    pub fn is_gone(&self, state: &State) {
        let mut open = self.lock();
        open.connections.remove(&state.number);
        if let Some(of_peer) = open.by_peer.get_mut(&state.peer) {
            *of_peer -= 1;
            if *of_peer == 0 {
                open.by_peer.remove(&state.peer);
            }
        }
        drop(open);
        self.freed.notify_one();
    }

    pub fn count(&self, why: Cut) {
        let counter = match why {
            Cut::NoRequest | Cut::Idle => &self.timed_out,
            Cut::NotRead => &self.not_read,
            Cut::EvictedQuiet => &self.evicted_quiet,
            Cut::EvictedBusy => &self.evicted_busy,
            Cut::HungUp => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_slowed(&self) {
        self.slowed.fetch_add(1, Ordering::Relaxed);
    }

    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    pub fn most(&self) -> usize {
        self.most
    }

    pub fn name(&self) -> &'static str {
        self.name
    }

    pub fn figures(&self) -> Figures {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let evicted_busy = of(&self.evicted_busy);
        Figures {
            open: self.lock().connections.len() as u64,
            most: self.most as u64,
            accepted: of(&self.accepted),
            refused: of(&self.refused),
            evicted: of(&self.evicted_quiet) + evicted_busy,
            evicted_busy,
            timed_out: of(&self.timed_out),
            not_read: of(&self.not_read),
            slowed: of(&self.slowed),
        }
    }
}

impl Open {
    /// Closes up to `count` connections that may be closed: first those of the peer that has the most, and of these those
    /// for which it has been so for the longest time. False if there is none.
    fn evict(&self, count: usize, why: Cut, since: impl Fn(&State, usize) -> Option<u64>) -> bool {
        let mut found: Vec<_> = self
            .connections
            .values()
            .filter_map(|state| {
                let of_its_peer = self.by_peer.get(&state.peer).copied().unwrap_or_default();
                Some(((Reverse(of_its_peer), since(state, of_its_peer)?, state.number), state))
            })
            .collect();
        if found.len() > count {
            found.select_nth_unstable_by_key(count, |(rank, _)| *rank);
            found.truncate(count);
        }
        found.iter().for_each(|(_, state)| state.cut(why));
        !found.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Request;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn the_quietest_makes_place_and_one_with_a_whole_request_does_not() {
        let port = Port::open("test", 2, 2);
        let [busy, quiet] = [1, 2].map(|last| port.place(address(last)).unwrap());
        let request = busy.request();
        assert!(port.place(address(3)).is_none() && port.make_place(address(3)));
        assert_eq!((busy.cut(), quiet.cut()), (None, Some(Cut::EvictedQuiet)));
        drop(quiet);
        let newcomer = port.place(address(3)).unwrap();
        let _second = newcomer.request();
        assert!(!port.make_place(address(4)));
        assert_eq!((busy.cut(), newcomer.cut()), (None, None));
        // A request that has not come whole holds no place.
        let _arriving = request.arriving();
        assert!(port.make_place(address(4)));
        assert_eq!(busy.cut(), Some(Cut::EvictedQuiet));
        let figures = port.figures();
        assert_eq!((figures.open, figures.accepted, figures.evicted), (2, 3, 2));
    }

    #[test]
    fn the_peer_with_the_most_connections_makes_place_first() {
        let port = Port::open("test", 3, 3);
        let ordinary = port.place(address(1)).unwrap();
        let many = [2, 2].map(|last| port.place(address(last)).unwrap());
        assert!(port.make_place(address(3)));
        assert_eq!((ordinary.cut(), many[0].cut()), (None, Some(Cut::EvictedQuiet)));
    }

    #[test]
    fn when_all_have_requests_under_way_the_peer_with_the_most_makes_place_for_others() {
        let port = Port::open("test", 4, 4);
        let ordinary = port.place(address(1)).unwrap();
        let many = [2, 2, 2].map(|last| port.place(address(last)).unwrap());
        let _requests: Vec<_> = many.iter().chain([&ordinary]).map(Connection::request).collect();
        // Not for one more of its own, as long as none takes long.
        assert!(!port.make_place(address(2)));
        assert!(port.make_place(address(3)));
        assert_eq!((ordinary.cut(), many[0].cut()), (None, Some(Cut::EvictedBusy)));
        let figures = port.figures();
        assert_eq!((figures.evicted, figures.evicted_busy), (1, 1));
    }

    #[test]
    fn a_peer_has_its_share_and_this_machine_has_none() {
        let port = Port::open("test", 9, 1);
        let only = port.place("2001:db8::1".parse().unwrap()).unwrap();
        let neighbour = "2001:db8::2".parse().unwrap();
        assert!(port.place(neighbour).is_none() && port.make_place(neighbour));
        assert_eq!(only.cut(), Some(Cut::EvictedQuiet));
        assert!(port.place("2001:db8:0:100::2".parse().unwrap()).is_some());
        let local = [(); 3].map(|()| port.place("::ffff:127.0.0.1".parse().unwrap()));
        assert!(local.iter().all(Option::is_some));
    }

    #[test]
    fn an_answer_that_nobody_reads_gives_its_connection_up() {
        let port = Port::open("test", 9, 9);
        let [reads, does_not] = [1, 2].map(|last| port.place(address(last)).unwrap());
        let requests = [reads.request(), does_not.request()];
        requests.iter().for_each(Request::offers);
        requests[0].was_taken();
        port.give_up_unread(Duration::ZERO, Some(address(1)));
        assert_eq!(does_not.cut(), None, "it is another peer's");
        port.give_up_unread(Duration::ZERO, Some(address(2)));
        assert_eq!((reads.cut(), does_not.cut()), (None, Some(Cut::NotRead)));
    }
}
