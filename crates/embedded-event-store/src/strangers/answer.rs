//! Answers to strangers: whether they are taken.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, Bytes};
use http_body::{Frame, SizeHint};

use super::Visit;

/// The body of an answer. The stranger's place is taken until it is dropped, and its connection is given up if it leaves
/// the answer unread.
pub struct Answer {
    body: Body,
    visit: Visit,
}

impl Answer {
    /// The answer to a visit.
    pub fn new(body: Body, visit: Visit) -> Self {
        visit.request.offers();
        Answer { body, visit }
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
        self.visit.request.was_taken();
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        if frame.is_some() {
            self.visit.request.offers();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
