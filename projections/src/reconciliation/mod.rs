//! Whether everything adds up: every row against its events, every SKU's units, every order's and day's money.
//!
//! Rows are compared with what a fresh fold of the log by the projections' own rules gives (`compare`). Rules can be
//! wrong too, so the log is also added up by small books of their own (`stock_book`, `order_book`) that share nothing
//! with the read models but the events, and these are held against the tables and against each other (`checks`).

mod books;
mod checks;
mod day_book;
mod evidence;
mod metrics;
mod order_book;
mod reconcile;
mod report;
mod routes;
mod runs;
mod sold;
mod stock_book;
mod tables;

pub use api::reconciliation::{Check, EventPlace, Finding, ReconciliationReport};
pub(crate) use metrics::register as register_metrics;
pub use reconcile::{ReconcileError, reconcile};
pub(crate) use routes::{Shared, routes};
pub(crate) use runs::Reconciler;
