//! A Postgres server of our own.
//!
//! Emporium keeps its read models in Postgres. Somebody who only wants to try it, and every test run, should not have
//! to set one up. So this crate starts one from the server binaries that are on the machine. The server is a child
//! process. It listens on a unix socket in a folder that only its owner can enter, and on nothing else.
//!
//! The data folder looks like this:
//!
//! - `owner.lock`: locked for as long as a [`PrivatePostgres`] lives, so that two processes never share a folder;
//! - `cluster/`: what initdb made. It is made under the name `initialising.N` and renamed when it is whole, so an
//!   initdb that was interrupted is simply thrown away and done again;
//! - `server.log`: what the server says. It is emptied when it passes 10 MiB;
//! - `.s.PGSQL.5432`: the socket. Socket paths are limited to about a hundred bytes. When the folder's path is too
//!   long, the socket lives in `/tmp/emporium-postgres-N-N` instead: N are the user's number and a hash of the path.
//!
//! # When our process dies
//!
//! A server that outlives its owner would keep the data folder busy for ever. On Linux the server is started through
//! `setpriv --pdeathsig INT` where that tool exists, and the kernel then stops the server in order at the moment that
//! we die. Where it does not exist the server does survive; the next start finds it by `postmaster.pid`, makes sure
//! that the process is a Postgres on this very folder (not a zombie, nor a stranger that got the same number), stops
//! it in order and starts afresh.
//!
//! # Root
//!
//! Postgres refuses to run as root. When we are root, the server runs as the user who owns the data folder; a folder
//! that belongs to root, or is new, is given to the user `postgres`, or to `nobody` where that does not exist.

mod account;
mod binaries;
mod cluster;
mod error;
mod folder;
mod log;
mod process;
mod server;
mod settings;
mod socket;
mod survivor;
pub mod with_postgres;

use std::path::PathBuf;
use std::time::Duration;

pub use error::Error;
pub use server::PrivatePostgres;

/// What the server is to be, and where.
#[derive(Debug, Clone)]
pub struct Config {
    /// The server's folder. It is made if it is missing; what is in it must have been made by this crate.
    pub data_dir: PathBuf,
    /// Whether an acknowledged commit must survive a power cut.
    pub durability: Durability,
    /// How many sessions the server takes at once.
    pub max_connections: u16,
    /// How long the server may take until it accepts connections, crash recovery included.
    pub start_deadline: Duration,
    /// Folders in which to look for the server binaries. `None`: the `PATH`, what `pg_config --bindir` says,
    /// `/usr/lib/postgresql/*/bin` with the newest first, then Homebrew's folders.
    pub server_binaries: Option<Vec<PathBuf>>,
}

/// Whether an acknowledged commit must survive a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// It must: the server waits for the disk.
    Durable,
    /// It need not: for tests. The data still survive a crash of the server.
    Throwaway,
}

impl Config {
    /// A durable server for a small machine.
    pub fn durable(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            durability: Durability::Durable,
            max_connections: 100,
            start_deadline: Duration::from_secs(60),
            server_binaries: None,
        }
    }

    /// A server for tests: quick, not safe against a power cut, with room for the sessions of many tests at once.
    pub fn throwaway(data_dir: impl Into<PathBuf>) -> Self {
        Self { durability: Durability::Throwaway, max_connections: 200, ..Self::durable(data_dir) }
    }
}
