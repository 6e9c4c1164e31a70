//! How many connections a process takes, and which of them it gives up.
//!
//! A process has so many descriptors and no more, and what it does for its shop needs some of them: the log, Postgres,
//! the payment gateway. [`Descriptors`] raises the limit and says how many may go to connections. Each port has an
//! [`Acceptor`], which takes at most its share: at the limit it closes the connection that has gone longest without a
//! whole request, so that silent connections keep nobody out. It also closes connections that send no request in time,
//! and those that do not read what they asked for. One address makes so many new ones a second, and more of them wait.
//!
//! The same rules hold for all ports; what speaks over a connection only says what it sees ([`Connection`]).

mod acceptor;
mod clock;
mod connection;
pub mod descriptors;
mod guarded;
mod known;
mod network;
mod newcomers;
mod ports;
mod rates;
mod throttle;

pub use acceptor::{Acceptor, Limits, Share};
pub use connection::{Arriving, Connection, Cut, Request};
pub use descriptors::Descriptors;
pub use guarded::Guarded;
pub use known::KnownAddresses;
pub use network::counted_as;
pub use newcomers::NewConnections;
pub use ports::{Figures, figures};
pub use rates::AddressRates;
pub use throttle::PerSecond;
