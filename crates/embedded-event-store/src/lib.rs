//! A durable event store in our own process that speaks EventStoreDB's gRPC protocol.
//!
//! `log` keeps the events, `index` finds a stream's events in it, `service` is what the store can do in our own terms,
//! `wire` is how that is said in the protocol, and `server` starts and stops the whole.

mod config;
mod index;
mod log;
mod metadata;
mod server;
mod service;
mod wire;

pub use config::{Config, DEFAULT_PORT};
pub use log::writer::EXIT_DISK_FAILED;
pub use log::{OpenError, StorageError, record::RecordError};
pub use server::{Death, EmbeddedEventStore, StartError};
