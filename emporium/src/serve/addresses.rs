//! The addresses on which the service answers. All of them are taken before anything is started: an address that is in
//! use is no reason to start a database.

use super::{Profile, ServeArgs, ServeError};
use http_boundary::Listeners;
use std::net::SocketAddr;
use tokio::net::TcpListener;

/// They are taken, and nothing answers there yet.
pub struct Addresses {
    pub http: Listeners,
    /// None if the event store is another program.
    pub event_store: Option<TcpListener>,
    /// None if the payment gateway is another program, or if there is none.
    pub sandbox: Option<TcpListener>,
}

impl Addresses {
    pub async fn take(args: &ServeArgs) -> Result<Self, ServeError> {
        let http = Listeners::bind(args.listen, &args.http).await?;
        let event_store = match args.event_store {
            Some(_) => None,
            None => Some(
                bind(args.event_store_listen, "--event-store-listen (EMPORIUM_EVENT_STORE_LISTEN)").await?,
            ),
        };
        let has_sandbox = args.payments.payment_gateway.is_none() && args.profile != Profile::Production;
        let sandbox = if has_sandbox {
            Some(bind(args.sandbox_listen, "--sandbox-listen (EMPORIUM_SANDBOX_LISTEN)").await?)
        } else {
            None
        };
        Ok(Self { http, event_store, sandbox })
    }
}

async fn bind(address: SocketAddr, option: &'static str) -> Result<TcpListener, ServeError> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|source| ServeError::ListenForEmbedded { address, option, source })
}
