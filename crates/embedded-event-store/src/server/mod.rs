//! Starting and stopping: the store, the port, and the thread that writes.

mod admission;
mod requests;
mod socket;
mod tls;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use connection_limits::{Acceptor, Share};
use futures::stream::{self, StreamExt};
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::service::Routes;
use tonic::transport::Server;

use crate::config::{Config, User};
use crate::groups::Groups;
use crate::log::OpenError;
use crate::node::Node;
use crate::pages::{OpenConnections, Pages};
use crate::service::Store;
use crate::stats::System;
use crate::strangers::Strangers;
use crate::wire;
use admission::Admission;
use requests::CountRequests;
use socket::Socket;

pub use crate::groups::GroupError;
pub use tls::TlsError;

const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_TIMEOUT: Duration = Duration::from_secs(20);
/// The official Rust client waits for this interval before it connects at all: 500 ms unless told otherwise. On the same
/// machine that is a waste; the attempts make up for the shorter waits while a store restarts.
const QUICK_DISCOVERY: &str = "discoveryInterval=20&maxDiscoverAttempts=100";
/// How long open calls have to end by themselves when the store stops.
const GRACE: Duration = Duration::from_secs(3);
/// Calls that may be under way at once over one connection. A service of ours makes all of its calls over few. Callers
/// without a user have far fewer: see `strangers`.
const STREAMS: u32 = 10_000;

/// Why the store could not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The data folder could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}; stop what listens there, or choose another address")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// Encrypted connections cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The persistent subscriptions could not be started.
    #[error("the persistent subscriptions of the event store could not be started")]
    Groups(#[source] GroupError),
    /// The task that opens the store was lost.
    #[error("the task that opened the event store ended without an answer; start again")]
    Lost(#[source] tokio::task::JoinError),
}

/// What ended although nobody stopped the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Death {
    /// The task that serves connections.
    #[error("the event store's server ended unexpectedly; start the store again")]
    Server,
    /// The thread that writes the log.
    #[error("the event store's writing thread ended unexpectedly; start the store again")]
    Writer,
}

/// A running event store. Dropping it ends it without waiting for anything; what was acknowledged is safe all the same.
pub struct EmbeddedEventStore {
    address: SocketAddr,
    encrypted: bool,
    open_connections: OpenConnections,
    store: Arc<Store>,
    groups: Arc<Groups>,
    writer: std::thread::JoinHandle<()>,
    writer_ended: watch::Receiver<bool>,
    server: JoinHandle<()>,
    server_ended: watch::Receiver<bool>,
    stop_listening: CancellationToken,
    cut_connections: CancellationToken,
    _end_on_drop: [DropGuard; 3],
}

impl EmbeddedEventStore {
    /// Takes the address, opens the data folder and serves it.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let address = config.listen;
        let bound = TcpListener::bind(address).await;
        Self::start_on(bound.map_err(|source| StartError::Listen { address, source })?, config).await
    }

    /// Opens the data folder and serves it on an address that was taken before; that of the settings does not count.
    pub async fn start_on(listener: TcpListener, config: Config) -> Result<Self, StartError> {
        let failed = |source| StartError::Listen { address: config.listen, source };
        let address = listener.local_addr().map_err(failed)?;
        let (limits, max_append_bytes) = (config.connections, config.max_append_bytes);
        let strangers = Strangers::new(config.strangers, config.anonymous_streams);
        let (host, port) = (config.advertise_host.clone(), config.advertise_port);
        let system = System::new(config.data_dir.clone());
        let (writer_signal, writer_ended) = watch::channel(false);
        let opened = tokio::task::spawn_blocking(move || {
            let acceptor = config.tls.as_ref().map(tls::acceptor).transpose()?;
            let (store, writer) = Store::open(&config, writer_signal)?;
            Ok::<_, StartError>((acceptor, store, writer))
        })
        .await;
        let (acceptor, store, writer) = opened.map_err(StartError::Lost)??;
        let groups = match Groups::start(Arc::clone(&store)).await {
            Ok(groups) => groups,
            Err(error) => {
                close(store, writer).await;
                return Err(StartError::Groups(error));
            }
        };
        let stop_listening = CancellationToken::new();
        let cut_connections = CancellationToken::new();
        let (server_signal, server_ended) = watch::channel(false);
        let encrypted = acceptor.is_some();
        let places = Acceptor::new(Share::EVENT_STORE, limits, Some(strangers.new_connections()));
        let open_connections: OpenConnections = Arc::new(places.open_connections());
        let node = Arc::new(Node::new(reachable(address), host, port));
        let calls = wire::routes(&store, Arc::clone(&groups), Arc::clone(&node), &system);
        let pages = Pages {
            node,
            store: Arc::clone(&store),
            groups: Arc::clone(&groups),
            access: Arc::clone(store.access()),
            open_connections: Arc::clone(&open_connections),
            strangers: Arc::clone(&strangers),
            system,
        };
        let admission = Admission { pages, strangers: Arc::clone(&strangers), max_append_bytes };
        let routes = admission::with_admission(calls.into_axum_router(), admission).into();
        let tokens = (stop_listening.clone(), cut_connections.clone());
        let serving = serve(routes, (listener, places), strangers, acceptor, tokens);
        let server = tokio::spawn(async move {
            let _ended = SetOnDrop(server_signal);
            serving.await;
        });
        let tokens = [store.stopping(), &stop_listening, &cut_connections];
        let end_on_drop = tokens.map(|token| token.clone().drop_guard());
        tracing::info!(%address, "the event store is open");
        Ok(EmbeddedEventStore {
            address,
            encrypted,
            open_connections,
            store,
            groups,
            writer,
            writer_ended,
            server,
            server_ended,
            stop_listening,
            cut_connections,
            _end_on_drop: end_on_drop,
        })
    }

    /// The address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on these users. Subscriptions of users who are gone, or have another password or other groups, end. A store
    /// that was started without users stays open to everybody.
    pub fn set_users(&self, users: &[User]) {
        self.store.access().set_users(users);
    }

    /// How many connections are open.
    pub fn open_connections(&self) -> u64 {
        (self.open_connections)()
    }

    /// The connection string for clients on this machine, without a user. If connections are encrypted, a client also
    /// has to know the certificate's authority.
    pub fn connection_string(&self) -> String {
        format!("esdb://{}?tls={}&{QUICK_DISCOVERY}", reachable(self.address), self.encrypted)
    }

    /// Waits until a part of the store has ended although nobody stopped it.
    pub async fn died(&self) -> Death {
        let mut server = self.server_ended.clone();
        let mut writer = self.writer_ended.clone();
        // An error means that the sender is gone, which is the same news.
        tokio::select! {
            _ = writer.wait_for(|ended| *ended) => Death::Writer,
            _ = server.wait_for(|ended| *ended) => Death::Server,
        }
    }

    /// Stops: ends subscriptions with Unavailable, finishes the appends that are under way, closes the data folder.
    pub async fn stop(self) {
        self.store.end_subscriptions();
        self.stop_listening.cancel();
        let mut server = self.server;
        if tokio::time::timeout(GRACE, &mut server).await.is_err() {
            tracing::warn!("calls were still open when the event store stopped; their connections are cut");
            self.cut_connections.cancel();
            if tokio::time::timeout(GRACE, &mut server).await.is_err() {
                server.abort();
            }
        }
        self.cut_connections.cancel();
        self.groups.stop().await;
        drop(self.groups);
        close(self.store, self.writer).await;
        tracing::info!(address = %self.address, "the event store is closed");
    }
}

/// An address that a client on this machine can connect to.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    address
}

struct SetOnDrop(watch::Sender<bool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// Ends the writing thread and closes the data folder.
async fn close(store: Arc<Store>, writer: std::thread::JoinHandle<()>) {
    store.stop_writing();
    let closed = tokio::task::spawn_blocking(move || {
        let panicked = writer.join().is_err();
        drop(store);
        panicked
    });
    if !matches!(closed.await, Ok(false)) {
        tracing::error!("the event store's writing thread had panicked; restart the process");
    }
}

fn serve(
    routes: Routes,
    (listener, places): (TcpListener, Acceptor),
    strangers: Arc<Strangers>,
    acceptor: Option<TlsAcceptor>,
    (stop, cut): (CancellationToken, CancellationToken),
) -> impl Future<Output = ()> + use<> {
    // Whoever is slow to agree on a key has a place like everybody else, and keeps nobody out.
    let handshakes = places.most();
    let accepting = (listener, places, strangers, cut);
    let incoming = stream::unfold(accepting, |(listener, mut places, strangers, cut)| async move {
        let (stream, address, place) = places.accept(&listener).await;
        let peer = strangers.peer(place, address.ip());
        Some((Socket::new(stream, peer, &cut), (listener, places, strangers, cut)))
    });
    let incoming = incoming
        .map(move |socket| tls::ready(socket, acceptor.clone()))
        .buffer_unordered(handshakes)
        .filter_map(|ready| std::future::ready(ready.map(std::io::Result::Ok)));
    let served = Server::builder()
        .layer(CountRequests)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .max_concurrent_streams(STREAMS)
        // The pages are for programs that speak no HTTP/2 without encryption.
        .accept_http1(true)
        .add_routes(routes)
        .serve_with_incoming_shutdown(incoming, stop.cancelled_owned());
    async move {
        if let Err(error) = served.await {
            tracing::error!(error = &error as &dyn std::error::Error, "the event store's server failed");
        }
    }
}
