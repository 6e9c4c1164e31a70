//! A product: what is sold under a SKU, by which merchant, at which price.
//!
//! Defined once, repriced at will, retired at the end. A retired product keeps its history and cannot be put
//! into a cart.

mod command;
mod decide;
mod event;
mod rejection;
mod state;
mod stored;
mod summary;

pub use command::Command;
pub use event::{Defined, Event, Repriced, Retired};
pub use rejection::Rejection;
pub use state::{Definition, Product};
