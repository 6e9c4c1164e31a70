use crate::{AdjustmentId, OrderId, Quantity, Reason, ReceiptId};

/// What can be asked of a SKU's stock. Each command names what makes it unique, so that twice is once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Goods came in.
    Receive {
        /// This delivery.
        receipt_id: ReceiptId,
        /// Units.
        quantity: Quantity,
    },
    /// The count was wrong: units were found or lost.
    Adjust {
        /// This correction.
        adjustment_id: AdjustmentId,
        /// Units, negative when lost.
        delta: i64,
        /// Why.
        reason: Reason,
    },
    /// Hold units for an order.
    Reserve {
        /// For whom.
        order_id: OrderId,
        /// Units, of all the order's lines together.
        quantity: Quantity,
    },
    /// Let go of what is held for an order, and hold nothing for it ever after.
    Release {
        /// For whom.
        order_id: OrderId,
    },
    /// The order is paid: what is held is now theirs.
    Commit {
        /// For whom.
        order_id: OrderId,
    },
    /// The committed units left the house.
    Ship {
        /// For whom.
        order_id: OrderId,
    },
}
