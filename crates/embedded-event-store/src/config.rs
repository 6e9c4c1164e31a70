//! What can be set about the store.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use connection_limits::Limits;

/// The default port of an event store.
pub const DEFAULT_PORT: u16 = 2113;

/// Clients keep a connection for hours; one that makes no call for ten minutes connects again for its next one.
const CONNECTIONS: Limits = Limits {
    most: 4096,
    most_by_peer: None,
    head: Duration::from_secs(10),
    idle: Duration::from_secs(600),
    unread: Duration::from_secs(60),
};

/// What callers may do who are no users, all together and for each address. An IPv6 address is its provider's customer: its
/// first 56 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StrangerLimits {
    /// Calls and pages that an address may ask for in a second, for long.
    pub a_second: NonZeroU32,
    /// The same, all at once.
    pub at_once: NonZeroU32,
    /// Calls under way, in all.
    pub calls: usize,
    /// Pages under way, in all.
    pub pages: usize,
    /// Of the calls under way, and of the pages, those for one address.
    pub by_address: usize,
    /// What has come of unfinished messages, in all, in bytes.
    pub unfinished_bytes: usize,
    /// How long a message may take to come whole.
    pub within: Duration,
}

/// A hundred a second, and five hundred at once: monitoring, load balancers and clients that look for a server ask for far
/// less.
const STRANGERS: StrangerLimits = StrangerLimits {
    a_second: NonZeroU32::MIN.saturating_add(99),
    at_once: NonZeroU32::MIN.saturating_add(499),
    calls: 256,
    pages: 1_000,
    by_address: 100,
    unfinished_bytes: 32 * 1024 * 1024,
    within: Duration::from_secs(10),
};

/// Somebody who may use the store.
#[derive(Clone, PartialEq, Eq)]
pub struct User {
    /// The name; a colon cannot be in it.
    pub name: String,
    /// The password.
    pub password: String,
    /// The groups: roles that access control lists name beside users. `$admins` may do everything, and `$ops` looks after
    /// persistent subscriptions.
    pub groups: Vec<String>,
    /// May read and subscribe to everything, and do nothing that changes the log, whatever the groups and the lists say.
    /// Consuming a persistent subscription changes the log.
    pub read_only: bool,
}

impl User {
    /// A user who may do everything.
    pub fn admin(name: impl Into<String>, password: impl Into<String>) -> Self {
        let groups = vec!["$admins".to_owned()];
        User { name: name.into(), password: password.into(), groups, read_only: false }
    }
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User")
            .field("name", &self.name)
            .field("groups", &self.groups)
            .field("read_only", &self.read_only)
            .finish_non_exhaustive()
    }
}

/// The files for encrypted connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that it rests on, in PEM form.
    pub certificate: PathBuf,
    /// The certificate's private key, in PEM form.
    pub key: PathBuf,
}

/// The settings of an embedded event store.
#[derive(Debug, Clone)]
pub struct Config {
    /// The folder that holds the log; made if it is not there. One store at a time may have it open.
    pub data_dir: PathBuf,
    /// Where to listen. Port 0 takes any free port.
    pub listen: SocketAddr,
    /// The host that clients are told to connect to, if they do not reach it where it listens; for those that ask for the
    /// members of the cluster.
    pub advertise_host: Option<String>,
    /// The port that clients are told to connect to, if it is not the one of `listen`.
    pub advertise_port: Option<u16>,
    /// The largest append, in bytes.
    pub max_append_bytes: usize,
    /// Memory for the newest events, which all live subscribers share, in bytes.
    pub tail_cache_bytes: usize,
    /// Memory for blocks read from disk, in bytes.
    pub read_cache_bytes: u64,
    /// Memory for appends that wait to be written, in bytes; writers beyond it wait.
    pub waiting_appends_bytes: usize,
    /// Appends are refused while the disk has less room than this, in bytes, so that the store itself never runs out.
    pub reserved_disk_bytes: u64,
    /// Who may use the store; if it is empty, everybody who can connect.
    pub users: Vec<User>,
    /// Whether somebody who has not logged in counts as one of `$all` for streams. Persistent subscriptions want a user all
    /// the same.
    pub anonymous_streams: bool,
    /// The files for encrypted connections; without them connections are not encrypted.
    pub tls: Option<Tls>,
    /// How many connections are taken, and which are closed. At the limit, the one that has gone longest without a call
    /// makes place.
    pub connections: Limits,
    /// What callers may do who are no users. Calls to a store without users have no such limits, but pages do.
    pub strangers: StrangerLimits,
}

impl Config {
    /// A store in `data_dir` that listens where clients expect one: 127.0.0.1, port 2113.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Config {
            data_dir: data_dir.into(),
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, DEFAULT_PORT)),
            advertise_host: None,
            advertise_port: None,
            max_append_bytes: 1024 * 1024,
            tail_cache_bytes: 16 * 1024 * 1024,
            read_cache_bytes: 32 * 1024 * 1024,
            waiting_appends_bytes: 64 * 1024 * 1024,
            reserved_disk_bytes: 32 * 1024 * 1024,
            users: Vec::new(),
            anonymous_streams: false,
            tls: None,
            connections: CONNECTIONS,
            strangers: STRANGERS,
        }
    }

    /// A store in `data_dir` that listens on any free port of 127.0.0.1.
    pub fn on_any_port(data_dir: impl Into<PathBuf>) -> Self {
        Config { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), ..Config::new(data_dir) }
    }
}
