//! The bodies of requests: how long they may take, and how much memory they may have together.
//!
//! No handler knows of this. A body that is late, or for which there is no room, ends in an error, and whatever the
//! handler makes of that, the answer becomes the problem document for it.

use crate::Problem;
use crate::frames::SMALL;
use crate::overhead::Overhead;
use api::problem;
use bytes::Bytes;
use connection_limits::{Arriving, Request};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::time::{Instant, Sleep, sleep, sleep_until};

/// After its first part of the time, a body has to come at this rate, in bytes a second.
const LEAST_RATE: f64 = 1024.0;
/// The first part: a sixth.
const PATIENCE_AT_FIRST: u32 = 6;
/// A late body is noticed after so long at most, even if its time became shorter meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// So much of each body comes out of a room of its own, so that large bodies cannot keep ordinary requests out.
const ORDINARY_BYTES: usize = 16 * 1024;
/// This part of the room is for it.
const ORDINARY_PART: usize = 4;
/// A body that announces more than there is room for waits for this part of its time, before any of it is read: a client
/// that is refused at once sends it again at once, which costs more than to let it wait.
const FOR_ROOM: u32 = 12;
/// It is looked so often whether there is room.
const LOOK_FOR_ROOM_EVERY: Duration = Duration::from_millis(200);
/// What each piece of a body costs in memory besides its bytes until all have come: a body in pieces of one byte took 37
/// times as much as was counted.
const PIECE_COST: usize = 64;
/// Of its time a body has this much left when the room is full.
const LEAST_PATIENCE: f64 = 0.05;

/// The room for all bodies, and their time.
#[derive(Debug)]
pub(crate) struct Room {
    within: Duration,
    ordinary: Pool,
    large: Pool,
}

#[derive(Debug)]
struct Pool {
    bytes: usize,
    taken: AtomicUsize,
}

impl Pool {
    fn new(bytes: usize) -> Self {
        Self { bytes, taken: AtomicUsize::new(0) }
    }

    fn take(&self, bytes: usize) -> bool {
        let before = self.taken.fetch_add(bytes, Ordering::Relaxed);
        let has_room = before.saturating_add(bytes) <= self.bytes;
        if !has_room {
            self.give_back(bytes);
        }
        has_room
    }

    fn has_room(&self, bytes: usize) -> bool {
        self.taken.load(Ordering::Relaxed).saturating_add(bytes) <= self.bytes
    }

    fn give_back(&self, bytes: usize) {
        self.taken.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// How much of it is free, from 0 to 1.
    fn free(&self) -> f64 {
        let free = self.bytes.saturating_sub(self.taken.load(Ordering::Relaxed));
        free as f64 / self.bytes.max(1) as f64
    }
}

impl Room {
    /// A room of so many bytes, in which a body may take so long.
    pub fn new(bytes: usize, within: Duration) -> Self {
        let ordinary = bytes / ORDINARY_PART;
        Self { within, ordinary: Pool::new(ordinary), large: Pool::new(bytes - ordinary) }
    }

    /// Whether a body of so many bytes would find room now.
    fn has_room(&self, bytes: usize) -> bool {
        let (ordinary, large) = parts(0, bytes);
        self.ordinary.has_room(ordinary) && self.large.has_room(large)
    }

    /// Whole while at least half of the room is free, then ever less.
    fn patience(&self) -> f64 {
        (2.0 * self.ordinary.free().min(self.large.free())).clamp(LEAST_PATIENCE, 1.0)
    }

    /// When a body is late of which so much has come.
    fn deadline(&self, started: Instant, received: usize) -> Instant {
        let patience = self.patience();
        let within = self.within.mul_f64(patience);
        let at_this_rate = within / PATIENCE_AT_FIRST + Duration::from_secs_f64(received as f64 / LEAST_RATE);
        started + within.min(at_this_rate)
    }
}

/// What became of a body. It holds the body's bytes in the room until the request is answered.
#[derive(Debug)]
pub(crate) struct Arrival {
    room: Arc<Room>,
    /// Bytes that have come.
    received: AtomicUsize,
    /// Bytes that are taken of the room for them.
    taken: AtomicUsize,
    failed: AtomicU8,
}

const LATE: u8 = 1;
const NO_ROOM: u8 = 2;

impl Arrival {
    fn new(room: &Arc<Room>) -> Self {
        let (received, taken) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Self { room: Arc::clone(room), received, taken, failed: AtomicU8::new(0) }
    }

    /// The answer if the body did not come whole because of us.
    pub fn problem(&self) -> Option<Problem> {
        match self.failed.load(Ordering::Relaxed) {
            LATE => Some(Problem::new(
                problem::REQUEST_TIMEOUT,
                "The body of the request did not come whole in time: send the request again.",
            )),
            NO_ROOM => {
                Some(overloaded("Too many requests with a body are under way: send the request again later."))
            }
            _ => None,
        }
    }

    fn fail(&self, why: u8) -> BodyFailed {
        self.failed.store(why, Ordering::Relaxed);
        BodyFailed
    }

    /// Takes room for the next piece; false if there is none.
    fn take_piece(&self, bytes: usize) -> bool {
        self.received.fetch_add(bytes, Ordering::Relaxed);
        self.take(bytes + PIECE_COST)
    }

    fn take(&self, bytes: usize) -> bool {
        let before = self.taken.load(Ordering::Relaxed);
        let (ordinary, large) = parts(before, bytes);
        if !self.room.ordinary.take(ordinary) {
            return false;
        }
        if !self.room.large.take(large) {
            self.room.ordinary.give_back(ordinary);
            return false;
        }
        self.taken.store(before + bytes, Ordering::Relaxed);
        true
    }
}

/// How a piece after so many bytes is divided between the two rooms.
fn parts(before: usize, bytes: usize) -> (usize, usize) {
    let ordinary = bytes.min(ORDINARY_BYTES.saturating_sub(before));
    (ordinary, bytes - ordinary)
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let (ordinary, large) = parts(0, self.taken.load(Ordering::Relaxed));
        self.room.ordinary.give_back(ordinary);
        self.room.large.give_back(large);
    }
}

/// The refusal of what there is no room for at the moment.
pub(crate) fn overloaded(detail: &str) -> Problem {
    Problem::new(problem::OVERLOADED, detail).retry_after(1)
}

/// A body that arrives.
pub(crate) struct ArrivingBody {
    body: Incoming,
    started: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    arrival: Arc<Arrival>,
    arriving: Option<Arriving>,
    /// How many bytes its head announced, until there is room for them.
    announced: Option<usize>,
    /// What its small pieces are charged to. None over HTTP/2, where they are frames, which are counted as they are read.
    charged_to: Option<Overhead>,
    /// Before the next piece is read.
    pause: Option<Pin<Box<Sleep>>>,
}

impl ArrivingBody {
    /// The body of a request, and what becomes of it.
    pub fn new(
        body: Incoming,
        request: &Request,
        room: &Arc<Room>,
        charged_to: Option<Overhead>,
    ) -> (Self, Arc<Arrival>) {
        let arrival = Arc::new(Arrival::new(room));
        let announced = body.size_hint().exact().and_then(|bytes| usize::try_from(bytes).ok());
        let (arriving, started) = (Some(request.arriving()), Instant::now());
        let known = Arc::clone(&arrival);
        let (timer, pause) = (None, None);
        let body = Self { body, started, timer, arrival: known, arriving, announced, charged_to, pause };
        (body, arrival)
    }

    /// A piece has come: small ones cost more than their bytes.
    fn charge(&mut self, bytes: usize) {
        let Some(charged_to) = self.charged_to.as_ref().filter(|_| bytes < SMALL as usize) else { return };
        let pause = charged_to.was_read(1);
        self.pause = (!pause.is_zero()).then(|| Box::pin(sleep(pause)));
    }

    fn poll_pause(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(context));
            self.pause = None;
        }
        Poll::Ready(())
    }

    /// Waits until there is room for what was announced; false if there was none in time.
    fn poll_room(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let Some(announced) = self.announced else { return Poll::Ready(true) };
        loop {
            let now = Instant::now();
            if self.arrival.room.has_room(announced) {
                (self.announced, self.started, self.timer) = (None, now, None);
                return Poll::Ready(true);
            }
            if now >= self.started + self.arrival.room.within / FOR_ROOM {
                return Poll::Ready(false);
            }
            let look = now + LOOK_FOR_ROOM_EVERY;
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(look)));
            timer.as_mut().reset(look);
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Waits until the body is late; ready if it is.
    fn poll_late(&mut self, context: &mut Context<'_>) -> Poll<()> {
        loop {
            let received = self.arrival.received.load(Ordering::Relaxed);
            let deadline = self.arrival.room.deadline(self.started, received);
            let now = Instant::now();
            if now >= deadline {
                return Poll::Ready(());
            }
            let look = deadline.min(now + LOOK_EVERY);
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(look)));
            timer.as_mut().reset(look);
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl Body for ArrivingBody {
    type Data = Bytes;
    type Error = axum::BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::BoxError>>> {
        // Before any of it is read: what comes of it would be thrown away.
        match self.poll_room(context) {
            Poll::Ready(true) => {}
            Poll::Ready(false) => return Poll::Ready(Some(Err(self.arrival.fail(NO_ROOM).into()))),
            Poll::Pending => return Poll::Pending,
        }
        let polled = match self.poll_pause(context) {
            Poll::Ready(()) => Pin::new(&mut self.body).poll_frame(context),
            Poll::Pending => Poll::Pending,
        };
        match polled {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                self.charge(bytes);
                if self.body.is_end_stream() {
                    self.arriving = None;
                }
                let has_room = self.arrival.take_piece(bytes);
                let frame = if has_room { Ok(frame) } else { Err(self.arrival.fail(NO_ROOM).into()) };
                Poll::Ready(Some(frame))
            }
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error.into()))),
            Poll::Ready(None) => {
                self.arriving = None;
                Poll::Ready(None)
            }
            Poll::Pending => self.poll_late(context).map(|()| Some(Err(self.arrival.fail(LATE).into()))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The body did not come whole because of us; `Arrival` says why.
#[derive(Debug)]
struct BodyFailed;

impl fmt::Display for BodyFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the body was given up")
    }
}

impl std::error::Error for BodyFailed {}

#[cfg(test)]
mod tests {
    use super::*;

    fn arrival(room: &Arc<Room>) -> Arrival {
        Arrival::new(room)
    }

    #[test]
    fn large_bodies_leave_room_for_ordinary_ones_and_all_of_it_comes_back() {
        let room = Arc::new(Room::new(4 * 64 * 1024, Duration::from_secs(60)));
        let large = arrival(&room);
        assert!(large.take(ORDINARY_BYTES) && large.take(3 * 64 * 1024) && !large.take(1));
        assert!(room.has_room(ORDINARY_BYTES) && !room.has_room(ORDINARY_BYTES + 1));
        let ordinary = [arrival(&room), arrival(&room), arrival(&room)];
        assert!(ordinary.iter().all(|body| body.take(ORDINARY_BYTES)));
        let next = arrival(&room);
        assert!(!next.take(1));
        drop((large, ordinary));
        assert!(next.take(ORDINARY_BYTES + 3 * 64 * 1024));
        drop(next);
        assert_eq!(room.ordinary.taken.load(Ordering::Relaxed) + room.large.taken.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_body_in_many_pieces_takes_the_room_that_the_pieces_take() {
        let room = Arc::new(Room::new(4 * 64 * 1024, Duration::from_secs(60)));
        let body = arrival(&room);
        let pieces = (0..10_000).take_while(|_| body.take_piece(1)).count();
        assert_eq!(pieces, (ORDINARY_BYTES + 3 * 64 * 1024) / (1 + PIECE_COST));
        drop(body);
        assert!(room.has_room(ORDINARY_BYTES + 3 * 64 * 1024));
    }

    #[test]
    fn a_body_has_a_sixth_of_its_time_and_more_as_it_comes_but_less_when_room_is_short() {
        let room = Arc::new(Room::new(4 * 64 * 1024, Duration::from_secs(60)));
        let started = Instant::now();
        let seconds = |received| (room.deadline(started, received) - started).as_secs_f64();
        assert_eq!([seconds(0), seconds(5 * 1024), seconds(1024 * 1024)], [10.0, 15.0, 60.0]);
        let large = arrival(&room);
        assert!(large.take(ORDINARY_BYTES) && large.take(3 * 64 * 1024));
        assert_eq!([seconds(0), seconds(1024 * 1024)], [0.5, 3.0]);
    }
}
