use crate::{Country, Currency, CustomerId, LineId, MerchantId, Money, OrderId, ProductName, Quantity, Sku};
use serde::{Deserialize, Serialize};

/// What can have happened to a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was started.
    Opened(Opened),
    /// A line came in.
    ItemAdded(ItemAdded),
    /// A line has another quantity.
    ItemQuantityChanged(ItemQuantityChanged),
    /// A line went out.
    ItemRemoved(ItemRemoved),
    /// What sending it costs is known.
    ShippingSet(ShippingSet),
    /// It became an order.
    CheckedOut(CheckedOut),
    /// It was given up.
    Abandoned(Abandoned),
}

/// The cart was started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opened {
    /// The one currency of all its lines.
    pub currency: Currency,
    /// Who shops; a guest has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
}

/// A line came in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemAdded {
    /// Its id.
    pub line_id: LineId,
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// For one unit, as the shopper saw it.
    pub unit_price: Money,
    /// Whether the price is agreed and stays at checkout.
    #[serde(default)]
    pub agreed: bool,
}

/// A line has another quantity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemQuantityChanged {
    /// Which line.
    pub line_id: LineId,
    /// How many now.
    pub quantity: Quantity,
}

/// A line went out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ItemRemoved {
    /// Which line.
    pub line_id: LineId,
}

/// What sending the cart costs is known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShippingSet {
    /// For the whole cart.
    pub charge: Money,
}

/// The cart became an order; its lines are locked at these prices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckedOut {
    /// The order.
    pub order_id: OrderId,
    /// Where it goes.
    pub country: Country,
    /// One for each line of the cart.
    pub lines: Vec<PricedLine>,
    /// For sending it, a part of the total.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipping: Option<Money>,
    /// What the shopper owes.
    pub total: Money,
    /// How long the order may wait for its money, in seconds; for ever if it does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_seconds: Option<u32>,
    /// Whether nobody knows who checked it out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub anonymous: bool,
}

/// The price of a line at checkout, and what its product was then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PricedLine {
    /// Which line.
    pub line_id: LineId,
    /// Who sells it.
    pub merchant_id: MerchantId,
    /// What it is called.
    pub name: ProductName,
    /// For one unit.
    pub unit_price: Money,
}

/// The cart was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Abandoned {}
