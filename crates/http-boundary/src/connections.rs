//! The connections of a service. They are our own, and not axum's, because axum puts no limits to them.

use crate::ClientShare;
use crate::answer::{Answer, Taker, Unread};
use crate::bodies::{Arrival, ArrivingBody, Room};
use crate::leftover::{Lender, lend};
use crate::overhead::{Overhead, Overheads, Slowed};
use crate::{ClientLimits, HttpLimits, Peer, Problem, Stopping};
use api::problem;
use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, Version, header};
use axum::response::IntoResponse;
use connection_limits::{Acceptor, Connection, Cut, Guarded, PerSecond, Share, counted_as};
use futures::future::BoxFuture;
use hyper::body::{Body as _, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::join;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service as _;
use tracing::{debug, warn};

/// How long requests that are under way may take to finish when the service stops.
const FINISH_WITHIN: Duration = Duration::from_secs(10);
/// How long a connection that is closed in order may take for it.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// The headers of an HTTP/2 request.
const HEAD_BYTES: u32 = 16 * 1024;
/// What is read ahead of an HTTP/1.1 connection, at most; a head has to fit into it. Far below the limit of hyper itself.
const READ_AHEAD_BYTES: usize = 16 * 1024;
/// Bytes of bodies that an HTTP/2 client may send ahead, on a stream and on the connection.
const STREAM_WINDOW_BYTES: u32 = 128 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
/// Bytes of an answer that are handed on ahead of what the client takes.
const SEND_AHEAD_BYTES: usize = 64 * 1024;
/// Streams that a client may reset before they are looked at, and those that it makes us reset; then its connection is
/// closed ("rapid reset").
const RESETS_UNSEEN: usize = 20;
const RESETS_OF_OURS: usize = 256;

const MIB: usize = 1024 * 1024;

/// What all connections of a listener share.
struct Edge {
    router: Router,
    /// None: no client is limited.
    clients: Option<ClientLimits>,
    stopping: Stopping,
    room: Arc<Room>,
    unread: Arc<Unread>,
    overheads: Arc<Overheads>,
    broken: PerSecond,
}

impl Edge {
    /// A connection ended with an error. That a client goes away is no news; that it does not speak HTTP may be.
    fn broke(&self, from: IpAddr, error: &(dyn Error + Send + Sync + 'static)) {
        let line = if is_clients_fault(error) { self.broken.line() } else { None };
        match line {
            Some(times) => {
                warn!(address = %from, times, error, "a client does not keep to HTTP: its connection is closed")
            }
            None => debug!(error, "a connection broke"),
        }
    }

    /// Here and not as layers of the router: each of those would cost every request a few allocations, and a copy of all
    /// that the layers below it hold.
    async fn answer(self: Arc<Self>, request: Request<Body>) -> (Response<Body>, Taker) {
        let Some(clients) = &self.clients else { return (self.route(request).await, Taker::Unlimited) };
        match clients.admit(request).await {
            Ok((request, share)) => {
                let taker = share.taker();
                let mut unanswered = Unanswered(Some(share));
                let response = self.route(request).await;
                if let Some(share) = unanswered.0.take() {
                    share.is_answered(&response);
                }
                (response, taker)
            }
            // It is small.
            Err(refusal) => (refusal.into_response(), Taker::Unlimited),
        }
    }

    /// Counts each answer as it goes out: some are made by the boundary itself.
    fn count(&self, response: &Response<Answer>) {
        if let Some(clients) = &self.clients {
            clients.count(response);
        }
    }

    async fn route(&self, request: Request<Body>) -> Response<Body> {
        if !names_one_host(&request) {
            return no_host().into_response();
        }
        let Ok(response) = self.router.clone().call(request).await;
        response
    }
}

/// A request that is in work. It is dropped before its answer when its client goes away.
struct Unanswered(Option<ClientShare>);

impl Drop for Unanswered {
    fn drop(&mut self) {
        if let Some(share) = &self.0 {
            share.has_gone();
        }
    }
}

fn is_clients_fault(error: &(dyn Error + 'static)) -> bool {
    let is_gone =
        |error: &hyper::Error| error.is_incomplete_message() || error.is_canceled() || error.is_closed();
    let mut causes = std::iter::successors(error.source(), |&cause| cause.source());
    error.downcast_ref::<hyper::Error>().is_some_and(|error| !is_gone(error))
        && !causes.any(|cause| cause.is::<io::Error>())
}

/// A proxy and a service that read two hosts differently would disagree on what is asked for (RFC 9112, section 3.2).
fn names_one_host(request: &Request<Body>) -> bool {
    request.version() != Version::HTTP_11 || request.headers().get_all(header::HOST).iter().count() == 1
}

fn no_host() -> Problem {
    let detail = "A request over HTTP/1.1 names its host once: send one Host header.";
    Problem::new(problem::BAD_HOST, detail)
}

/// Closes the connection that a request came over, without an answer.
#[derive(Debug, Clone)]
pub struct HangUp(Connection);

impl HangUp {
    /// Closes it now.
    pub fn now(&self) {
        self.0.close(Cut::HungUp);
    }
}

/// Answers on a listener until told to stop, and then finishes what is under way. Clients are limited if there are limits for
/// them. The router answers alone: there is nothing else at its edge.
pub async fn serve_alone(
    clients: Option<ClientLimits>,
    listener: TcpListener,
    router: Router,
    share: Share,
    http: &HttpLimits,
    stop: CancellationToken,
) {
    let new = clients.as_ref().and_then(ClientLimits::new_connections);
    let mut acceptor = Acceptor::new(share, http.for_connections(), new);
    let edge = Arc::new(Edge {
        router,
        clients,
        stopping: Stopping::with(&stop),
        room: Arc::new(Room::new(http.request_bodies_mib * MIB, http.request_body_seconds)),
        unread: Arc::new(Unread::new((http.unread_answers_mib * MIB) as u64)),
        overheads: Arc::new(Overheads::new()),
        broken: PerSecond::once(),
    });
    let builder = Arc::new(protocols(http));
    let too_late = CancellationToken::new();
    let connections = TaskTracker::new();
    let accepting = async {
        loop {
            let (stream, address, connection) = acceptor.accept(&listener).await;
            let peer = Peer::new(address, connection.number());
            let overhead = Overhead::new(&edge.overheads, counted_as(peer.address), &connection);
            let asked = Asked { edge: Arc::clone(&edge), peer, connection, overhead };
            let (builder, stop, too_late) = (builder.clone(), stop.clone(), too_late.clone());
            connections.spawn(async move {
                let serving = answer(stream, asked, &builder, &stop);
                too_late.run_until_cancelled(serving).await;
            });
        }
    };
    stop.run_until_cancelled(accepting).await;
    drop(listener);
    connections.close();
    if timeout(FINISH_WITHIN, connections.wait()).await.is_err() {
        warn!("some requests did not finish in time");
        too_late.cancel();
    }
}

fn protocols(http: &HttpLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().max_buf_size(READ_AHEAD_BYTES);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(http.http2_ping_seconds)
        .keep_alive_timeout(http.http2_ping_seconds)
        .max_concurrent_streams(http.http2_streams)
        .max_header_list_size(HEAD_BYTES)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buf_size(SEND_AHEAD_BYTES)
        .max_pending_accept_reset_streams(RESETS_UNSEEN)
        .max_local_error_reset_streams(RESETS_OF_OURS);
    builder
}

/// Answers on one connection until either side closes it.
async fn answer(stream: TcpStream, asked: Asked, builder: &Builder<TokioExecutor>, stop: &CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        debug!(%error, "a connection keeps Nagle's algorithm on and will be slow");
    }
    let from = asked.peer.address;
    let (connection, edge) = (asked.connection.clone(), Arc::clone(&asked.edge));
    let (reader, writer) = stream.into_split();
    let stream = join(Slowed::new(reader, asked.overhead.clone()), writer);
    let io = TokioIo::new(Guarded::new(stream, connection.clone()));
    let mut serving = pin!(builder.serve_connection(io, asked));
    let mut is_stopping = false;
    loop {
        tokio::select! {
            served = serving.as_mut() => {
                if let Err(error) = served {
                    edge.broke(from, &*error);
                }
                return;
            }
            () = stop.cancelled(), if !is_stopping => {
                is_stopping = true;
                serving.as_mut().graceful_shutdown();
            }
            () = connection.is_cut() => break,
        }
    }
    if connection.cut() == Some(Cut::Idle) {
        serving.as_mut().graceful_shutdown();
        tokio::select! {
            _ = serving => {}
            () = sleep(CLOSE_WITHIN) => {}
        }
    }
}

/// The requests of one connection.
struct Asked {
    edge: Arc<Edge>,
    peer: Peer,
    connection: Connection,
    overhead: Overhead,
}

impl hyper::service::Service<Request<Incoming>> for Asked {
    type Response = Response<Answer>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Answer>, Infallible>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let is_multiplexed = request.version() == Version::HTTP_2;
        if is_multiplexed {
            self.connection.is_multiplexed();
        }
        let under_way = self.connection.request();
        let (parts, body) = request.into_parts();
        self.overhead.request();
        let (body, arrival) = if body.is_end_stream() {
            (Body::empty(), None)
        } else {
            let charged_to = (!is_multiplexed).then(|| self.overhead.clone());
            let (body, arrival) = ArrivingBody::new(body, &under_way, &self.edge.room, charged_to);
            let (body, lender) = lend(body);
            (Body::new(body), Some((arrival, lender)))
        };
        let waits_for_word = parts.headers.contains_key(header::EXPECT);
        let mut request = Request::from_parts(parts, body);
        request.extensions_mut().insert(self.peer);
        request.extensions_mut().insert(HangUp(self.connection.clone()));
        request.extensions_mut().insert(self.edge.stopping.clone());
        let answering = Arc::clone(&self.edge).answer(request);
        let (edge, overhead) = (Arc::clone(&self.edge), self.overhead.clone());
        Box::pin(async move {
            let (response, taker) = answering.await;
            let response = match arrival {
                Some(arrival) if !is_multiplexed => last_if_unread(response, arrival, waits_for_word).await,
                Some((arrival, _)) => arrival.problem().map_or(response, IntoResponse::into_response),
                None => response,
            };
            let answer = Answer::to((under_way, overhead), (response, taker), is_multiplexed, &edge.unread);
            edge.count(&answer);
            Ok(answer)
        })
    }
}

/// The answer over HTTP/1.1, which says that it is the connection's last one if the rest of the request's body will not be
/// read. HTTP/2 has no such header; there, the stream is reset.
async fn last_if_unread(
    response: Response<Body>,
    (arrival, lender): (Arc<Arrival>, Lender),
    waits_for_word: bool,
) -> Response<Body> {
    let (mut response, is_last) = match arrival.problem() {
        Some(problem) => (problem.into_response(), true),
        None => (response, lender.has_unread_rest(waits_for_word).await),
    };
    if is_last {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
