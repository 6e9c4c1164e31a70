//! What a service puts up with from clients that do not behave, each over a connection of its own.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod answers;
mod bodies;
mod connections;
mod h2;
mod http2;
mod overhead;
mod service;
mod shares;
