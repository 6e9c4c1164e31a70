use thiserror::Error;

/// Why stock rejects a command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Not enough is available.
    #[error("{asked} units were requested, but only {available} are available")]
    OutOfStock {
        /// Units that could be reserved.
        available: u64,
        /// Units asked for.
        asked: u32,
    },
    /// Enough is available, but unpaid orders already hold their share of it.
    #[error(
        "unpaid orders hold {held} of the {limit} units that they may hold together: these {asked} units can be held when the order is paid"
    )]
    BeyondShare {
        /// Units that unpaid anonymous orders may hold together now.
        limit: u64,
        /// Units that they hold.
        held: u64,
        /// Units asked for.
        asked: u32,
    },
    /// The order is already closed here; a late message asks again.
    #[error("this order is already closed and cannot reserve stock: place a new order")]
    OrderSettled,
    /// The order holds a different number of units.
    #[error(
        "this order already holds {held} units, so it cannot reserve {asked}: an order reserves each SKU once"
    )]
    ReservationDiffers {
        /// Units that it holds.
        held: u32,
        /// Units asked for.
        asked: u32,
    },
    /// Nothing is held for the order.
    #[error("nothing is reserved for this order")]
    NotReserved,
    /// What is held is not paid for yet.
    #[error("the units are reserved but not yet committed: they can ship after the order is paid")]
    NotCommitted,
    /// The units have left.
    #[error("the units have already been shipped and cannot be released")]
    AlreadyShipped,
    /// The adjustment would remove what is promised to orders.
    #[error(
        "an adjustment by {delta} would remove more than the {available} available units ({reserved} more are reserved \
         for orders): cancel orders first"
    )]
    AdjustmentBelowReserved {
        /// The adjustment.
        delta: i64,
        /// Units that can be reserved.
        available: u64,
        /// Units held for orders.
        reserved: u64,
    },
    /// The receipt's id is taken.
    #[error("this receipt is already recorded with {recorded} units: use a new id for a new delivery")]
    ReceiptDiffers {
        /// Units that are recorded.
        recorded: u32,
    },
    /// The adjustment's id is taken.
    #[error("this adjustment is already recorded as {recorded}: use a new id for a new adjustment")]
    AdjustmentDiffers {
        /// Units that are recorded.
        recorded: i64,
    },
    /// An adjustment by zero.
    #[error("an adjustment by 0 changes nothing: give the number of units found (above 0) or lost (below 0)")]
    NothingToAdjust,
    /// Beyond what a SKU can have.
    #[error("a SKU can have at most {max} units in stock")]
    TooMuchStock {
        /// The limit, in units.
        max: u64,
    },
}
