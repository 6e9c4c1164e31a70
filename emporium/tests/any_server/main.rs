//! The shop on an event store that is not embedded in it: a purchase, an import of 1,000 orders, a move to it and back,
//! and the death of the leader while shoppers buy.
//!
//! The store is the server or cluster that `EVENT_STORE_URL` names (`make test-server`); its leader is killed by the
//! command `LEADER_KILL`, which a shell runs. Without them it is an embedded store behind a plain TCP relay, which
//! acknowledges as late as a real server does, and it is killed by cutting the relay and starting it again at another
//! address. SKUs, orders and customers are new in every run, and nothing assumes an empty store.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod failover;
mod imported;
mod moving;
mod purchase;
#[allow(dead_code, reason = "other tests need more of it")]
#[path = "../running/mod.rs"]
mod running;
mod shopper;
mod store;
