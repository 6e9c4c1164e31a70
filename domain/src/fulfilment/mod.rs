//! The order fulfilment process: what an order still owes to stock and to the payment gateway, and how a checked-out
//! cart becomes an order.
//!
//! Pure functions of the order's and the cart's own state. The runner sends what is owed after every event and
//! after every restart, so recovery is the everyday path. Everything owed names the order and may be sent twice
//! or late: stock remembers what it settled, and the gateway takes a payment once under its id.

use crate::cart::{CheckedOutCart, Line, PricedLine};
use crate::order::{
    Order, OrderLine, PaymentPhase, Placed, PlacedOrder, RefundPhase, Status, Stock, StockPhase,
};
use crate::{CartId, IntentId, Money, OrderId, PaymentId, PaymentToken, Quantity, RefundId, Sku, WebAddress};
use uuid::Uuid;

/// The scope of the ids of orders.
const ORDERS: Uuid = Uuid::from_u128(0x7a1e_33f0_52c4_4d08_9b0e_51d7_2c86_0b44);

/// What the process asks on behalf of the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owed {
    /// Of one SKU's stock.
    Stock {
        /// Whose stock.
        sku: Sku,
        /// What is asked.
        request: StockRequest,
    },
    /// Of the payment gateway.
    Payment {
        /// About which payment.
        payment_id: PaymentId,
        /// What is asked.
        request: PaymentRequest,
    },
}

/// A request to stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockRequest {
    /// Hold so many units.
    Reserve(Quantity),
    /// Hold so many units, if unpaid anonymous orders do not hold their share of the stock yet.
    ReserveUnpaid(Quantity),
    /// They are paid for.
    Commit,
    /// They left the house.
    Ship,
    /// Some left the house or were given up. Both count from the beginning.
    Part {
        /// Units that left the house so far.
        shipped: u32,
        /// Units that were given up so far.
        released: u32,
    },
    /// Let go, and hold nothing ever after.
    Release,
}

/// A request to the payment gateway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentRequest {
    /// Hold the money for us. Asked again under the same id when the answer is not known, also when the order has been
    /// called off meanwhile: only so the gateway says what became of it.
    Authorize {
        /// How much.
        amount: Money,
        /// The means of payment.
        token: PaymentToken,
        /// Where the shopper comes back to, should the gateway send them elsewhere.
        return_url: Option<WebAddress>,
    },
    /// Take the money.
    Capture {
        /// How the gateway names the payment.
        intent: IntentId,
        /// How much.
        amount: Money,
    },
    /// Let go of the money.
    Void {
        /// How the gateway names the payment.
        intent: IntentId,
    },
    /// Give it back.
    Refund {
        /// How the gateway names the payment.
        intent: IntentId,
        /// The refund.
        refund_id: RefundId,
        /// How much.
        amount: Money,
    },
}

/// All that the order owes now. An empty list means that it waits for somebody else.
///
/// Every SKU is asked, also after another one has refused: only when all answers are in is the order called off.
/// A called-off order releases every SKU, also one that refused, so that a reservation that is still on its way
/// finds itself too late. Of what an order holds only when its money is secured, stock is asked then. Money is taken only
/// when every SKU is held and the total is covered.
#[must_use]
pub fn owed(order: &Order) -> Vec<Owed> {
    let Order::Placed(order) = order else { return vec![] };
    let stock = order.stock.iter().filter_map(|(sku, stock)| {
        stock_request(order, sku, stock).map(|request| Owed::Stock { sku: sku.clone(), request })
    });
    let payments = order.payments.iter().filter_map(|payment| {
        payment_request(order, &payment.phase, payment.amount)
            .map(|request| Owed::Payment { payment_id: payment.payment_id, request })
    });
    stock.chain(payments).chain(refunds(order)).collect()
}

fn stock_request(order: &PlacedOrder, sku: &Sku, stock: &Stock) -> Option<StockRequest> {
    match stock.phase {
        StockPhase::Unanswered if order.status == Status::Pending => {
            let is_unpaid = order.anonymous && !order.is_secured();
            let request = if is_unpaid { StockRequest::ReserveUnpaid } else { StockRequest::Reserve };
            Some(request(stock.quantity))
        }
        StockPhase::AtPayment if order.status == Status::Pending && order.is_secured() => {
            Some(StockRequest::Reserve(stock.quantity))
        }
        StockPhase::Held if order.status == Status::Paid => Some(StockRequest::Commit),
        StockPhase::Committed if !order.is_called_off() => {
            let known = (stock.shipped, stock.released);
            match order.parts(sku) {
                _ if known == (0, 0) && order.has_left(sku) => Some(StockRequest::Ship),
                parts if parts == known => None,
                (shipped, released) => Some(StockRequest::Part { shipped, released }),
            }
        }
        StockPhase::Released | StockPhase::Shipped => None,
        _ if order.is_called_off() => Some(StockRequest::Release),
        _ => None,
    }
}

fn payment_request(order: &PlacedOrder, phase: &PaymentPhase, amount: Money) -> Option<PaymentRequest> {
    match phase {
        PaymentPhase::Requested { token, return_url } => {
            let (token, return_url) = (token.clone(), return_url.clone());
            Some(PaymentRequest::Authorize { amount, token, return_url })
        }
        PaymentPhase::Started { intent, .. } | PaymentPhase::Authorized { intent }
            if order.is_called_off() || order.needs_no_more() =>
        {
            Some(PaymentRequest::Void { intent: intent.clone() })
        }
        PaymentPhase::Authorized { intent }
            if order.status == Status::Pending && order.is_held() && order.is_secured() =>
        {
            Some(PaymentRequest::Capture { intent: intent.clone(), amount })
        }
        _ => None,
    }
}

fn refunds(order: &PlacedOrder) -> impl Iterator<Item = Owed> {
    let requested = order.refunds.iter().filter(|refund| refund.phase == RefundPhase::Requested);
    requested.filter_map(|refund| {
        let payment_id = refund.payment_id?;
        let payment = order.payments.iter().find(|payment| payment.payment_id == payment_id)?;
        let PaymentPhase::Captured { intent } = &payment.phase else { return None };
        let (refund_id, amount) = (refund.refund_id, refund.amount);
        let request = PaymentRequest::Refund { intent: intent.clone(), refund_id, amount };
        Some(Owed::Payment { payment_id, request })
    })
}

/// Payments on which the gateway has not decided: it tells, or is asked from time to time.
#[must_use]
pub fn undecided(order: &Order) -> Vec<(PaymentId, IntentId)> {
    let Order::Placed(order) = order else { return vec![] };
    let intent_of = |phase: &PaymentPhase| match phase {
        PaymentPhase::Started { intent, .. } => Some(intent.clone()),
        _ => None,
    };
    order
        .payments
        .iter()
        .filter_map(|payment| Some((payment.payment_id, intent_of(&payment.phase)?)))
        .collect()
}

/// The id of the order that a cart becomes: one cart, one order.
#[must_use]
pub fn order_id_of(cart_id: CartId) -> OrderId {
    OrderId(Uuid::new_v5(&ORDERS, cart_id.0.as_bytes()))
}

/// The order that a checked-out cart becomes.
#[must_use]
pub fn order_of(cart_id: CartId, cart: &CheckedOutCart) -> Placed {
    Placed {
        cart_id,
        customer_id: cart.customer_id.clone(),
        country: cart.country.clone(),
        lines: cart.lines.iter().map(order_line).collect(),
        shipping: cart.shipping,
        total: cart.total,
        hold_seconds: cart.hold_seconds,
        anonymous: cart.anonymous,
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
