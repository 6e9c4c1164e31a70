//! What every HTTP service of ours does at its edge.
//!
//! Refusals are problem documents (RFC 9457) with a stable id; the caller is known by the bearer token in one
//! place; bodies and queries that cannot be read are answered in the same form; `Prefer: wait` is read in one place; a
//! service stops in order.

mod access;
mod extract;
mod health;
mod metrics;
pub mod output;
mod peer;
mod prefer;
mod problem;
pub mod process;
mod serve;

pub use access::{Caller, OperatorToken};
pub use extract::{PathParams, QueryParams};
pub use health::{Finding, Health};
pub use metrics::Metrics;
pub use peer::Peer;
pub use prefer::Wait;
pub use problem::Problem;
pub use serve::{MAX_BODY_BYTES, Stopping, serve, with_edge};
