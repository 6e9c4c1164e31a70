//! The bodies of answers.

use bytes::Bytes;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue};
use http_body::{Body, Frame};
use hyper::body::Incoming;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

/// How a node ends a call, or refuses it.
#[derive(Debug, Clone, Copy)]
pub enum Refusal {
    /// Another node leads.
    NotLeader(SocketAddr),
    /// No leader is known.
    NoLeader,
    /// The same, of groups.
    NotReady,
}

impl Refusal {
    /// The status and the trailers that go with it.
    pub fn trailers(self) -> HeaderMap {
        let (status, message) = match self {
            Self::NotLeader(_) => ("5", "Leader info available"),
            Self::NoLeader => ("2", "No leader info available in response"),
            Self::NotReady => ("14", "Server Is Not Ready"),
        };
        let mut trailers = HeaderMap::new();
        trailers.insert("grpc-status", HeaderValue::from_static(status));
        trailers.insert("grpc-message", HeaderValue::from_static(message));
        if let Self::NotLeader(leader) = self {
            trailers.insert("exception", HeaderValue::from_static("not-leader"));
            if let Ok(host) = HeaderValue::try_from(leader.ip().to_string()) {
                trailers.insert("leader-endpoint-host", host);
            }
            trailers.insert("leader-endpoint-port", HeaderValue::from(leader.port()));
        }
        trailers
    }
}

/// An answer's body.
pub enum Answer {
    /// What the store says, until the node refuses to go on, or says nothing any more.
    Passed { body: Incoming, ends: BoxFuture<'static, Option<Refusal>> },
    /// Nothing, for ever.
    Silence,
    /// Frames of the node's own, last first.
    Own(Vec<Frame<Bytes>>),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let ended = match &mut *self {
            Self::Own(frames) => return Poll::Ready(frames.pop().map(Ok)),
            Self::Silence => return Poll::Pending,
            Self::Passed { body, ends } => match ends.as_mut().poll(cx) {
                Poll::Ready(ended) => ended,
                Poll::Pending => return Pin::new(body).poll_frame(cx),
            },
        };
        let Some(refusal) = ended else {
            *self = Self::Silence;
            return Poll::Pending;
        };
        *self = Self::Own(vec![]);
        Poll::Ready(Some(Ok(Frame::trailers(refusal.trailers()))))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(frames) => frames.is_empty(),
            Self::Passed { .. } | Self::Silence => false,
        }
    }
}
