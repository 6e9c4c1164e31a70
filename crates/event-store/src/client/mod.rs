//! The one place that knows the official client.

mod appends;
mod connection_string;
mod lag;
mod locks;
mod log_identity;
mod nagle;
mod own_streams;
mod raw;
mod reads;
mod rights;
mod skips;
mod subscription;
mod tail;
mod translate;
mod truncate;
mod unmended;

pub use unmended::{Session, UnmendedClient};

use crate::InvalidConnectionString;
use backon::{BackoffBuilder, ExponentialBuilder};
use eventstore::{BatchAppendClient, Client, ClientSettings};
use log_identity::KnownLog;
use nagle::Nagle;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tail::Tail;

/// How often an append or the start of a read is tried before the caller hears of a failure.
const ATTEMPTS: usize = 4;

/// A connection to an event store: cheap to clone, made lazily, remade when it breaks.
#[derive(Clone)]
pub struct EventStore {
    shared: Arc<Shared>,
}

struct Shared {
    settings: ClientSettings,
    connection: Mutex<Connection>,
    /// One caller opens a new session and the others wait: one that nobody uses would never end.
    opening_session: tokio::sync::Mutex<()>,
    tail: Arc<Tail>,
    log: KnownLog,
    nagle: Arc<Nagle>,
}

/// The official client and the session that carries all appends. `generation` tells a caller that met an error
/// whether somebody else has already replaced what failed.
#[derive(Default)]
struct Connection {
    generation: u64,
    client: Option<Client>,
    appends: Option<Arc<BatchAppendClient>>,
    has_answered: bool,
}

impl fmt::Debug for EventStore {
    /// Without its settings, which hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStore").finish_non_exhaustive()
    }
}

impl FromStr for EventStore {
    type Err = InvalidConnectionString;

    fn from_str(connection_string: &str) -> Result<Self, InvalidConnectionString> {
        Self::connect(connection_string)
    }
}

impl EventStore {
    /// An event store at this address. Connects when it is first used.
    ///
    /// # Errors
    /// When the address has not the form of an EventStoreDB connection string.
    pub fn connect(connection_string: &str) -> Result<Self, InvalidConnectionString> {
        Ok(Self::with(connection_string::settings(connection_string)?))
    }

    /// Another connection to the same event store, which shares nothing with this one: for work in another runtime.
    #[must_use]
    pub fn another(&self) -> Self {
        Self::with(self.shared.settings.clone())
    }

    fn with(settings: ClientSettings) -> Self {
        Self {
            shared: Arc::new(Shared {
                nagle: Arc::new(Nagle::of(&settings)),
                settings,
                connection: Mutex::default(),
                opening_session: tokio::sync::Mutex::default(),
                tail: Arc::default(),
                log: KnownLog::default(),
            }),
        }
    }

    fn client(&self) -> Result<(u64, Client), (u64, String)> {
        let mut connection = self.shared.lock();
        let generation = connection.generation;
        let client = match &connection.client {
            Some(client) => client.clone(),
            None => {
                let client = Client::new(self.shared.settings.clone());
                let client = client.map_err(|error| (generation, error.to_string()))?;
                connection.client.insert(client).clone()
            }
        };
        Ok((generation, client))
    }

    /// Drops the connection that failed, unless somebody else did so already.
    fn discard(&self, generation: u64) {
        let mut connection = self.shared.lock();
        if connection.generation == generation {
            *connection = Connection { generation: generation + 1, ..Connection::default() };
        }
    }

    /// An answer has come over this connection after so long.
    fn has_answered(&self, generation: u64, took: Duration) {
        let is_first = {
            let mut connection = self.shared.lock();
            connection.generation == generation && !std::mem::replace(&mut connection.has_answered, true)
        };
        self.shared.nagle.has_answered(is_first, took);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Connection> {
        // Nothing panics while it holds the lock, and a connection is valid at any time.
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn backoff() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(20))
        .with_max_delay(Duration::from_secs(3))
        .with_jitter()
        .without_max_times()
        .build()
}

async fn pause(delays: &mut (impl Iterator<Item = Duration> + Send)) {
    tokio::time::sleep(delays.next().unwrap_or(Duration::from_secs(1))).await;
}
