//! The bodies of answers: whether their clients take them.

use crate::bodies::overloaded;
use crate::overhead::Overhead;
use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use connection_limits::{PerSecond, Request};
use http_body::{Body as _, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
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

/// The memory that all answers may have which are whole and not taken yet.
#[derive(Debug)]
pub(crate) struct Unread {
    most: u64,
    bytes: AtomicU64,
    looks: PerSecond,
}

impl Unread {
    pub fn new(most: u64) -> Self {
        Self { most, bytes: AtomicU64::new(0), looks: PerSecond::once() }
    }

    /// Takes so many bytes; false if there is no room for them.
    fn take(&self, bytes: u64) -> bool {
        let taken = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        let has_room = taken <= self.most || bytes <= SMALL_BYTES;
        if !has_room {
            self.give_back(bytes);
        }
        has_room
    }

    fn give_back(&self, bytes: u64) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

/// The body of an answer. The request is under way until it is dropped.
pub(crate) struct Answer {
    body: Body,
    request: Request,
    overhead: Overhead,
    unread: Arc<Unread>,
    bytes: u64,
    piece_bytes: usize,
    rest: Bytes,
}

impl Answer {
    /// The answer to a request; a refusal if too many answers are not taken.
    pub fn to(
        (request, overhead): (Request, Overhead),
        response: Response,
        is_multiplexed: bool,
        unread: &Arc<Unread>,
    ) -> Response<Self> {
        let mut response = response;
        let piece_bytes = if is_multiplexed { PIECE_BYTES } else { usize::MAX };
        let mut bytes = response.body().size_hint().exact().unwrap_or_default();
        if !unread.take(bytes) {
            if unread.looks.is_due() {
                tracing::warn!(
                    "too many answers are not read by their clients: those are closed that do not read"
                );
                request.give_up_unread(UNREAD_AT_MOST);
            }
            response = overloaded("Too many answers are not read yet: send the request again later.")
                .into_response();
            bytes = 0;
        }
        request.offers();
        let (unread, rest) = (Arc::clone(unread), Bytes::new());
        response.map(|body| Self { body, request, overhead, unread, bytes, piece_bytes, rest })
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
        self.unread.give_back(self.bytes);
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

    #[test]
    fn a_small_answer_has_room_when_large_ones_have_none() {
        let unread = Unread::new(100_000);
        assert!(unread.take(95_000));
        assert!(!unread.take(10_000));
        for _ in 0..3 {
            assert!(unread.take(SMALL_BYTES));
        }
        assert!(!unread.take(SMALL_BYTES + 1));
        unread.give_back(95_000);
        assert!(unread.take(10_000));
    }
}
