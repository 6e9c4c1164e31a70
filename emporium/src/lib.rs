//! The one binary of the shop, as a library: its command line, the services in one process, and the demo shop.

// Before all modules, which print with its macros.
#[macro_use(print, println)]
extern crate http_boundary;

pub mod audit_cli;
pub mod cli;
pub mod demo_shop;
pub mod event_store_cli;
mod private_folder;
pub mod projections_cli;
pub mod secrets;
pub mod serve;
pub mod store_password;
pub mod streams_cli;
