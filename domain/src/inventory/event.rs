use crate::{AdjustmentId, OrderId, Quantity, Reason, ReceiptId};
use serde::{Deserialize, Serialize};

/// What can have happened to a SKU's stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Goods came in.
    Received(Received),
    /// The count was corrected.
    Adjusted(Adjusted),
    /// Units are held for an order.
    Reserved(Reserved),
    /// Held units are available again.
    Released(Released),
    /// Nothing was held, and nothing ever will be, for this order.
    ReservationClosed(ReservationClosed),
    /// Held units belong to a paid order.
    Committed(Committed),
    /// All committed units left the house.
    Shipped(Shipped),
    /// Some committed units left the house.
    UnitsShipped(UnitsShipped),
    /// Some committed units were given up and are available again.
    UnitsReleased(UnitsReleased),
}

/// Goods came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// This delivery.
    pub receipt_id: ReceiptId,
    /// Units.
    pub quantity: Quantity,
}

/// The count was corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Adjusted {
    /// This correction.
    pub adjustment_id: AdjustmentId,
    /// Units, negative when lost.
    pub delta: i64,
    /// Why.
    pub reason: Reason,
}

/// Units are held for an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// For whom.
    pub order_id: OrderId,
    /// Units.
    pub quantity: Quantity,
    /// Whether they were held for an anonymous order whose money nobody had secured.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unpaid: bool,
}

/// Held units are available again, and the order can reserve here no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Released {
    /// For whom they were held.
    pub order_id: OrderId,
    /// Units.
    pub quantity: Quantity,
    /// Whether they were already committed to the order.
    pub was_committed: bool,
}

/// The order was called off before it held anything here, and can reserve here no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReservationClosed {
    /// The order.
    pub order_id: OrderId,
}

/// Held units belong to a paid order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// For whom.
    pub order_id: OrderId,
    /// Units.
    pub quantity: Quantity,
}

/// All committed units left the house at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    /// For whom.
    pub order_id: OrderId,
    /// Units.
    pub quantity: Quantity,
}

/// A part of the committed units left the house, or the last part of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitsShipped {
    /// For whom.
    pub order_id: OrderId,
    /// Units, besides those that left before.
    pub quantity: Quantity,
}

/// The order gave up a part of the committed units: they are available again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitsReleased {
    /// For whom they were held.
    pub order_id: OrderId,
    /// Units, besides those that were given up before.
    pub quantity: Quantity,
}
