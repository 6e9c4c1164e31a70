//! The one binary of the shop, as a library: its command line, the services in one process, the importer of real
//! orders and the demo shop.

// Before all others, which print with its macros.
#[macro_use]
mod output;

pub mod audit_cli;
pub mod bench;
pub mod cli;
pub mod demo_shop;
pub mod event_store_cli;
pub mod import;
pub mod operator;
mod private_folder;
pub mod projections_cli;
mod secrets;
pub mod serve;
pub mod shop_client;
mod store_password;
pub mod streams_cli;
