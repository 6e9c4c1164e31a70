//! An order: locked lines, what was paid, what stock answered, and where it stands.
//!
//! pending → paid → processing → shipped → delivered; cancelled until it ships; refunded when all that was paid
//! is given back. What has not been sent of a partly shipped order can be given up. Its stream holds the whole story, even
//! what the fulfilment process asked of stock and what
//! stock answered, so that a restart needs nothing else. It is paid when every SKU is held *and* the payments
//! cover the total, in whichever order the two come; processing when stock has committed every SKU to it.

mod command;
mod decide;
mod event;
mod payment;
mod refund;
mod refund_event;
mod rejection;
mod rest;
mod shipment;
mod state;
mod stored;
mod summary;

pub use command::{Command, GatewayAnswer, ReservationAnswer};
pub use event::{
    CancelReason, Cancelled, Delivered, Event, OrderLine, Paid, PartedStock, PaymentAuthorized,
    PaymentCaptured, PaymentDeclined, PaymentRecorded, PaymentRequested, PaymentStarted, PaymentVoided,
    Placed, ProcessingStarted, RefusedReservation, ReservationsAnswered, RestCancelled, ShipmentDelivered,
    ShipmentSent, Shipped, ShippedLine, StockCommitted, StockParted, StockReleased, StockShipped, Tracking,
};
pub use payment::{Decline, Payment, PaymentPhase};
pub use refund::{Refund, RefundPhase};
pub use refund_event::{RefundFailed, RefundFound, RefundRecorded, RefundRefused, RefundRequested, Refunded};
pub use rejection::Rejection;
pub use rest::Rest;
pub use shipment::Shipment;
pub use state::{Order, PlacedOrder, Status, Stock, StockPhase};
