//! One node: takes connections, and passes calls on as long as it may.

use crate::answer::{Answer, Refusal};
use crate::gossip;
use crate::state::{Standing, State};
use futures::FutureExt;
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use http_body::Frame;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const GOSSIP: &str = "/event_store.client.gossip.Gossip/Read";
const FEATURES: &str = "/event_store.client.server_features.ServerFeatures/";
const GROUPS: &str = "/event_store.client.persistent_subscriptions.PersistentSubscriptions/";

#[derive(Clone)]
pub struct Node {
    pub index: usize,
    pub addresses: Arc<[SocketAddr]>,
    pub state: watch::Sender<State>,
    pub store: SocketAddr,
    pub store_client: Client<HttpConnector, Incoming>,
}

/// What a call is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Gossip,
    /// Any node may answer it.
    Anybody,
    /// Only the leader may: the client says so, or it is about groups.
    LeaderOnly {
        is_of_groups: bool,
    },
}

/// What becomes of a call.
enum Verdict {
    Gossip(Answer),
    Passes,
    Refused(Refusal),
    NotAnswered,
}

impl Kind {
    fn of(request: &Request<Incoming>) -> Self {
        let path = request.uri().path();
        let is_of_groups = path.starts_with(GROUPS);
        let wants_leader = request.headers().get("requires-leader").is_some_and(|wants| wants == "true");
        if path == GOSSIP {
            Self::Gossip
        } else if is_of_groups || wants_leader && !path.starts_with(FEATURES) {
            Self::LeaderOnly { is_of_groups }
        } else {
            Self::Anybody
        }
    }
}

impl Node {
    pub async fn listen(self, listener: TcpListener, end: CancellationToken) {
        loop {
            let Ok((socket, _)) = listener.accept().await else { continue };
            // A node that is down takes none, and what it took is cut.
            let is_killed = self.state.send_if_modified(|state| {
                let is_killed = state.nodes[self.index] == Standing::Killed;
                state.refused += u64::from(is_killed);
                is_killed
            });
            if !is_killed {
                tokio::spawn(end.clone().run_until_cancelled_owned(self.clone().serve(socket)));
            }
        }
    }

    async fn serve(self, socket: TcpStream) -> Result<(), hyper::Error> {
        // It only costs time if it fails.
        let _ = socket.set_nodelay(true);
        let mut state = self.state.subscribe();
        let (index, counted) = (self.index, self.state.clone());
        let service = service_fn(move |request| self.clone().answer(request));
        let served =
            http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service);
        counted.send_modify(|state| state.connections += 1);
        let served = tokio::select! {
            served = served => served,
            _ = state.wait_for(|state| state.nodes[index] == Standing::Killed) => Ok(()),
        };
        counted.send_modify(|state| state.connections -= 1);
        served
    }

    async fn answer(self, request: Request<Incoming>) -> io::Result<Response<Answer>> {
        let kind = Kind::of(&request);
        match self.verdict(kind) {
            Verdict::Gossip(told) => Ok(grpc(HeaderMap::new(), told)),
            Verdict::Refused(refusal) => Ok(grpc(refusal.trailers(), Answer::Own(vec![]))),
            Verdict::NotAnswered => std::future::pending().await,
            Verdict::Passes => self.pass(request, kind).await,
        }
    }

    fn verdict(&self, kind: Kind) -> Verdict {
        let mut verdict = Verdict::Passes;
        self.state.send_if_modified(|state| {
            verdict = self.verdict_in(state, kind);
            let is_for_want_of_a_leader =
                kind != Kind::Gossip && !matches!(verdict, Verdict::Passes | Verdict::Gossip(_));
            state.refused += u64::from(is_for_want_of_a_leader);
            is_for_want_of_a_leader
        });
        verdict
    }

    fn verdict_in(&self, state: &mut State, kind: Kind) -> Verdict {
        if state.nodes[self.index] != Standing::Up {
            return Verdict::NotAnswered;
        }
        match kind {
            Kind::Gossip => {
                let told = Frame::data(gossip::told(&self.addresses, state));
                let mut done = HeaderMap::new();
                done.insert("grpc-status", HeaderValue::from_static("0"));
                Verdict::Gossip(Answer::Own(vec![Frame::trailers(done), told]))
            }
            Kind::Anybody => Verdict::Passes,
            Kind::LeaderOnly { is_of_groups: true }
                if state.leader == Some(self.index) && !state.has_groups =>
            {
                state.dropped_for_groups += 1;
                Verdict::NotAnswered
            }
            Kind::LeaderOnly { .. } if state.leader == Some(self.index) => Verdict::Passes,
            Kind::LeaderOnly { is_of_groups } => Verdict::Refused(self.refusal(state, is_of_groups)),
        }
    }

    fn refusal(&self, state: &State, is_of_groups: bool) -> Refusal {
        match state.known_leader(self.index) {
            Some(leader) => Refusal::NotLeader(self.addresses[leader]),
            None if is_of_groups => Refusal::NotReady,
            None => Refusal::NoLeader,
        }
    }

    async fn pass(self, request: Request<Incoming>, kind: Kind) -> io::Result<Response<Answer>> {
        let (mut parts, body) = request.into_parts();
        let mut uri = std::mem::take(&mut parts.uri).into_parts();
        uri.scheme = Some(Scheme::HTTP);
        uri.authority = Some(Authority::try_from(self.store.to_string()).map_err(io::Error::other)?);
        parts.uri = Uri::from_parts(uri).map_err(io::Error::other)?;
        let mut ends = self.clone().ends(kind).boxed();
        let answer = tokio::select! {
            answer = self.store_client.request(Request::from_parts(parts, body)) => answer,
            ended = &mut ends => match ended {
                Some(refusal) => return Ok(grpc(refusal.trailers(), Answer::Own(vec![]))),
                None => std::future::pending().await,
            },
        };
        let answer = answer.map_err(io::Error::other)?;
        Ok(answer.map(|body| Answer::Passed { body, ends }))
    }

    /// Waits until the node can no more serve a call of this kind. One that is down says nothing about it.
    async fn ends(self, kind: Kind) -> Option<Refusal> {
        let mut state = self.state.subscribe();
        let is_over = |state: &State| {
            state.nodes[self.index] != Standing::Up
                || matches!(kind, Kind::LeaderOnly { .. }) && state.leader != Some(self.index)
        };
        let state = state.wait_for(is_over).await.ok()?;
        let is_of_groups = kind == Kind::LeaderOnly { is_of_groups: true };
        (state.nodes[self.index] == Standing::Up).then(|| self.refusal(&state, is_of_groups))
    }
}

fn grpc(headers: HeaderMap, body: Answer) -> Response<Answer> {
    let mut response = Response::new(body);
    *response.headers_mut() = headers;
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    response
}
