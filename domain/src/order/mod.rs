//! An order: locked lines, what was paid, what stock answered, and where it stands.
//!
//! pending → paid → processing → shipped → delivered; cancelled until it ships; refunded when all that was paid
//! is given back. Its stream holds the whole story, also what the fulfilment process asked of stock and what
//! stock answered, so that a restart needs nothing else. It is paid when every SKU is held *and* the payments
//! cover the total, in whichever order the two come; processing when stock has committed every SKU to it.

mod command;
mod decide;
mod event;
mod rejection;
mod state;
mod stored;

pub use command::{Command, ReservationAnswer};
pub use event::{
    CancelReason, Cancelled, Delivered, Event, OrderLine, Paid, PaymentRecorded, Placed, ProcessingStarted,
    RefundRecorded, Refunded, RefusedReservation, ReservationsAnswered, Shipped, StockCommitted,
    StockReleased, StockShipped,
};
pub use rejection::Rejection;
pub use state::{Order, Payment, PlacedOrder, Refund, Status, Stock, StockPhase};
