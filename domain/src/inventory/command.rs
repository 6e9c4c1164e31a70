use super::Share;
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
    /// The same for an anonymous order whose money nobody has secured: unpaid, such orders hold a share of the stock only.
    ReserveUnpaid {
        /// For whom.
        order_id: OrderId,
        /// Units, of all the order's lines together.
        quantity: Quantity,
        /// What such orders may hold together.
        share: Share,
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
    /// All committed units that are still here left the house.
    Ship {
        /// For whom.
        order_id: OrderId,
    },
    /// Some of the committed units left the house, or the order gave them up. Both count from the beginning, so that
    /// a repetition, or one that comes late, changes nothing.
    Part {
        /// For whom.
        order_id: OrderId,
        /// Units that left the house so far.
        shipped: u32,
        /// Units that were given up so far.
        released: u32,
    },
}
