//! The command side: HTTP to command to decision to append, and the order fulfilment process.

mod admission;
mod answer;
mod application;
mod config;
mod event_store_report;
mod ids;
mod keys;
mod parked_report;
mod problems;
mod request;
mod rights;
mod routes;

pub use admission::AdmissionArgs;
pub use application::{Application, BuildError};
pub use config::{Config, PaymentConfig};
pub use fulfilment::FulfilmentArgs;
pub use routes::WEBHOOKS;
pub use sealing::SealingArgs;
pub use unpaid_orders::UnpaidArgs;

/// All routes of the command side.
#[must_use]
pub fn route_table() -> http_routes::RouteTable {
    routes::routes().into_table()
}
