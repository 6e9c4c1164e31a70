#![doc = include_str!("../README.md")]

mod answer;
mod book;
pub mod command_line;
mod config;
mod currency;
mod failure;
mod intent;
mod journal;
mod later;
mod methods;
mod operation;
mod page;
mod params;
mod refund;
mod routes;
mod search;
mod server;
mod shelf;
mod webhooks;

pub use config::{DEFAULT_SECRET_KEY, Delays, SandboxConfig, Webhook};
pub use journal::JournalError;
pub use server::{SandboxGateway, StartError};
pub use webhooks::InvalidWebhook;
