//! Tells each connection which requests are under way over it, so that one without any can make place for others.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use connection_limits::Request;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use tower::{Layer, Service};

use crate::strangers::Peer;

/// Adds it to a server.
#[derive(Debug, Clone, Copy)]
pub struct CountRequests;

impl<S> Layer<S> for CountRequests {
    type Service = Counting<S>;

    fn layer(&self, service: S) -> Counting<S> {
        Counting(service)
    }
}

/// A service whose connections know what is under way.
#[derive(Debug, Clone)]
pub struct Counting<S>(S);

type Answering<B, E> = Pin<Box<dyn Future<Output = Result<http::Response<Counted<B>>, E>> + Send>>;

impl<S, A, B> Service<http::Request<A>> for Counting<S>
where
    S: Service<http::Request<A>, Response = http::Response<B>>,
    S::Future: Send + 'static,
{
    type Response = http::Response<Counted<B>>;
    type Error = S::Error;
    type Future = Answering<B, S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<A>) -> Self::Future {
        let under_way = request.extensions().get::<Peer>().map(|peer| {
            let connection = peer.place();
            if request.version() == Version::HTTP_2 {
                connection.is_multiplexed();
            }
            connection.request()
        });
        let answering = self.0.call(request);
        Box::pin(async move { Ok(answering.await?.map(|body| Counted { body, _under_way: under_way })) })
    }
}

/// The body of an answer, whose request is under way until it is dropped.
#[derive(Debug)]
pub struct Counted<B> {
    body: B,
    _under_way: Option<Request>,
}

impl<B: Body + Unpin> Body for Counted<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
