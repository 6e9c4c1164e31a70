//! What is said over HTTP, as types: what requests have, what answers have, which problems there are, and who may do
//! what.
//!
//! The services take and return these types, `shop-client` sends and reads them, and the OpenAPI description follows from
//! them (`utoipa`). One file for each kind of thing. Requests have the domain's own types, so a value that is out of its
//! bounds is refused while the body is read; how these look in JSON is in [`schema`].

#![allow(unused_qualifications, reason = "what utoipa derives names types in full")]

pub mod analytics;
pub mod audit;
pub mod carts;
pub mod history;
pub mod operations;
pub mod orders;
pub mod payments;
pub mod permission;
pub mod problem;
pub mod products;
pub mod projections;
pub mod reconciliation;
pub mod sales;
pub mod schema;
pub mod shipments;
pub mod stock;

mod list;
mod money;
mod nothing;

/// Before every address: the version of the contract.
pub const PREFIX: &str = "/v1";

pub use list::{AtMost, Page};
pub use money::Amount;
pub use nothing::NoBody;
pub use permission::{Permission, Role};
