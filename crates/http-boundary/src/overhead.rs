//! What clients send besides their requests: over HTTP/2, the frames with which they steer a connection; over HTTP/1.1,
//! bodies in tiny chunks, which count as frames here. Each costs work, and no other limit counts them.
//!
//! The frames are counted as they are read. A request and each piece of an answer account for the few that belong to
//! them. What is left has a rate for each address, and a connection beyond it is read more slowly.

use crate::frames::Frames;
use connection_limits::{AddressRates, Connection, PerSecond};
use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep};

/// The rate of an address.
const FRAMES_PER_SECOND: NonZeroU32 = NonZeroU32::new(1_000).unwrap();
/// What a connection may have sent that is not accounted for yet.
const ALLOWANCE: i64 = 200;
/// What a connection may be ahead: clients answer many pieces of an answer at once, or none.
const MOST_AHEAD: i64 = 2_000;
/// Of the frames that belong to a request: an ordinary head of a kilobyte, which counts as 17, its body's end, its reset, and
/// what makes room for its answer.
const OF_A_REQUEST: i64 = 21;
/// Of those that make room for the next piece of an answer: one for the stream and one for the connection.
const OF_A_PIECE: i64 = 2;
/// The overhead of all addresses of a listener.
pub(crate) struct Overheads {
    frames: AddressRates,
    lines: PerSecond,
}

impl Overheads {
    pub fn new() -> Self {
        Self { frames: AddressRates::new(FRAMES_PER_SECOND), lines: PerSecond::once() }
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
        let pause = self.0.all.frames.charge(self.0.address, over);
        if !pause.is_zero() {
            self.slows();
        }
        pause
    }

    fn slows(&self) {
        self.0.connection.is_slowed();
        if let Some(times) = self.0.all.lines.line() {
            tracing::warn!(
                address = %self.0.address,
                times,
                "a connection is read slowly: it sends many frames that belong to no request, or bodies in tiny pieces"
            );
        }
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
    /// Nothing of it was read yet.
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
