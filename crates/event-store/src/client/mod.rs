//! The one place that knows the official client.

mod address;
mod apart;
mod appends;
mod breaker;
mod connection_string;
mod imports;
mod lag;
mod locks;
mod log_identity;
mod nagle;
mod own_streams;
mod patience;
mod raw;
mod reads;
mod rights;
mod same_log;
mod silence;
mod skips;
mod subscription;
mod tail;
mod translate;
mod truncate;
mod unmended;

pub use patience::PATIENCE;
pub use unmended::{Session, UnmendedClient};

use crate::{EventStoreError, InvalidConnectionString};
use address::Address;
use appends::AppendSession;
use breaker::Breaker;
use eventstore::{Client, ClientSettings, Endpoint, Error};
use log_identity::KnownLog;
use nagle::Nagle;
use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tail::Tail;
use tokio::sync::watch;
use tokio::task::AbortHandle;
use translate::failed_read;

/// A client that was made so recently is used again after a failure, and for so long while the event store is away. Another
/// one would hardly find a better node, and each one that is given up leaves a task behind, and perhaps a connection.
const KEPT_FOR: Duration = Duration::from_secs(1);
const KEPT_WHILE_AWAY: Duration = Duration::from_secs(10);

/// What is said of a node that goes on without a word.
const NO_ANSWER: &str = "no answer in time";

/// A connection to an event store: cheap to clone, made lazily, remade when it breaks.
#[derive(Clone)]
pub struct EventStore {
    shared: Arc<Shared>,
}

struct Shared {
    address: Address,
    connection: Mutex<Connection>,
    /// One caller opens a new session and the others wait: one that nobody uses would never end.
    opening_session: tokio::sync::Mutex<()>,
    tail: Arc<Tail>,
    log: KnownLog,
    nagle: Arc<Nagle>,
    breaker: Arc<Breaker>,
    /// The last connection that was given up because it was silent. A subscription over it would hear nothing for a long time.
    silent: watch::Sender<Option<u64>>,
}

/// The official client and the session that carries all appends. `generation` tells a caller that met an error
/// whether somebody else has already replaced what failed.
#[derive(Default)]
struct Connection {
    generation: u64,
    client: Option<Client>,
    /// When the client was made.
    made: Option<Instant>,
    appends: Option<Arc<AppendSession>>,
    has_answered: bool,
    /// Finds out whether the client is to be given up, because it was silent.
    examiner: Option<AbortHandle>,
    /// Where to connect next, if a node has said that it does not lead the cluster and has named the one that does.
    leader: Option<Endpoint>,
    /// Why the connection before this one was given up.
    failure: String,
}

/// Why a connection is given up.
#[derive(Debug)]
enum Lost {
    /// It broke, or its node cannot do what is asked of it.
    Failed,
    /// Its client has found no node, and never looks for one again.
    Ended,
    /// Nothing came over it.
    Silent,
    /// Its node does not lead the cluster: this one does.
    NotLeader(Endpoint),
}

impl From<&Error> for Lost {
    fn from(error: &Error) -> Self {
        match error {
            Error::NotLeaderException(leader) => Self::NotLeader(leader.clone()),
            Error::ConnectionClosed | Error::GrpcConnectionError(_) => Self::Ended,
            _ => Self::Failed,
        }
    }
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
    /// When the address does not have the form of an EventStoreDB connection string.
    pub fn connect(connection_string: &str) -> Result<Self, InvalidConnectionString> {
        Ok(Self::with(Address::parse(connection_string)?, KnownLog::default()))
    }

    /// Another connection to the same event store, for work in another runtime. It shares nothing with this one but which log
    /// it is, and uses whole logs only if this one does.
    #[must_use]
    pub fn another(&self) -> Self {
        let log = self.shared.log.of_another_connection();
        let another = Self::with(self.shared.address.clone(), log);
        if self.shared.log.wants_whole() {
            another.use_whole_logs_only();
        }
        another
    }

    fn with(address: Address, log: KnownLog) -> Self {
        Self {
            shared: Arc::new(Shared {
                nagle: Arc::new(Nagle::of(&address.settings)),
                address,
                connection: Mutex::default(),
                opening_session: tokio::sync::Mutex::default(),
                tail: Arc::default(),
                log,
                breaker: Arc::default(),
                silent: watch::Sender::default(),
            }),
        }
    }

    fn client(&self) -> Result<(u64, Client), (u64, String)> {
        let mut connection = self.shared.lock();
        let generation = connection.generation;
        let client = match &connection.client {
            Some(client) => client.clone(),
            None => {
                let client = Client::new(self.settings_for(connection.leader.as_ref()));
                let client = client.map_err(|error| (generation, error.to_string()))?;
                connection.made = Some(Instant::now());
                connection.client.insert(client).clone()
            }
        };
        Ok((generation, client))
    }

    /// The settings for a client that goes to the leader, if it is known.
    fn settings_for(&self, leader: Option<&Endpoint>) -> ClientSettings {
        let address = &self.shared.address;
        leader.and_then(|leader| address.of_node(leader)).unwrap_or_else(|| address.settings.clone())
    }

    /// Drops the connection that is lost, unless somebody else did so already, or it may serve yet. The next one goes to
    /// the leader, if it was named, or else looks for it.
    fn discard(&self, generation: u64, lost: Lost, error: &str) {
        self.shared.log.lost_a_connection();
        let (kept_for, leader) = match lost {
            Lost::Silent => return self.examine(generation),
            Lost::Failed if self.away().is_some() => (KEPT_WHILE_AWAY, None),
            Lost::Failed => (KEPT_FOR, None),
            Lost::Ended => (Duration::ZERO, None),
            Lost::NotLeader(leader) => (Duration::ZERO, Some(leader)),
        };
        let mut connection = self.shared.lock();
        let is_kept = connection.made.is_some_and(|made| made.elapsed() < kept_for);
        if connection.generation == generation && !is_kept {
            let failure = error.to_owned();
            *connection = Connection { generation: generation + 1, leader, failure, ..Connection::default() };
        }
    }

    /// What a call met that is not tried again, on a connection that is not used again if that is the cause.
    fn failed(&self, generation: u64, error: &Error) -> EventStoreError {
        let failure = failed_read(error);
        if let EventStoreError::Unavailable(why) = &failure {
            self.discard(generation, Lost::from(error), why);
        }
        failure
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
