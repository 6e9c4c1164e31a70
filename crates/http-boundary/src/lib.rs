//! What every HTTP service of ours does at its edge.
//!
//! Refusals are problem documents (RFC 9457) with a stable id; the caller is known by the bearer token in one
//! place; bodies and queries that cannot be read are answered in the same form; `Prefer: wait` is read in one place;
//! connections, bodies and answers have limits; a service stops in order.

mod access;
mod answer;
mod arguments;
mod bodies;
mod client;
mod connections;
mod extract;
mod frames;
mod health;
mod json;
mod leftover;
mod limits;
mod listeners;
mod metrics;
pub mod output;
mod overhead;
mod peer;
mod prefer;
mod problem;
pub mod process;
mod refusals;
mod serve;
mod turns;
mod usage;

pub use access::{Caller, Operator, OperatorToken};
pub use arguments::{HttpArgs, HttpLimits, seconds};
pub use client::{Client, ForwardedIn, ProxyArgs};
pub use connection_limits::{PerSecond, Share};
pub use connections::{HangUp, serve_alone};
pub use extract::{PathParams, QueryParams};
pub use health::{Finding, Health};
pub use json::{JsonBody, body_too_large, read_json, unreadable_bytes};
pub use limits::{ClientLimitArgs, ClientLimits, ClientShare};
pub use listeners::{ListenError, Listeners, OperationsListener};
pub use metrics::Metrics;
pub use peer::Peer;
pub use prefer::Wait;
pub use problem::Problem;
pub use refusals::Refusals;
pub use serve::{MAX_BODY_BYTES, Stopping, serve, with_edge};
pub use turns::{NoTurn, Turn, TurnLimits, Turns};
