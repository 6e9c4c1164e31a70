//! What is known of a connection, and by whom it is given up.

use crate::acceptor::Limits;
use crate::clock::{self, has_lasted};
use crate::ports::Port;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Why a connection is closed from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// It sent no whole request in time.
    NoRequest,
    /// Its last request was long ago. It may be closed in order.
    Idle,
    /// Its other end does not read.
    NotRead,
    /// Its place was needed, and it had no whole request under way.
    EvictedQuiet,
    /// Its place was needed, and it has had its request under way for long or is one of too many of its peer.
    EvictedBusy,
    /// Whoever answers on it wanted it so.
    HungUp,
}

impl Cut {
    const ALL: [Self; 6] =
        [Self::NoRequest, Self::Idle, Self::NotRead, Self::EvictedQuiet, Self::EvictedBusy, Self::HungUp];
}

/// A connection that was taken. Cheap to clone; its place is free when the last clone is gone.
#[derive(Debug, Clone)]
pub struct Connection(Arc<Place>);

/// What holds the connection's place. The port knows the state without holding the place.
#[derive(Debug)]
struct Place(Arc<State>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.port.is_gone(&self.0);
    }
}

#[derive(Debug)]
pub(crate) struct State {
    pub number: u64,
    pub peer: IpAddr,
    accepted: u64,
    /// When it was accepted, or when its last whole request was answered.
    quiet_since: AtomicU64,
    /// When the first byte of a request came that has not begun yet.
    head_since: AtomicU64,
    /// Since when the other end takes none of what is written.
    blocked_since: AtomicU64,
    under_way: AtomicU32,
    /// Those of them that have not come whole yet.
    arriving: AtomicU32,
    has_asked: AtomicBool,
    is_multiplexed: AtomicBool,
    is_slowed: AtomicBool,
    answers: Mutex<Vec<Arc<AtomicU64>>>,
    why: AtomicU8,
    cut: CancellationToken,
    port: Arc<Port>,
}

impl State {
    pub fn new(number: u64, peer: IpAddr, port: Arc<Port>) -> Self {
        let now = clock::now();
        Self {
            number,
            peer,
            accepted: now,
            quiet_since: AtomicU64::new(now),
            head_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            under_way: AtomicU32::new(0),
            arriving: AtomicU32::new(0),
            has_asked: AtomicBool::new(false),
            is_multiplexed: AtomicBool::new(false),
            is_slowed: AtomicBool::new(false),
            answers: Mutex::default(),
            why: AtomicU8::new(0),
            cut: CancellationToken::new(),
            port,
        }
    }

    /// Since when it has had no whole request; nothing while it has one, or is cut already.
    pub fn quiet_since(&self) -> Option<u64> {
        let whole = self.under_way.load(Ordering::Relaxed) > self.arriving.load(Ordering::Relaxed);
        let is_quiet = !whole && !self.cut.is_cancelled();
        is_quiet.then(|| self.quiet_since.load(Ordering::Relaxed))
    }

    /// Since when it has had a whole request, or for longer than that; nothing while it has none, or is cut already.
    pub fn busy_since(&self) -> Option<u64> {
        let whole = self.under_way.load(Ordering::Relaxed) > self.arriving.load(Ordering::Relaxed);
        (whole && !self.cut.is_cancelled()).then(|| self.quiet_since.load(Ordering::Relaxed))
    }

    pub fn cut(&self, why: Cut) {
        if self.why.compare_exchange(0, why as u8 + 1, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.port.count(why);
            self.cut.cancel();
        }
    }

    /// What it has done for too long.
    pub fn overdue(&self, limits: &Limits, now: u64) -> Option<Cut> {
        let lasted = |since: &AtomicU64, limit| has_lasted(since.load(Ordering::Relaxed), limit, now);
        if lasted(&self.blocked_since, limits.unread) || self.has_unread_answer(limits.unread, now) {
            return Some(Cut::NotRead);
        }
        if self.under_way.load(Ordering::Relaxed) > 0 {
            return None;
        }
        let has_asked = self.has_asked.load(Ordering::Relaxed);
        if lasted(&self.head_since, limits.head)
            || (!has_asked && has_lasted(self.accepted, limits.head, now))
        {
            return Some(Cut::NoRequest);
        }
        lasted(&self.quiet_since, limits.idle).then_some(Cut::Idle)
    }

    pub fn has_unread_answer(&self, limit: Duration, now: u64) -> bool {
        self.answers().iter().any(|offered| has_lasted(offered.load(Ordering::Relaxed), limit, now))
    }

    fn answers(&self) -> MutexGuard<'_, Vec<Arc<AtomicU64>>> {
        // Nothing panics while it holds the lock.
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    pub(crate) fn new(state: Arc<State>) -> Self {
        Self(Arc::new(Place(state)))
    }

    fn state(&self) -> &State {
        &self.0.0
    }

    /// A number that no other connection of this process has.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.state().number
    }

    /// Has it closed.
    pub fn close(&self, why: Cut) {
        self.state().cut(why);
    }

    /// Waits until it is to be closed.
    pub async fn is_cut(&self) {
        self.state().cut.cancelled().await;
    }

    /// Whether it is to be closed, and why.
    #[must_use]
    pub fn cut(&self) -> Option<Cut> {
        let why = self.state().why.load(Ordering::Relaxed);
        Cut::ALL.into_iter().find(|cut| *cut as u8 + 1 == why)
    }

    /// Is cancelled when it is to be closed.
    #[must_use]
    pub fn cut_token(&self) -> CancellationToken {
        self.state().cut.clone()
    }

    /// Many requests may be under way at once, as in HTTP/2: bytes that come need not belong to a new one.
    pub fn is_multiplexed(&self) {
        if !self.state().is_multiplexed.load(Ordering::Relaxed) {
            self.state().is_multiplexed.store(true, Ordering::Relaxed);
            self.state().head_since.store(0, Ordering::Relaxed);
        }
    }

    /// It is read slowly, because it sends much besides requests. Counts once.
    pub fn is_slowed(&self) {
        if !self.state().is_slowed.swap(true, Ordering::Relaxed) {
            self.state().port.count_slowed();
        }
    }

    /// Bytes came.
    pub(crate) fn has_read(&self) {
        let state = self.state();
        let awaits_head = state.under_way.load(Ordering::Relaxed) == 0
            && !state.is_multiplexed.load(Ordering::Relaxed)
            && state.head_since.load(Ordering::Relaxed) == 0;
        if awaits_head {
            state.head_since.store(clock::now(), Ordering::Relaxed);
        }
    }

    /// Bytes went out, or the other end took none.
    pub(crate) fn has_written(&self, went: bool) {
        let blocked = &self.state().blocked_since;
        match (went, blocked.load(Ordering::Relaxed)) {
            (true, 0) => {}
            (true, _) => blocked.store(0, Ordering::Relaxed),
            (false, 0) => blocked.store(clock::now(), Ordering::Relaxed),
            (false, _) => {}
        }
    }

    /// A request has begun. It is under way until what this gives is dropped, which is when its answer has gone out.
    #[must_use]
    pub fn request(&self) -> Request {
        let state = self.state();
        state.under_way.fetch_add(1, Ordering::Relaxed);
        state.head_since.store(0, Ordering::Relaxed);
        state.has_asked.store(true, Ordering::Relaxed);
        let offered = Arc::new(AtomicU64::new(0));
        state.answers().push(Arc::clone(&offered));
        Request { connection: self.clone(), offered }
    }
}

/// A request that is under way.
#[derive(Debug)]
pub struct Request {
    connection: Connection,
    /// Since when the other end has not asked for more of the answer.
    offered: Arc<AtomicU64>,
}

impl Request {
    /// More of it is still to come. Until what this gives is dropped, it holds its connection's place against nobody.
    #[must_use]
    pub fn arriving(&self) -> Arriving {
        self.connection.state().arriving.fetch_add(1, Ordering::Relaxed);
        Arriving(self.connection.clone())
    }

    /// Closes connections of the same port that have left an answer unread for so long, all or those of one peer: memory is
    /// short.
    pub fn give_up_unread(&self, after: Duration, of: Option<IpAddr>) {
        self.connection.state().port.give_up_unread(after, of);
    }

    /// A piece of the answer is there for the other end to take.
    pub fn offers(&self) {
        self.offered.store(clock::now(), Ordering::Relaxed);
    }

    /// The other end has taken what was there.
    pub fn was_taken(&self) {
        self.offered.store(0, Ordering::Relaxed);
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        let state = self.connection.state();
        state.answers().retain(|offered| !Arc::ptr_eq(offered, &self.offered));
        state.quiet_since.store(clock::now(), Ordering::Relaxed);
        state.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A request that has not come whole yet.
#[derive(Debug)]
pub struct Arriving(Connection);

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.state().arriving.fetch_sub(1, Ordering::Relaxed);
    }
}
