//! What clients send besides their requests: above all the frames with which HTTP/2 steers a connection (PING, SETTINGS,
//! WINDOW_UPDATE, PRIORITY). Each costs work here, and no other limit counts them.
//!
//! Every byte that is read counts as overhead until a request, a piece of its body or a piece of its answer accounts for
//! it. What a connection sends beyond a small allowance is charged to its address, whose overhead has a rate. A
//! connection that is over the rate is read more slowly. It is not closed: the count is an estimate.

use axum::http::request::Parts;
use connection_limits::{Connection, PerSecond};
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use std::{fmt, io};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// The rate of an address, in bytes a second: some 2,000 frames.
const BYTES_PER_SECOND: u64 = 32 * 1024;
/// What an address may send at once after it was silent.
const BURST: Duration = Duration::from_secs(8);
/// The longest that an address waits, however much its connections have sent.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// What a connection may have sent that is not accounted for yet: heads that were read and not looked at.
const ALLOWANCE: i64 = 32 * 1024;
/// What a connection may be ahead: heads count as long as they are, and come compressed.
const MOST_AHEAD: i64 = 128 * 1024;
/// Of the frames around a request, and of those with which a client acknowledges its answer.
const OF_A_REQUEST: usize = 128;
/// Of the frames with which a client makes room for the next piece of an answer.
const OF_A_PIECE: usize = 64;
/// They come once for so many bytes of it at most.
const ANSWER_BYTES_FOR_ONE: usize = 256;
/// Of the frame around a piece of a body. A piece without a byte accounts for nothing, or a client could send them
/// without end.
const OF_A_BODYS_FRAME: usize = 16;
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

    /// Charges an address with so many bytes, and says how long to wait before the next ones are read.
    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
    fn charge(&self, address: IpAddr, bytes: u64, at: Instant) -> Duration {
        let rate = &self.paid_until[self.hasher.hash_one(address) as usize % RATES];
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        // What was not used counts back to the beginning of the burst.
        let now = micros(at.saturating_duration_since(self.begun) + BURST);
        let cost = bytes.saturating_mul(1_000_000) / BYTES_PER_SECOND;
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
    /// Bytes that are accounted for, less bytes that were read.
    ahead: AtomicI64,
}

impl Overhead {
    pub fn new(all: &Arc<Overheads>, address: IpAddr, connection: &Connection) -> Self {
        let (all, connection) = (Arc::clone(all), connection.clone());
        Self(Arc::new(State { all, address, connection, ahead: AtomicI64::new(0) }))
    }

    /// A request accounts for its head.
    pub fn request(&self, head: &Parts) {
        let headers = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len());
        let uri = head.uri.path_and_query().map_or(0, |path| path.as_str().len());
        self.accounts_for(OF_A_REQUEST + uri + headers.sum::<usize>());
    }

    /// A piece of a body accounts for itself.
    pub fn piece_of_body(&self, bytes: usize) {
        self.accounts_for(bytes + bytes.min(OF_A_BODYS_FRAME));
    }

    /// A piece of an answer accounts for what its client sends when it has it.
    pub fn piece_of_answer(&self, bytes: usize) {
        self.accounts_for(OF_A_PIECE + bytes / ANSWER_BYTES_FOR_ONE);
    }

    fn accounts_for(&self, bytes: usize) {
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let more = |ahead: i64| Some(ahead.saturating_add(bytes).min(MOST_AHEAD));
        // It always gives a value.
        let _ = self.0.ahead.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
    }

    fn was_read(&self, bytes: usize) {
        self.0.ahead.fetch_sub(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::Relaxed);
    }

    /// How long to wait before more is read.
    fn pause(&self) -> Duration {
        let over = -self.0.ahead.load(Ordering::Relaxed) - ALLOWANCE;
        let Some(over) = u64::try_from(over).ok().filter(|over| *over > 0) else { return Duration::ZERO };
        // From here on the address pays for it.
        self.0.ahead.fetch_add(over.cast_signed(), Ordering::Relaxed);
        let pause = self.0.all.charge(self.0.address, over, Instant::now());
        if !pause.is_zero() {
            self.0.connection.is_slowed();
            if let Some(times) = self.0.all.lines.line() {
                tracing::warn!(
                    address = %self.0.address,
                    times,
                    "a connection is read slowly: it sends much besides requests"
                );
            }
        }
        pause
    }
}

impl fmt::Debug for Overhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Overhead").field(&self.0.ahead).finish()
    }
}

/// A stream that is read as slowly as its overhead asks for.
pub(crate) struct Slowed<S> {
    stream: S,
    overhead: Overhead,
    pause: Option<Pin<Box<Sleep>>>,
}

impl<S> Slowed<S> {
    pub fn new(stream: S, overhead: Overhead) -> Self {
        Self { stream, overhead, pause: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Slowed<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.pause.is_none() {
            let pause = self.overhead.pause();
            self.pause = (!pause.is_zero()).then(|| Box::pin(sleep(pause)));
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buf);
        self.overhead.was_read(buf.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Slowed<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    const BURST_BYTES: u64 = BYTES_PER_SECOND * BURST.as_secs();

    #[test]
    fn an_address_has_a_burst_and_then_waits_for_what_it_sent() {
        let all = Overheads::new();
        let charge = |bytes, after| all.charge(ADDRESS, bytes, all.begun + Duration::from_secs(after));
        assert_eq!(charge(BURST_BYTES, 0), Duration::ZERO);
        assert_eq!(charge(2 * BYTES_PER_SECOND, 0), Duration::from_secs(2));
        // Other connections of the address wait behind it.
        assert_eq!(charge(BYTES_PER_SECOND, 1), Duration::from_secs(2));
        assert_eq!(charge(BYTES_PER_SECOND, 4), Duration::ZERO);
        assert_eq!(charge(BURST_BYTES, 1_000), Duration::ZERO);
        assert_eq!(charge(u64::MAX, 1_000), LONGEST_PAUSE);
        assert_eq!(charge(0, 1_000), LONGEST_PAUSE);
    }
}
