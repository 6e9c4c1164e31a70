//! The store as the official client sees it.

#![allow(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod appends;
mod batches;
mod damage;
mod deleting;
mod durability;
mod killing;
mod reads;
mod refusals;
mod subscriptions;
mod support;
