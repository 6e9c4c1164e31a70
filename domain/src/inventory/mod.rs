//! The stock of one SKU: received, corrected, reserved for orders, committed to them, shipped.
//!
//! Every unit that came in is available, reserved or shipped, and never counted twice:
//! received + adjusted = available + reserved + shipped (a committed unit is a reserved one that is paid for).
//! An order reserves a SKU once, for all its lines together. Orders that are settled are remembered: a
//! `Reserve` that arrives after its `Release` is refused, or a late message would hold stock for ever.
//!
//! Anonymous orders that are not paid hold a share of the stock at most ([`Share`]), all together: beyond it, units are
//! held only for an order whose money is secured. So nobody takes a SKU off sale without paying for it.

mod command;
mod decide;
mod event;
mod rejection;
mod share;
mod snapshot;
mod state;
mod stored;
mod summary;

pub use command::Command;
pub use event::{
    Adjusted, Committed, Event, Received, Released, ReservationClosed, Reserved, Shipped, UnitsReleased,
    UnitsShipped,
};
pub use rejection::Rejection;
pub use share::Share;
pub use snapshot::UnreadableSnapshot;
pub use state::{Inventory, Parted, Phase, Reservation};
