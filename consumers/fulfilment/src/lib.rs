//! Runs the order fulfilment process: after every event of an order, and after every restart, it sends what the
//! order owes to stock and to the payment gateway, and tells the order what they answered.
//!
//! It follows the log from a checkpoint before which every order is settled, so that a crash repeats work and
//! never loses any; everything that it sends may come twice. An order is worked on by one task at a time. Orders whose
//! time runs out, or to whom the gateway owes an answer, are kept in the checkpoint too, and so are those that are parked
//! because a stream that they need cannot be read ([`ParkedOrders`]): nobody else waits for them.

mod asking;
mod checkpoint;
mod events;
mod open_orders;
mod parking;
mod paying;
pub mod payments;
mod progress;
mod questions;
mod reading;
pub mod refunds;
mod repetition;
mod runner;
pub mod settle;
mod stock_turns;
mod work;

pub use checkpoint::CHECKPOINTS;
pub use parking::ParkedOrders;
pub use reading::{FulfilmentArgs, Reading};
pub use runner::FulfilmentRunner;
