//! The command side: HTTP to command to decision to append, and the order fulfilment process.

mod answer;
mod application;
mod chains;
mod config;
pub mod executor;
mod fulfilment;
mod ids;
mod keys;
mod problems;
mod request;
mod routes;
mod sealing;

pub use application::{Application, BuildError};
pub use config::{Config, PaymentConfig};
pub use ids::order_id_of;
pub use sealing::SealingArgs;
