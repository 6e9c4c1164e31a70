use thiserror::Error;

/// Why stock says no.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Rejection {
    /// Not enough is available.
    #[error("{asked} units were asked for and {available} are available")]
    OutOfStock {
        /// Units that could be reserved.
        available: u64,
        /// Units asked for.
        asked: u32,
    },
    /// Enough is there, and unpaid orders hold their share of it already.
    #[error(
        "unpaid orders may hold {limit} units together and hold {held}: the {asked} units are held when they are paid for"
    )]
    BeyondShare {
        /// Units that unpaid anonymous orders may hold together now.
        limit: u64,
        /// Units that they hold.
        held: u64,
        /// Units asked for.
        asked: u32,
    },
    /// The order was settled here before; a late message asks again.
    #[error("this order was settled and can reserve no more: place a new order")]
    OrderSettled,
    /// The order holds another number of units.
    #[error("this order already holds {held} units and asks for {asked}: an order reserves a SKU once")]
    ReservationDiffers {
        /// Units held.
        held: u32,
        /// Units asked for.
        asked: u32,
    },
    /// Nothing is held for the order.
    #[error("nothing is reserved for this order")]
    NotReserved,
    /// What is held is not paid for yet.
    #[error("the units are reserved and not committed yet: they ship after payment")]
    NotCommitted,
    /// The units are gone.
    #[error("the units have been shipped and cannot be released")]
    AlreadyShipped,
    /// The correction would take what is promised to orders.
    #[error(
        "a correction by {delta} would take more than the {available} units that are available \
         ({reserved} more are reserved for orders): cancel orders first"
    )]
    AdjustmentBelowReserved {
        /// The correction.
        delta: i64,
        /// Units that can be reserved.
        available: u64,
        /// Units held for orders.
        reserved: u64,
    },
    /// The receipt's id is taken.
    #[error("this receipt is already recorded with {recorded} units: use another id for another delivery")]
    ReceiptDiffers {
        /// Units that are recorded.
        recorded: u32,
    },
    /// The correction's id is taken.
    #[error("this correction is already recorded as {recorded}: use another id for another correction")]
    AdjustmentDiffers {
        /// Units that are recorded.
        recorded: i64,
    },
    /// A correction by nothing.
    #[error("a correction by 0 changes nothing: give the number of units found or lost")]
    NothingToAdjust,
    /// Beyond what is sane.
    #[error("a SKU holds at most {max} units")]
    TooMuchStock {
        /// The limit, in units.
        max: u64,
    },
}
