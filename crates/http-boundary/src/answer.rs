//! The bodies of answers: whether their clients take them.

use crate::bodies::overloaded;
use crate::overhead::Overhead;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use connection_limits::{PerSecond, Request};
use http_body::{Body as _, Frame, SizeHint};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// When answers have no room left, those are given up that nobody has taken for so long.
const UNREAD_AT_MOST: Duration = Duration::from_secs(1);

/// Over HTTP/2, an answer goes out in pieces of this size: one whose client gives it no window stays with us and is
/// noticed, and only its last piece is beyond our reach.
const PIECE_BYTES: usize = 16 * 1024;

/// Answers of so many bytes always have room: most that shoppers and operators get, and all that commands get. Somebody
/// who fills the room with large answers must not keep others from hearing that they have paid. What they take in all is
/// bounded by the requests that connections may have in work.
const SMALL_BYTES: u64 = 4 * 1024;

/// Of the room that is left, an address has so great a part: forty that fill theirs leave a twelfth of all.
const PART_OF_AN_ADDRESS: u64 = 16;

/// Whose answers are counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taker {
    /// A client's, by its address.
    Address(IpAddr),
    /// Those of clients without limits: they may fill the room.
    Unlimited,
    /// The operator's, who has as much room again: strangers who fill theirs keep nobody from looking what goes on.
    Operator,
}

/// The memory that all answers may have which are whole and not taken yet.
#[derive(Debug)]
pub(crate) struct Unread {
    of_strangers: Room,
    of_operators: Room,
    looks: PerSecond,
    /// So that one address that asks on and on keeps nobody from making room for all.
    looks_of_addresses: PerSecond,
}

/// Who has to read first.
#[derive(Debug, PartialEq, Eq)]
enum NoRoom {
    ForAnybody,
    /// The address has its part of the room, and others have theirs.
    ForAddress(IpAddr),
}

/// Room for so many bytes.
#[derive(Debug)]
struct Room {
    most: u64,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    bytes: u64,
    /// Of those, the bytes of large answers, by address.
    by_address: HashMap<IpAddr, u64>,
}

impl Unread {
    pub fn new(most: u64) -> Self {
        let room = || Room { most, taken: Mutex::default() };
        Self {
            of_strangers: room(),
            of_operators: room(),
            looks: PerSecond::once(),
            looks_of_addresses: PerSecond::once(),
        }
    }

    /// Takes so many bytes, if there is room for them.
    fn take(&self, taker: Taker, bytes: u64) -> Result<(), NoRoom> {
        match taker {
            Taker::Address(address) => self.of_strangers.take(Some(address), bytes),
            Taker::Unlimited => self.of_strangers.take(None, bytes),
            Taker::Operator => self.of_operators.take(None, bytes),
        }
    }

    /// Closes those that do not read, so that there is room again for whom there is none.
    fn make_room(&self, no_room: &NoRoom, request: &Request) {
        let (looks, of) = match no_room {
            NoRoom::ForAnybody => (&self.looks, None),
            // Of clients behind a proxy none is closed: its connections are everybody's.
            NoRoom::ForAddress(address) => (&self.looks_of_addresses, Some(*address)),
        };
        if looks.is_due() {
            tracing::warn!(
                address = of.map(tracing::field::display),
                "too many answers are not read by their clients: those are closed that do not read"
            );
            request.give_up_unread(UNREAD_AT_MOST, of);
        }
    }

    fn give_back(&self, taker: Taker, bytes: u64) {
        match taker {
            Taker::Address(address) => self.of_strangers.give_back(Some(address), bytes),
            Taker::Unlimited => self.of_strangers.give_back(None, bytes),
            Taker::Operator => self.of_operators.give_back(None, bytes),
        }
    }
}

impl Room {
    /// An address has one large answer whenever there is room for it, and beyond that no more than a part of what is left
    /// free: however many addresses take all that they can, there is some left for the next one.
    fn take(&self, address: Option<IpAddr>, bytes: u64) -> Result<(), NoRoom> {
        let mut taken = self.lock();
        let left = self.most.saturating_sub(taken.bytes);
        if bytes > SMALL_BYTES {
            let of_address = address.and_then(|address| taken.by_address.get(&address)).copied().unwrap_or(0);
            let Some(leaves) = left.checked_sub(bytes) else { return Err(NoRoom::ForAnybody) };
            if let Some(address) = address {
                if of_address > 0 && of_address.saturating_add(bytes) > leaves / PART_OF_AN_ADDRESS {
                    return Err(NoRoom::ForAddress(address));
                }
                *taken.by_address.entry(address).or_default() += bytes;
            }
        }
        taken.bytes += bytes;
        Ok(())
    }

    fn give_back(&self, address: Option<IpAddr>, bytes: u64) {
        let mut taken = self.lock();
        taken.bytes -= bytes;
        let Some(address) = address.filter(|_| bytes > SMALL_BYTES) else { return };
        if let Entry::Occupied(mut of_address) = taken.by_address.entry(address) {
            *of_address.get_mut() -= bytes;
            if *of_address.get() == 0 {
                of_address.remove();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        // Nothing panics while it holds the lock.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The body of an answer. The request is under way until it is dropped.
pub(crate) struct Answer {
    body: Body,
    request: Request,
    overhead: Overhead,
    unread: Arc<Unread>,
    taker: Taker,
    bytes: u64,
    piece_bytes: usize,
    rest: Bytes,
}

impl Answer {
    /// The answer to a request; a refusal if too many answers are not taken.
    pub fn to(
        (request, overhead): (Request, Overhead),
        (response, taker): (Response, Taker),
        is_multiplexed: bool,
        unread: &Arc<Unread>,
    ) -> Response<Self> {
        let mut response = response;
        let piece_bytes = if is_multiplexed { PIECE_BYTES } else { usize::MAX };
        let mut bytes = response.body().size_hint().exact().unwrap_or_default();
        if let Err(no_room) = unread.take(taker, bytes) {
            unread.make_room(&no_room, &request);
            response = overloaded("Too many answers are not read yet: send the request again later.")
                .into_response();
            bytes = 0;
        }
        request.offers();
        let (unread, rest) = (Arc::clone(unread), Bytes::new());
        response.map(|body| Self { body, request, overhead, unread, taker, bytes, piece_bytes, rest })
    }

    /// The next piece of what the body gave last.
    fn piece(&mut self) -> Frame<Bytes> {
        let bytes = self.rest.len().min(self.piece_bytes);
        self.overhead.piece_of_answer();
        Frame::data(self.rest.split_to(bytes))
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.unread.give_back(self.taker, self.bytes);
    }
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // The next piece is asked for when the one before has been passed on.
        self.request.was_taken();
        if !self.rest.is_empty() {
            self.request.offers();
            return Poll::Ready(Some(Ok(self.piece())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_some() {
            self.request.offers();
        }
        Poll::Ready(frame.map(|frame| {
            frame.map(|frame| match frame.into_data() {
                Ok(data) => {
                    self.rest = data;
                    self.piece()
                }
                Err(frame) => frame,
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn stranger(number: u32) -> Taker {
        Taker::Address(Ipv4Addr::from_bits(number).into())
    }

    #[test]
    fn a_small_answer_has_room_when_large_ones_have_none() {
        let unread = Unread::new(100_000);
        for taker in [Taker::Unlimited, Taker::Operator] {
            assert_eq!(unread.take(taker, 95_000), Ok(()));
            assert_eq!(unread.take(taker, 10_000), Err(NoRoom::ForAnybody));
            for _ in 0..3 {
                assert_eq!(unread.take(taker, SMALL_BYTES), Ok(()));
                assert_eq!(unread.take(stranger(1), SMALL_BYTES), Ok(()));
            }
            assert!(unread.take(taker, SMALL_BYTES + 1).is_err());
            unread.give_back(taker, 95_000);
        }
        assert_eq!(unread.take(Taker::Operator, 10_000), Ok(()));
    }

    #[test]
    fn forty_addresses_that_take_all_they_can_leave_room_for_another() {
        let unread = Unread::new(10_000_000);
        let mut taken = Vec::new();
        for number in 0..40 {
            let of_one = (0..1_000).take_while(|_| unread.take(stranger(number), 10_000).is_ok()).count();
            taken.push(of_one);
        }
        assert_eq!(taken[0], 58, "a seventeenth");
        let Taker::Address(first) = stranger(0) else { panic!("it has an address") };
        assert_eq!(unread.take(stranger(0), 10_000), Err(NoRoom::ForAddress(first)));
        assert_eq!(unread.take(stranger(40), 800_000), Ok(()), "one that is large");
        assert!(unread.take(stranger(40), 10_000).is_err());
        assert_eq!(unread.take(Taker::Operator, 9_000_000), Ok(()), "strangers fill their own room only");
        unread.give_back(stranger(40), 800_000);
        for (number, count) in (0..40).zip(taken) {
            (0..count).for_each(|_| unread.give_back(stranger(number), 10_000));
        }
        assert!(unread.of_strangers.lock().by_address.is_empty());
        assert_eq!(unread.take(stranger(41), 10_000_000), Ok(()), "all of it is back");
    }
}
