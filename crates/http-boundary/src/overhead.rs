//! What clients send besides their requests: over HTTP/2, the frames with which they steer a connection; over HTTP/1.1,
//! bodies in tiny chunks, which count as frames here. Each costs work, and no other limit counts them.
//!
//! The frames are counted as they are read. A request and each piece of an answer account for the few that belong to
//! them. What is left has a rate for each address, and a connection beyond it is read more slowly.

use crate::frames::Frames;
use connection_limits::{Connection, PerSecond};
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// The rate of an address.
const FRAMES_PER_SECOND: u64 = 1_000;
/// What an address may send at once after it was silent.
const BURST: Duration = Duration::from_secs(10);
/// The longest that an address waits, however much its connections have sent.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What a connection may have sent that is not accounted for yet.
const ALLOWANCE: i64 = 200;
/// What a connection may be ahead: clients answer many pieces of an answer at once, or none.
const MOST_AHEAD: i64 = 2_000;
/// Of the frames that belong to a request: its body's end, its reset, and what makes room for its answer.
const OF_A_REQUEST: i64 = 4;
/// Of those that make room for the next piece of an answer: one for the stream and one for the connection.
const OF_A_PIECE: i64 = 2;
/// Addresses share a rate if they fall together here, which nobody can bring about: the hash is a secret of the process.
const RATES: usize = 4096;

/// The overhead of all addresses of a listener.
pub(crate) struct Overheads {
    begun: Instant,
    /// In microseconds after `begun`: until when what came is paid for.
    paid_until: Box<[AtomicU64]>,
    hasher: RandomState,
    lines: PerSecond,
}

impl Overheads {
    pub fn new() -> Self {
        let paid_until = (0..RATES).map(|_| AtomicU64::new(0)).collect();
        Self { begun: Instant::now(), paid_until, hasher: RandomState::new(), lines: PerSecond::once() }
    }

    /// Charges an address with so many frames, and says how long to wait before the next ones are read.
    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
    fn charge(&self, address: IpAddr, frames: u64, at: Instant) -> Duration {
        let rate = &self.paid_until[self.hasher.hash_one(address) as usize % RATES];
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // What was not used counts back to the beginning of the burst.
        let now = micros(at.saturating_duration_since(self.begun) + BURST);
        let cost = frames.saturating_mul(1_000_000 / FRAMES_PER_SECOND);
        let paid = |before: u64| {
            let after = before.max(now - micros(BURST)).saturating_add(cost);
            Some(after.min(now + micros(LONGEST_PAUSE)))
        };
        let before = rate.fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid);
        let after = before.ok().and_then(paid).unwrap_or_default();
        Duration::from_micros(after.saturating_sub(now))
    }
}

/// The overhead of one connection. Cheap to clone; all clones are one.
#[derive(Clone)]
pub(crate) struct Overhead(Arc<State>);

struct State {
    all: Arc<Overheads>,
    address: IpAddr,
    connection: Connection,
    /// Frames that are accounted for, less frames that were read.
    ahead: AtomicI64,
}

impl Overhead {
    pub fn new(all: &Arc<Overheads>, address: IpAddr, connection: &Connection) -> Self {
        let (all, connection) = (Arc::clone(all), connection.clone());
        Self(Arc::new(State { all, address, connection, ahead: AtomicI64::new(0) }))
    }

    /// A request has come.
    pub fn request(&self) {
        self.accounts_for(OF_A_REQUEST);
    }

    /// A piece of an answer goes out.
    pub fn piece_of_answer(&self) {
        self.accounts_for(OF_A_PIECE);
    }

    fn accounts_for(&self, frames: i64) {
        let more = |ahead: i64| Some(ahead.saturating_add(frames).min(MOST_AHEAD));
        // It always gives a value.
        let _ = self.0.ahead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    /// So many frames were read. Says how long to wait before more are.
    pub fn was_read(&self, frames: i64) -> Duration {
        let ahead = self.0.ahead.fetch_sub(frames, Ordering::Relaxed) - frames;
        let Some(over) = u64::try_from(-ahead - ALLOWANCE).ok().filter(|over| *over > 0) else {
            return Duration::ZERO;
        };
        // From here on the address pays for it.
        self.0.ahead.fetch_add(over.cast_signed(), Ordering::Relaxed);
        let pause = self.0.all.charge(self.0.address, over, Instant::now());
        if !pause.is_zero() {
            self.0.connection.is_slowed();
            if let Some(times) = self.0.all.lines.line() {
                tracing::warn!(
                    address = %self.0.address,
                    times,
                    "a connection is read slowly: it sends many frames that belong to no request, or bodies in tiny pieces"
                );
            }
        }
        pause
    }
}

/// The reading half of a connection, which is read as slowly as its overhead asks for.
pub(crate) struct Slowed<R> {
    reader: R,
    frames: Frames,
    overhead: Overhead,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<R> Slowed<R> {
    pub fn new(reader: R, overhead: Overhead) -> Self {
        Self { reader, frames: Frames::default(), overhead, pause: None }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Slowed<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.reader).poll_read(context, buf);
        let frames = self.frames.count(&buf.filled()[before..]);
        if frames > 0 {
            let pause = self.overhead.was_read(frames);
            self.pause = (!pause.is_zero()).then(|| Box::pin(sleep(pause)));
        }
        read
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const BURST_FRAMES: u64 = FRAMES_PER_SECOND * BURST.as_secs();

    #[test]
    fn an_address_has_a_burst_and_then_waits_for_what_it_sent() {
        let all = Overheads::new();
        let charge = |frames, after| all.charge(ADDRESS, frames, all.begun + Duration::from_secs(after));
        assert_eq!(charge(BURST_FRAMES, 0), Duration::ZERO);
        assert_eq!(charge(2 * FRAMES_PER_SECOND, 0), Duration::from_secs(2));
        // Other connections of the address wait behind it.
        assert_eq!(charge(FRAMES_PER_SECOND, 1), Duration::from_secs(2));
        assert_eq!(charge(FRAMES_PER_SECOND, 4), Duration::ZERO);
        assert_eq!(charge(BURST_FRAMES, 1_000), Duration::ZERO);
        assert_eq!(charge(u64::MAX, 1_000), LONGEST_PAUSE);
        assert_eq!(charge(0, 1_000), LONGEST_PAUSE);
    }
}
