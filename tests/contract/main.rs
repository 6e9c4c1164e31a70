//! What an event store must do for us, in one set of tests for every server that speaks the protocol.
//!
//! They judge the embedded store, or the server that `EVENT_STORE_URL` names. Stream names are new in every run and
//! nothing assumes an empty store, so a server with data in it can be judged too. `supervision`, `failover` and
//! most of `locks` are about our own client module: they stop and kill servers, which are always their own.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod appends;
mod deleting;
mod failover;
mod following;
mod groups;
mod idempotency;
mod locks;
mod log_identity;
mod metadata;
mod reads;
mod rights;
mod supervision;
mod target;
mod writers;
