use super::event::{CheckedOut, Event, PricedLine};
use crate::{Country, Currency, CustomerId, LineId, Money, OrderId, Quantity, Sku};

/// The state of a cart.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Cart {
    /// Nobody has started it.
    #[default]
    Unopened,
    /// Being filled.
    Open(OpenCart),
    /// Became an order.
    CheckedOut(CheckedOutCart),
    /// Given up.
    Abandoned,
}

/// A cart that is being filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenCart {
    /// The one currency of all its lines.
    pub currency: Currency,
    /// Who shops, if known.
    pub customer_id: Option<CustomerId>,
    /// In the order in which they came in.
    pub lines: Vec<Line>,
    /// For sending it, if known.
    pub shipping: Option<Money>,
    /// How often a line came in or got another quantity, or the charge was set.
    pub changes: u32,
}

/// A cart that became an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedOutCart {
    /// The order.
    pub order_id: OrderId,
    /// Where it goes.
    pub country: Country,
    /// For sending it, a part of the total.
    pub shipping: Option<Money>,
    /// What the shopper owes.
    pub total: Money,
    /// How long the order may wait for its money, in seconds.
    pub hold_seconds: Option<u32>,
    /// Whether nobody knows who checked it out.
    pub anonymous: bool,
    /// Who shops, if known.
    pub customer_id: Option<CustomerId>,
    /// Each line with the price that it was locked at.
    pub lines: Vec<(Line, PricedLine)>,
}

/// A line of a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its id.
    pub line_id: LineId,
    /// What.
    pub sku: Sku,
    /// How many.
    pub quantity: Quantity,
    /// For one unit, as the shopper saw it.
    pub unit_price: Money,
    /// Whether the price is agreed and stays at checkout.
    pub agreed: bool,
}

impl OpenCart {
    /// The line of that id.
    #[must_use]
    pub fn line(&self, line_id: LineId) -> Option<&Line> {
        self.lines.iter().find(|line| line.line_id == line_id)
    }

    fn changed(mut self) -> Cart {
        self.changes = self.changes.saturating_add(1);
        Cart::Open(self)
    }
}

impl Cart {
    pub(super) fn apply(self, event: &Event) -> Self {
        match (self, event) {
            (Self::Unopened, Event::Opened(opened)) => Self::Open(OpenCart {
                currency: opened.currency,
                customer_id: opened.customer_id.clone(),
                lines: Vec::new(),
                shipping: None,
                changes: 0,
            }),
            (Self::Open(mut cart), Event::ItemAdded(added)) => {
                cart.lines.push(Line {
                    line_id: added.line_id,
                    sku: added.sku.clone(),
                    quantity: added.quantity,
                    unit_price: added.unit_price,
                    agreed: added.agreed,
                });
                cart.changed()
            }
            (Self::Open(mut cart), Event::ItemQuantityChanged(changed)) => {
                if let Some(line) = cart.lines.iter_mut().find(|line| line.line_id == changed.line_id) {
                    line.quantity = changed.quantity;
                    return cart.changed();
                }
                Self::Open(cart)
            }
            (Self::Open(mut cart), Event::ItemRemoved(removed)) => {
                cart.lines.retain(|line| line.line_id != removed.line_id);
                Self::Open(cart)
            }
            (Self::Open(mut cart), Event::ShippingSet(set)) => {
                cart.shipping = Some(set.charge);
                cart.changed()
            }
            (Self::Open(cart), Event::CheckedOut(checked_out)) => Self::CheckedOut(lock(cart, checked_out)),
            (Self::Open(_), Event::Abandoned(_)) => Self::Abandoned,
            (
                state,
                Event::Opened(_)
                | Event::ItemAdded(_)
                | Event::ItemQuantityChanged(_)
                | Event::ItemRemoved(_)
                | Event::ShippingSet(_)
                | Event::CheckedOut(_)
                | Event::Abandoned(_),
            ) => state,
        }
    }
}

fn lock(cart: OpenCart, event: &CheckedOut) -> CheckedOutCart {
    // `decide` writes the prices in the order of the lines.
    let lines = cart.lines.into_iter().zip(event.lines.iter().cloned()).collect();
    CheckedOutCart {
        order_id: event.order_id,
        country: event.country.clone(),
        shipping: event.shipping,
        total: event.total,
        hold_seconds: event.hold_seconds,
        anonymous: event.anonymous,
        customer_id: cart.customer_id,
        lines,
    }
}
