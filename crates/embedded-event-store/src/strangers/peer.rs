//! A connection, and how fast it is read until a user calls over it.
//!
//! HTTP/2 keeps what comes before anybody asks for it: megabytes for each connection, so that users' appends are quick.
//! A connection over which no user has called yet is read slowly instead. So what it can make us keep is little, whatever
//! it sends: messages that never end, streams that nobody allowed, or headers alone.

use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use connection_limits::{Connection, counted_as};
use futures::task::AtomicWaker;
use tokio::time::{Instant, Sleep, sleep_until};

/// What may be read at once, as the time in which it would come at the speed of a stranger. A user's first headers are much
/// less. Each small request in it may be a stream at the same moment, and HTTP/2 keeps room for as many as there ever were.
const AT_ONCE: Duration = Duration::from_secs(1);
/// The longest pause. Longer ones would let the connection's PINGs go unanswered, which closes it.
const LONGEST_PAUSE: Duration = Duration::from_secs(12);
/// A refusal counts as what could be read in this time.
const REFUSAL: Duration = Duration::from_millis(20);

/// A connection as the calls over it know it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Peer(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    place: Connection,
    address: IpAddr,
    /// Of a connection without a user.
    bytes_a_second: u64,
    /// A user has called over it.
    has_user: AtomicBool,
    accepted: Instant,
    /// Microseconds since it was accepted, at which everything read so far would have come at the speed of a stranger.
    due: AtomicU64,
    waiting: AtomicWaker,
}

impl Peer {
    /// A new connection from this address. Without a user, so many bytes a second are read from it.
    pub fn new(place: Connection, address: IpAddr, bytes_a_second: u64) -> Self {
        Peer(Arc::new(Inner {
            place,
            address: counted_as(address),
            bytes_a_second,
            has_user: AtomicBool::new(false),
            accepted: Instant::now(),
            due: AtomicU64::new(0),
            waiting: AtomicWaker::new(),
        }))
    }

    /// The connection's place.
    pub fn place(&self) -> &Connection {
        &self.0.place
    }

    /// The client that it counts as.
    pub fn address(&self) -> IpAddr {
        self.0.address
    }

    /// A user calls over it: from now on it is read as it comes.
    pub fn has_user(&self) {
        if !self.0.has_user.load(Ordering::Relaxed) {
            self.0.has_user.store(true, Ordering::Release);
            self.0.waiting.wake();
        }
    }

    /// Something was refused over it.
    pub fn was_refused(&self) {
        self.owes(REFUSAL);
    }

    /// So many bytes were read from it.
    pub fn has_read(&self, bytes: usize) {
        if !self.0.has_user.load(Ordering::Relaxed) {
            self.owes(Duration::from_micros(bytes as u64 * 1_000_000 / self.0.bytes_a_second));
        }
    }

    fn owes(&self, time: Duration) {
        let now = micros(self.0.accepted.elapsed());
        let most = now + micros(AT_ONCE + LONGEST_PAUSE);
        let later = |due: u64| Some((due.max(now) + micros(time)).min(most));
        // It always gives a value.
        let _ = self.0.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    }

    /// Ready when it may be read.
    pub fn poll_turn(&self, sleep: &mut Option<Pin<Box<Sleep>>>, context: &mut Context<'_>) -> Poll<()> {
        loop {
            if self.0.has_user.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            let due = Duration::from_micros(self.0.due.load(Ordering::Relaxed)).saturating_sub(AT_ONCE);
            if due <= self.0.accepted.elapsed() {
                return Poll::Ready(());
            }
            self.0.waiting.register(context.waker());
            // A user may have called just before that.
            if self.0.has_user.load(Ordering::Acquire) {
                return Poll::Ready(());
            }
            let until = self.0.accepted + due;
            let sleep = sleep.get_or_insert_with(|| Box::pin(sleep_until(until)));
            sleep.as_mut().reset(until);
            ready!(sleep.as_mut().poll(context));
        }
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use connection_limits::{Acceptor, Share};
    use futures::{FutureExt, future::poll_fn};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;
    use crate::config::Config;

    async fn peer() -> (Peer, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut acceptor = Acceptor::new(Share::EVENT_STORE, Config::new("").connections, None);
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (_, address, place) = acceptor.accept(&listener).await;
        (Peer::new(place, address.ip(), 1_000), client)
    }

    fn is_read(peer: &Peer) -> bool {
        poll_fn(|context| peer.poll_turn(&mut None, context)).now_or_never().is_some()
    }

    #[tokio::test]
    async fn a_stranger_is_read_slowly_and_a_user_at_once() {
        let (peer, _client) = peer().await;
        peer.has_read(900);
        assert!(is_read(&peer), "a second's worth is read at once");
        peer.has_read(1_000_000);
        assert!(!is_read(&peer));
        let waiting = tokio::spawn({
            let peer = peer.clone();
            async move { poll_fn(|context| peer.poll_turn(&mut None, context)).await }
        });
        tokio::task::yield_now().await;
        peer.has_user();
        waiting.await.unwrap();
        peer.has_read(1_000_000);
        assert!(is_read(&peer));
    }

    #[tokio::test]
    async fn refusals_slow_a_stranger_down_and_no_pause_is_too_long() {
        let (peer, _client) = peer().await;
        (0..40).for_each(|_| peer.was_refused());
        assert!(is_read(&peer));
        (0..1_000_000).for_each(|_| peer.was_refused());
        assert!(!is_read(&peer));
        let due = Duration::from_micros(peer.0.due.load(Ordering::Relaxed)) - peer.0.accepted.elapsed();
        assert!(due <= AT_ONCE + LONGEST_PAUSE, "{due:?}");
    }
}
