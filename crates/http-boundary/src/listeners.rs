//! The addresses on which a service answers.

use crate::{ClientLimits, Health, HttpArgs, HttpLimits, connections, serve, with_edge};
use axum::Router;
use connection_limits::Share;
use std::io;
use std::net::SocketAddr;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio_util::sync::CancellationToken;

/// A service cannot answer where it should.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The main address.
    #[error(
        "cannot listen on {address}: stop the program that already does, or choose another address with --listen (EMPORIUM_LISTEN)"
    )]
    Main {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The address for those who run the shop.
    #[error(
        "cannot listen on {address}: stop the program that already does, or choose another address with --operations-listen (EMPORIUM_OPERATIONS_LISTEN)"
    )]
    Operations {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The addresses on which a service answers, taken and not answered on yet.
#[derive(Debug)]
pub struct Listeners {
    /// The main address.
    pub main: SocketAddr,
    /// The address for those who run the shop, if there is one.
    pub operations: Option<SocketAddr>,
    main_listener: TcpListener,
    operations_listener: Option<OperationsListener>,
}

/// The address for those who run a process, taken and not answered on yet.
#[derive(Debug)]
pub struct OperationsListener {
    /// The address.
    pub address: SocketAddr,
    listener: TcpListener,
}

impl Listeners {
    /// Takes the addresses: the main one, and the one for those who run the shop if the arguments name one.
    ///
    /// # Errors
    /// When an address is in use or not ours.
    pub async fn bind(listen: SocketAddr, http: &HttpArgs) -> Result<Self, ListenError> {
        let main = bind(listen).await;
        let (main_listener, main) = main.map_err(|source| ListenError::Main { address: listen, source })?;
        let operations = match http.operations_listen {
            Some(address) => Some(OperationsListener::bind(address).await?),
            None => None,
        };
        let address = operations.as_ref().map(|operations| operations.address);
        Ok(Self { main, operations: address, main_listener, operations_listener: operations })
    }

    /// Answers on all of them until told to stop: the router on the main address, and how the parts of the service are
    /// on both, on the main one within the clients' limits and for the operator's token.
    pub async fn serve(
        self,
        router: Router,
        health: &Health,
        clients: ClientLimits,
        http: &HttpArgs,
        stop: CancellationToken,
    ) {
        let main = serve(
            self.main_listener,
            router.merge(health.routes(clients.operator_token())),
            clients,
            &http.limits,
            stop.clone(),
        );
        let operations = async {
            if let Some(listener) = self.operations_listener {
                listener.serve(health, &http.limits, stop).await;
            }
        };
        tokio::join!(main, operations);
    }
}

impl OperationsListener {
    /// Takes the address.
    ///
    /// # Errors
    /// When it is in use or not ours.
    pub async fn bind(address: SocketAddr) -> Result<Self, ListenError> {
        let bound = bind(address).await;
        let (listener, address) = bound.map_err(|source| ListenError::Operations { address, source })?;
        Ok(Self { address, listener })
    }

    /// Says how the parts of the process are until told to stop, without asking for a token.
    pub async fn serve(self, health: &Health, limits: &HttpLimits, stop: CancellationToken) {
        let router = with_edge(health.open_routes());
        connections::serve_alone(None, self.listener, router, Share::OPERATIONS, limits, stop).await;
    }
}

/// Connections that the kernel keeps until they are accepted. Those beyond it are tried again by their clients after one, three
/// and seven seconds, so a stall of some milliseconds must not fill them up.
const WAITING_CONNECTIONS: u32 = 4096;

async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // As the standard library has it: a service that starts again gets its port at once.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(WAITING_CONNECTIONS)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
