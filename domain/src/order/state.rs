use super::event::{CancelReason, Event, OrderLine, PaymentRecorded, Placed, RefundRecorded};
use crate::{CartId, Country, CustomerId, Money, PaymentId, Quantity, RefundId, Sku};
use std::collections::BTreeMap;

/// The state of an order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Order {
    /// No cart has become it.
    #[default]
    Unplaced,
    /// It exists.
    Placed(Box<PlacedOrder>),
}

/// An order that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacedOrder {
    /// The cart that it was.
    pub cart_id: CartId,
    /// Who buys, if known.
    pub customer_id: Option<CustomerId>,
    /// Where it goes.
    pub country: Country,
    /// What is bought.
    pub lines: Vec<OrderLine>,
    /// What is owed.
    pub total: Money,
    /// Where it stands.
    pub status: Status,
    /// What stock was asked and has answered, for each SKU.
    pub stock: BTreeMap<Sku, Stock>,
    /// What came in.
    pub payments: Vec<Payment>,
    /// What was given back.
    pub refunds: Vec<Refund>,
}

/// Where an order stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// Waiting for stock and money.
    Pending,
    /// All stock held and all money there.
    Paid,
    /// Stock committed: being packed.
    Processing,
    /// Left the house.
    Shipped,
    /// Arrived.
    Delivered,
    /// Called off.
    Cancelled(CancelReason),
    /// All money given back.
    Refunded {
        /// Whether the goods had left the house by then, and so are not released.
        after_shipping: bool,
    },
}

/// What an order needs of a SKU, and how far that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stock {
    /// Units, of all lines together.
    pub quantity: Quantity,
    /// How far.
    pub phase: StockPhase,
}

/// The last answer of a SKU's stock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StockPhase {
    /// None yet.
    Unanswered,
    /// The units are held.
    Held,
    /// There were too few.
    Refused {
        /// Units that were available.
        available: u64,
    },
    /// The units belong to the order.
    Committed,
    /// The units left the house.
    Shipped,
    /// Whatever was held is let go.
    Released,
}

/// A payment that came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// Its id.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
}

/// A refund that went out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refund {
    /// Its id.
    pub refund_id: RefundId,
    /// How much.
    pub amount: Money,
}

impl Status {
    /// Its name, as clients see it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Paid => "paid",
            Self::Processing => "processing",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Cancelled(_) => "cancelled",
            Self::Refunded { .. } => "refunded",
        }
    }
}

impl PlacedOrder {
    /// The sum of the payments, in minor units of the total's currency.
    #[must_use]
    pub fn paid_amount(&self) -> i64 {
        self.payments.iter().map(|payment| payment.amount.amount()).sum()
    }

    /// The sum of the refunds, in minor units of the total's currency.
    #[must_use]
    pub fn refunded_amount(&self) -> i64 {
        self.refunds.iter().map(|refund| refund.amount.amount()).sum()
    }

    /// Whether stock holds every SKU.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.stock.values().all(|stock| stock.phase == StockPhase::Held)
    }

    fn new(placed: &Placed) -> Self {
        let mut stock: BTreeMap<Sku, Stock> = BTreeMap::new();
        for line in &placed.lines {
            stock
                .entry(line.sku.clone())
                // The cart has checked that the sum is a quantity.
                .and_modify(|known| {
                    known.quantity = known.quantity.plus(line.quantity).unwrap_or(known.quantity)
                })
                .or_insert(Stock { quantity: line.quantity, phase: StockPhase::Unanswered });
        }
        Self {
            cart_id: placed.cart_id,
            customer_id: placed.customer_id.clone(),
            country: placed.country.clone(),
            lines: placed.lines.clone(),
            total: placed.total,
            status: Status::Pending,
            stock,
            payments: Vec::new(),
            refunds: Vec::new(),
        }
    }

    fn set_phase(&mut self, skus: &[Sku], phase: StockPhase) {
        for sku in skus {
            if let Some(stock) = self.stock.get_mut(sku) {
                stock.phase = phase;
            }
        }
    }
}

impl Order {
    pub(super) fn apply(self, event: &Event) -> Self {
        match (self, event) {
            (Self::Unplaced, Event::Placed(placed)) => Self::Placed(Box::new(PlacedOrder::new(placed))),
            (Self::Unplaced, _) => Self::Unplaced,
            (Self::Placed(mut order), event) => {
                order.apply(event);
                Self::Placed(order)
            }
        }
    }
}

impl PlacedOrder {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Placed(_) => {}
            Event::ReservationsAnswered(answered) => {
                self.set_phase(&answered.held, StockPhase::Held);
                for refused in &answered.refused {
                    let phase = StockPhase::Refused { available: refused.available };
                    self.set_phase(std::slice::from_ref(&refused.sku), phase);
                }
            }
            Event::PaymentRecorded(PaymentRecorded { payment_id, amount, .. }) => {
                self.payments.push(Payment { payment_id: *payment_id, amount: *amount });
            }
            Event::Paid(_) => self.status = Status::Paid,
            Event::StockCommitted(committed) => self.set_phase(&committed.skus, StockPhase::Committed),
            Event::ProcessingStarted(_) => self.status = Status::Processing,
            Event::Shipped(_) => self.status = Status::Shipped,
            Event::StockShipped(shipped) => self.set_phase(&shipped.skus, StockPhase::Shipped),
            Event::Delivered(_) => self.status = Status::Delivered,
            Event::Cancelled(cancelled) => self.status = Status::Cancelled(cancelled.reason.clone()),
            Event::StockReleased(released) => self.set_phase(&released.skus, StockPhase::Released),
            Event::RefundRecorded(RefundRecorded { refund_id, amount, .. }) => {
                self.refunds.push(Refund { refund_id: *refund_id, amount: *amount });
            }
            Event::Refunded(_) => {
                let after_shipping = matches!(self.status, Status::Shipped | Status::Delivered);
                self.status = Status::Refunded { after_shipping };
            }
        }
    }
}
