//! The rules of the shop.
//!
//! The aggregates (the table is below) decide what a command means, and one process
//! (`fulfilment`) says what an order still owes. Nothing here reads a clock, draws a random number or does
//! I/O: times, ids and prices come in with the command, and the same history always gives the same state.
//!
//! Every aggregate's folder has the same files in the same order: `mod.rs` (what it is), `command.rs`,
//! `event.rs`, `state.rs` (how events become state), `decide.rs`, `rejection.rs`, `stored.rs` (its names on
//! disk), `summary.rs` (its events in words).

/// The table of aggregates, the only list of them: gives it to a macro that takes `Name => type` for each. A new aggregate
/// is a line here, and its module below.
#[macro_export]
macro_rules! with_aggregates {
    ($define:ident) => {
        $define! {
            Product => $crate::product::Product,
            Inventory => $crate::inventory::Inventory,
            Cart => $crate::cart::Cart,
            Order => $crate::order::Order,
        }
    };
}

pub mod aggregate;
pub mod aggregates;
pub mod cart;
pub mod country;
pub mod fulfilment;
pub mod ids;
pub mod inventory;
pub mod money;
pub mod order;
pub mod product;
pub mod proration;
pub mod quantity;
pub mod stored;
pub mod summary;
pub mod text;

pub use aggregate::Aggregate;
pub use aggregates::{CATEGORIES, Event};
pub use country::{CountryCode, UnknownCountry};
pub use ids::{AdjustmentId, CartId, LineId, OrderId, PaymentId, ReceiptId, RefundId, ShipmentId};
pub use money::{Currency, Money};
pub use quantity::Quantity;
pub use summary::Summary;
pub use text::{
    Carrier, Country, CustomerId, DeclineCode, IntentId, MerchantId, PaymentMethod, PaymentToken,
    ProductName, Reason, Reference, Sku, TrackingNumber, WebAddress,
};
