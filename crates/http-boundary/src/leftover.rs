//! What is left of a request's body when the request is answered before all of it was read.
//!
//! hyper keeps an HTTP/1.1 connection only if the rest of the body is there already, and says nothing when it closes it. So
//! the rest is looked for here first: what has come is read, and otherwise the answer says that it is the last one.

use crate::bodies::ArrivingBody;
use futures::poll;
use http_body::{Body, Frame, SizeHint};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::oneshot;
use tokio::task::yield_now;

/// So often it is looked for more. Small bodies come in one piece, and the rest of a large one is not waited for.
const LOOKS: usize = 4;

/// A body that comes back when it is dropped before its end.
pub(crate) struct Lent {
    body: Option<ArrivingBody>,
    back: Option<oneshot::Sender<ArrivingBody>>,
}

/// Gets the body back.
pub(crate) struct Lender(oneshot::Receiver<ArrivingBody>);

/// Lends a body to those who answer.
pub(crate) fn lend(body: ArrivingBody) -> (Lent, Lender) {
    let (back, lender) = oneshot::channel();
    (Lent { body: Some(body), back: Some(back) }, Lender(lender))
}

impl Lender {
    /// Whether some of the body has not come, and nobody will read it any more. A client that `waits_for_word` (`Expect:
    /// 100-continue`) has not sent it, and to look for it would give that word.
    pub async fn has_unread_rest(mut self, waits_for_word: bool) -> bool {
        let Ok(mut body) = self.0.try_recv() else { return false };
        if waits_for_word {
            return true;
        }
        for _ in 0..LOOKS {
            if body.is_end_stream() {
                return false;
            }
            match poll!(poll_fn(|context| Pin::new(&mut body).poll_frame(context))) {
                Poll::Ready(None) => return false,
                Poll::Ready(Some(Err(_))) => return true,
                Poll::Ready(Some(Ok(_))) => {}
                // The connection passes on what it has when it knows that it is wanted.
                Poll::Pending => yield_now().await,
            }
        }
        true
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take()) {
            // Without a lender nobody wants it.
            let _ = back.send(body);
        }
    }
}

impl Body for Lent {
    type Data = <ArrivingBody as Body>::Data;
    type Error = <ArrivingBody as Body>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let Some(body) = &mut self.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(context);
        if matches!(frame, Poll::Ready(None)) {
            self.body = None;
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
