//! A shopper's cart: lines of a SKU and a quantity, in one currency, until it is checked out or abandoned.
//!
//! Each line has an id of its own, so that the same SKU can stand in a cart twice and a repeated request adds
//! nothing. A line keeps the unit price that the shopper saw; at checkout the lines are priced anew, and the
//! shopper's total must be the new total. A line with an agreed price (an operator's word) keeps it.

mod command;
mod decide;
mod event;
mod rejection;
mod state;
mod stored;
mod summary;

pub use command::{Command, NewLine};
pub use event::{
    Abandoned, CheckedOut, Event, ItemAdded, ItemQuantityChanged, ItemRemoved, Opened, PricedLine,
    ShippingSet,
};
pub use rejection::{LinePrice, Rejection};
pub use state::{Cart, CheckedOutCart, Line, OpenCart};

/// Lines that a cart may have.
pub const MAX_LINES: usize = 2_000;
/// Changes that an open cart takes: lines that came in, other quantities, charges for sending. Lines can always go out,
/// of which there are no more than came in.
pub const MAX_CHANGES: u32 = 10_000;
/// Units that a line may have.
pub const MAX_UNITS_OF_A_LINE: u32 = 1_000_000;
