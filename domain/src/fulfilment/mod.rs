//! The order fulfilment process: what an order still owes to stock, and how a checked-out cart becomes an order.
//!
//! Pure functions of the order's and the cart's own state. The runner sends what is owed after every event and
//! after every restart, so recovery is the everyday path. Everything owed names the order and may be sent twice
//! or late: stock remembers what it settled.

use crate::cart::{CheckedOutCart, Line, PricedLine};
use crate::order::{Order, OrderLine, Placed, PlacedOrder, Status, StockPhase};
use crate::{CartId, Quantity, Sku};

/// What the process asks of one SKU's stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owed {
    /// Whose stock.
    pub sku: Sku,
    /// What is asked.
    pub request: StockRequest,
}

/// A request to stock, on behalf of the order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockRequest {
    /// Hold so many units.
    Reserve(Quantity),
    /// They are paid for.
    Commit,
    /// They left the house.
    Ship,
    /// Let go, and hold nothing ever after.
    Release,
}

/// All that the order owes now, in the order of the SKUs. An empty list means that it waits for somebody else.
///
/// Every SKU is asked, also after another one has refused: only when all answers are in is the order called off.
/// A called-off order releases every SKU, also one that refused, so that a reservation that is still on its way
/// finds itself too late.
#[must_use]
pub fn owed(order: &Order) -> Vec<Owed> {
    let Order::Placed(order) = order else { return vec![] };
    order
        .stock
        .iter()
        .filter_map(|(sku, stock)| {
            request(order, stock.phase, stock.quantity).map(|request| Owed { sku: sku.clone(), request })
        })
        .collect()
}

fn request(order: &PlacedOrder, phase: StockPhase, quantity: Quantity) -> Option<StockRequest> {
    let goods_left = matches!(
        order.status,
        Status::Shipped | Status::Delivered | Status::Refunded { after_shipping: true }
    );
    let called_off =
        matches!(order.status, Status::Cancelled(_) | Status::Refunded { after_shipping: false });
    match phase {
        StockPhase::Unanswered if order.status == Status::Pending => Some(StockRequest::Reserve(quantity)),
        StockPhase::Held if order.status == Status::Paid => Some(StockRequest::Commit),
        StockPhase::Committed if goods_left => Some(StockRequest::Ship),
        StockPhase::Released | StockPhase::Shipped => None,
        _ if called_off => Some(StockRequest::Release),
        _ => None,
    }
}

/// The order that a checked-out cart becomes.
#[must_use]
pub fn order_of(cart_id: CartId, cart: &CheckedOutCart) -> Placed {
    Placed {
        cart_id,
        customer_id: cart.customer_id.clone(),
        country: cart.country.clone(),
        lines: cart.lines.iter().map(order_line).collect(),
        total: cart.total,
    }
}

fn order_line((line, price): &(Line, PricedLine)) -> OrderLine {
    OrderLine {
        line_id: line.line_id,
        sku: line.sku.clone(),
        merchant_id: price.merchant_id.clone(),
        name: price.name.clone(),
        quantity: line.quantity,
        unit_price: price.unit_price,
    }
}
