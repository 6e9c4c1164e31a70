//! The gateway as a whole: started, running, stopped.

use crate::answer::Event;
use crate::book::Book;
use crate::config::{Delays, SandboxConfig};
use crate::journal::JournalError;
use crate::webhooks::{InvalidWebhook, Webhooks};
use crate::{later, routes};
use http_boundary::{Share, serve_alone};
use sha2::{Digest, Sha256};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};
use subtle::ConstantTimeEq;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// Requests that are never answered, at once. The port has 42 connections at least, for all payments.
const HANGING_AT_ONCE: usize = 16;

/// The gateway cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Nobody could be let in.
    #[error("the secret key is empty: give one, for example sk_test_emporium")]
    SecretKey,
    /// The address.
    #[error("{address} cannot be listened on: is something else there?")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The webhook.
    #[error(transparent)]
    Webhook(#[from] InvalidWebhook),
}

/// A running gateway. Dropped, it stops as well, without being waited for.
pub struct SandboxGateway {
    address: SocketAddr,
    sandbox: Arc<Sandbox>,
    _stops: DropGuard,
}

/// What all parts of a running gateway share.
pub(crate) struct Sandbox {
    book: Mutex<Book>,
    secret_key: [u8; 32],
    pub webhooks: Option<Webhooks>,
    pub delays: Delays,
    pub stop: CancellationToken,
    pub tasks: TaskTracker,
    /// Places for requests that are never answered.
    pub hanging: Semaphore,
}

impl SandboxGateway {
    /// Takes the address, reads the journal, goes on with what was under way, and answers.
    ///
    /// # Errors
    /// When the address, the journal or the webhook cannot be used.
    pub async fn start(config: SandboxConfig) -> Result<Self, StartError> {
        let address = config.listen;
        let bound = TcpListener::bind(address).await;
        Self::start_on(bound.map_err(|source| StartError::Listen { address, source })?, config)
    }

    /// The same on an address that was taken before; that of the settings does not count.
    ///
    /// # Errors
    /// When the journal or the webhook cannot be used.
    pub fn start_on(listener: TcpListener, config: SandboxConfig) -> Result<Self, StartError> {
        if config.secret_key.is_empty() {
            return Err(StartError::SecretKey);
        }
        let stop = CancellationToken::new();
        let webhooks = config.webhook.as_ref().map(|webhook| Webhooks::new(webhook, stop.clone()));
        let webhooks = webhooks.transpose()?;
        let mut book = Book::open(&config, now())?;
        let guests = Some(config.limits_of_guests());
        let failed = |source| StartError::Listen { address: config.listen, source };
        let address = listener.local_addr().map_err(failed)?;
        book.is_at(config.public_url.unwrap_or_else(|| format!("http://{}", reachable(address))));
        let (untold, due, refunds_due) = (book.untold(), book.due(), book.refunds_due());
        let sandbox = Arc::new(Sandbox {
            book: Mutex::new(book),
            secret_key: Sha256::digest(config.secret_key.as_bytes()).into(),
            webhooks,
            delays: config.delays,
            stop: stop.clone(),
            tasks: TaskTracker::new(),
            hanging: Semaphore::new(HANGING_AT_ONCE),
        });
        later::tell(&sandbox, untold);
        for (id, due) in due {
            later::settle(&sandbox, id, due);
        }
        for (id, due) in refunds_due {
            later::settle_refund(&sandbox, id, due);
        }
        let router = routes::router(sandbox.clone());
        let (limits, stop_serving) = (config.limits, stop.clone());
        sandbox.tasks.spawn(async move {
            serve_alone(guests, listener, router, Share::SANDBOX, &limits, stop_serving).await;
        });
        Ok(Self { address, sandbox, _stops: stop.drop_guard() })
    }

    /// Where it answers.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops, and waits until it has: requests under way are answered, those that hang are cut off, and the data folder
    /// is free for the next one.
    pub async fn stop(self) {
        self.sandbox.stop.cancel();
        self.sandbox.tasks.close();
        self.sandbox.tasks.wait().await;
    }
}

impl Sandbox {
    pub fn book(&self) -> MutexGuard<'_, Book> {
        // Every change is put in place whole, after nothing more can fail.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a caller's key is the secret one, compared in constant time.
    pub fn lets_in(&self, key: &str) -> bool {
        Sha256::digest(key.as_bytes()).as_slice().ct_eq(&self.secret_key).into()
    }

    /// Sends an event, and says whether it need not be sent any more.
    pub async fn deliver(&self, event: &Event) -> bool {
        match &self.webhooks {
            Some(webhooks) => webhooks.deliver(event).await,
            None => true,
        }
    }
}

/// Who listens everywhere is found here, too.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// Milliseconds since 1970.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
