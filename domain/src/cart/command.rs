use super::PricedLine;
use crate::{Country, Currency, CustomerId, LineId, Money, OrderId, Quantity, Sku};

/// What can be asked of a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Start it.
    Open {
        /// The one currency of all its lines.
        currency: Currency,
        /// Who shops, if known.
        customer_id: Option<CustomerId>,
    },
    /// Add lines, or set the quantity of lines that are there: all of them or none.
    PutLines {
        /// The lines, each with an id of its own.
        lines: Vec<NewLine>,
    },
    /// Take lines out.
    RemoveLines {
        /// Which. One that is not there is out already.
        line_ids: Vec<LineId>,
    },
    /// Say what sending it costs.
    SetShipping {
        /// For the whole cart.
        charge: Money,
    },
    /// Make an order of it.
    CheckOut {
        /// The order that it becomes.
        order_id: OrderId,
        /// Where the order goes.
        country: Country,
        /// The total that the shopper saw.
        expected_total: Money,
        /// The current price of each line's product, and who sells it.
        prices: Vec<PricedLine>,
        /// How long the order may wait for its money, in seconds; for ever if it does not say.
        hold_seconds: Option<u32>,
        /// Whether nobody knows who asks.
        anonymous: bool,
    },
    /// Give it up.
    Abandon,
}

/// A line to put into a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewLine {
    /// Its id.
    pub line_id: LineId,
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// For one unit: the product's price now, or the agreed one.
    pub unit_price: Money,
    /// Whether the price is agreed and stays at checkout.
    pub agreed: bool,
}
