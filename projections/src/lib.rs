//! From the log to read models in Postgres.
//!
//! A projection (`projection`) says which events it wants and what they mean for its tables (`read_models`). A
//! worker (`worker`) for each of them reads the whole log from the projection's checkpoint on, gathers what has
//! come while the database was busy, and writes it in one transaction together with the new checkpoint
//! (`checkpoint`): each event counts exactly once, whatever crashes. Each version of the tables names the log that it was filled
//! from (`provenance`) and follows no other. Nothing here sends commands or talks to the
//! outer world, so tables can be filled again at any time.
//!
//! The sessions of the workers do not wait for the disk at a commit (`synchronous_commit = off`): a power cut
//! can take back the newest transactions, effect and checkpoint together, and the worker then applies the same
//! events again from the log, which is the truth.

mod application;
mod backoff;
mod board;
mod catalogue;
mod checkpoint;
pub mod compare;
mod config;
mod databases;
mod fact;
mod gathering;
mod lag;
mod metrics;
mod moment;
mod overview;
mod pace;
mod parking;
mod priority;
mod projection;
mod provenance;
pub mod read_models;
mod readiness;
pub mod reconciliation;
mod rights;
mod routes;
mod share;
mod status;
mod step;
mod supervisor;
pub mod versions;
mod worker;

pub use application::{Application, BuildError, migrate};
pub use board::Board;
pub use catalogue::{ALL, Entry, find};
pub use checkpoint::{ADVANCED_CHANNEL, StepError, advance, hold, load, try_own};
pub use config::{Config, ReadModelArgs};
pub use databases::{Database, Databases};
pub use fact::{Fact, Subject, UnreadableCause, UnreadableFact, stored_position};
pub use lag::{Lag, Pace};
pub use overview::{OverviewError, overview};
pub use parking::Park;
pub use projection::{ApplyError, Home, Projection};
pub use share::{Share, schema_of};
pub use status::{State, Status};
pub use step::{Batch, step};
pub use supervisor::Supervisor;
pub use worker::Worker;

/// All routes of the projections.
#[must_use]
pub fn route_table() -> http_routes::RouteTable {
    routes::routes().into_table().and(reconciliation::routes().into_table())
}
