//! What happens, as it happens, for those who watch.
//!
//! There are two kinds of feeds. Of a cart or an order **each event** is told (`events`): nothing is left out and
//! nothing comes twice, whatever becomes of the connection. Of a SKU's stock and of the sales the **newest state** is
//! told (`states`): many changes at once become one, and who comes back hears how it stands if that has changed.
//!
//! All who watch share one subscription to the log (`log`), which is there only while somebody does. Events are told
//! straight from there. A state is read again from the database when the log says that it was touched and the read
//! model has come so far: one query for all who watch it, and none while nothing happens to it.

pub mod events;
pub mod log;
pub mod states;

mod carts;
mod orders;
mod replay;
mod sales;
mod stock;
mod telling;
pub mod told;

pub use events::Events;
pub use log::{Log, NotFollowed};
pub use states::States;
