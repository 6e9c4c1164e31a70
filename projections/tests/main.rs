//! Projections on a real Postgres and a real event store.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod analytics;
mod comparing;
mod exactly_once;
mod killed;
mod log;
mod moving;
mod same_as_the_domain;
mod shop;
mod supervised;
mod switching;
mod tables;
mod upgrades;
mod versions;
mod worker;
