//! The query side: read models and the event log over HTTP.
//!
//! Reads only: its sessions with the database cannot write. Every answer says up to which position of the log it
//! is true at least (`Emporium-Position`), and any query can ask for a position (`freshness`): one connection
//! listens for checkpoints that moved and wakes the requests that wait for them (`checkpoints`), so waiting costs
//! the database nothing. What is watched live (`live`) costs one query for each change of it, however many watch.
//! Lists are paged by the key of their last row (`page`), so a page costs the same at any depth, and rows that come
//! in between are neither skipped nor repeated.

mod analytics;
mod answer;
mod application;
pub mod asker;
mod audit;
mod checkpoints;
mod config;
mod database;
mod freshness;
mod gate;
mod history;
pub mod live;
mod page;
mod parameters;
mod places;
mod rights;
mod routes;
mod views;

pub use application::{Application, BuildError};
pub use config::{Config, LiveArgs};
pub use database::DatabaseArgs;

/// All routes of the query side.
#[must_use]
pub fn route_table() -> http_routes::RouteTable {
    routes::routes().into_table()
}
