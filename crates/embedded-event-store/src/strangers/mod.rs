//! Callers who have not said who they are, or not rightly: what is taken from them, and what is kept for them.
//!
//! A user may use the store as far as it goes. Strangers get what is open to everybody, but little of it at once: each
//! address so many answers a second, so many calls and pages under way, and messages that are small and come whole in
//! time. What is beyond that is refused before anything is read. `--open` stores have no users: everybody's calls are those
//! of a user there, and only pages are limited.

mod answer;
mod arriving;
mod peer;
mod places;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use connection_limits::{Connection, KnownAddresses, NewConnections, PerSecond, Request, counted_as};
use governor::clock::DefaultClock;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use tonic::Code;

use crate::config::StrangerLimits;

pub use answer::Answer;
pub use arriving::{Arriving, Most};
pub use peer::Peer;
use places::{Full, Place, Places};

/// When there is no place left, connections are given up that have left an answer unread for so long.
const UNREAD_AT_MOST: Duration = Duration::from_secs(1);
/// Addresses that are remembered before those are forgotten that have their whole share again.
const ADDRESSES: usize = 10_000;
/// Bytes a second that are read from a connection without a user, and from one where strangers may append.
const BYTES_A_SECOND: u64 = 16 * 1024;
const BYTES_A_SECOND_OF_APPENDS: u64 = 256 * 1024;

/// Why a stranger is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its address asks too often.
    TooOften,
    /// Too much is under way.
    TooMany,
    /// All strangers together have sent too much that is unfinished.
    NoRoom,
    /// What it sends is too long.
    TooLong,
    /// What it sends did not come whole in time.
    Late,
    /// It names a user with another password, or nobody that there is.
    WrongPassword,
}

impl Why {
    const ALL: [Why; 6] =
        [Why::TooOften, Why::TooMany, Why::NoRoom, Why::TooLong, Why::Late, Why::WrongPassword];

    /// What the measurements call it.
    fn name(self) -> &'static str {
        match self {
            Why::TooOften => "rate",
            Why::TooMany => "under_way",
            Why::NoRoom => "room",
            Why::TooLong => "size",
            Why::Late => "late",
            Why::WrongPassword => "password",
        }
    }

    /// The status of a call.
    pub fn code(self) -> Code {
        match self {
            Why::TooOften | Why::TooMany | Why::NoRoom | Why::TooLong => Code::ResourceExhausted,
            Why::Late => Code::DeadlineExceeded,
            Why::WrongPassword => Code::Unauthenticated,
        }
    }

    /// What the caller reads.
    pub fn sentence(self) -> &'static str {
        match self {
            Why::TooOften => "Your address asks too often without a user; log in, or wait a second.",
            Why::TooMany => "Too many calls without a user are under way; log in, or call again later.",
            Why::NoRoom => "Callers without a user have sent too much at once; log in, or call again later.",
            Why::TooLong => "A message without a user must be smaller; log in to send it.",
            Why::Late => "The message did not come whole in time; send it faster, or log in.",
            Why::WrongPassword => "The user or the password is wrong.",
        }
    }
}

/// What a stranger asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// A call, which may last.
    Call,
    /// A page.
    Page,
}

/// The strangers of a store.
#[derive(Debug)]
pub struct Strangers {
    limits: StrangerLimits,
    /// Where users have called from.
    users: Arc<KnownAddresses>,
    bytes_a_second: u64,
    rate: RateLimiter<IpAddr, HashMapStateStore<IpAddr>, DefaultClock>,
    calls: Arc<Places>,
    pages: Arc<Places>,
    /// Bytes of messages that have not come whole.
    unfinished: AtomicUsize,
    refused: [AtomicU64; Why::ALL.len()],
    lines: PerSecond,
    sweeps: PerSecond,
    looks: PerSecond,
}

/// What is kept while a stranger is answered.
#[derive(Debug)]
pub struct Visit {
    request: Request,
    _place: Place,
}

impl Strangers {
    /// Within these limits. Whether strangers may append says how fast their connections are read.
    pub fn new(limits: StrangerLimits, may_append: bool) -> Arc<Self> {
        let quota = Quota::per_second(limits.a_second).allow_burst(limits.at_once);
        Arc::new(Strangers {
            limits,
            users: Arc::default(),
            bytes_a_second: if may_append { BYTES_A_SECOND_OF_APPENDS } else { BYTES_A_SECOND },
            rate: RateLimiter::hashmap(quota),
            calls: Places::new(limits.calls, limits.by_address),
            pages: Places::new(limits.pages, limits.by_address),
            unfinished: AtomicUsize::new(0),
            refused: Default::default(),
            lines: PerSecond::once(),
            sweeps: PerSecond::once(),
            looks: PerSecond::once(),
        })
    }

    /// How many new connections an address may make: as many as answers that it may have. Who makes them is not known yet; but
    /// where users have called from, they may connect again.
    pub fn new_connections(&self) -> NewConnections {
        let users = Arc::clone(&self.users);
        NewConnections {
            a_second: self.limits.a_second,
            are_exempt: Arc::new(move |address| users.has(counted_as(address))),
        }
    }

    /// A user calls.
    pub fn is_user(&self, peer: &Peer) {
        self.users.note(peer.address());
        peer.has_user();
    }

    /// A new connection: a stranger's, until a user calls over it.
    pub fn peer(&self, place: Connection, address: IpAddr) -> Peer {
        Peer::new(place, address, self.bytes_a_second)
    }

    /// Lets a stranger ask, or says why not.
    pub fn admit(&self, peer: &Peer, asks: Asks) -> Result<Visit, Why> {
        if self.rate.check_key(&peer.address()).is_err() {
            return Err(self.refuse(peer, Why::TooOften));
        }
        if self.rate.len() > ADDRESSES && self.sweeps.is_due() {
            self.rate.retain_recent();
        }
        let places = match asks {
            Asks::Call => &self.calls,
            Asks::Page => &self.pages,
        };
        let request = peer.place().request();
        match places.take(peer.address()) {
            Ok(place) => Ok(Visit { request, _place: place }),
            Err(full) => {
                if full == Full::All && self.looks.is_due() {
                    request.give_up_unread(UNREAD_AT_MOST, None);
                }
                Err(self.refuse(peer, Why::TooMany))
            }
        }
    }

    /// Somebody tries a password that is wrong.
    pub fn has_wrong_password(&self, peer: &Peer) {
        self.refuse(peer, Why::WrongPassword);
    }

    /// Counts a refusal, and has its connection read more slowly.
    fn refuse(&self, peer: &Peer, why: Why) -> Why {
        peer.was_refused();
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
        if let Some(times) = self.lines.line() {
            let (address, reason) = (peer.address(), why.name());
            tracing::warn!(%address, reason, times, "callers without a user are refused");
        }
        why
    }

    /// How many were refused, and why.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        Why::ALL.map(|why| (why.name(), self.refused[why as usize].load(Ordering::Relaxed))).to_vec()
    }
}
