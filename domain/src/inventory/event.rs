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
    /// Committed units left the house.
    Shipped(Shipped),
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

/// Committed units left the house.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipped {
    /// For whom.
    pub order_id: OrderId,
    /// Units.
    pub quantity: Quantity,
}
