use super::event::{CancelReason, Event, OrderLine, PartedStock, Placed};
use super::{Decline, Payment, PaymentPhase, Refund, RefundPhase, Rest, Shipment};
use crate::{
    CartId, Country, CustomerId, Money, PaymentId, PaymentToken, Quantity, RefundId, ShipmentId, Sku,
};
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
    /// For sending it, a part of the total.
    pub shipping: Option<Money>,
    /// What is owed.
    pub total: Money,
    /// Where it stands.
    pub status: Status,
    /// What stock was asked and has answered, for each SKU.
    pub stock: BTreeMap<Sku, Stock>,
    /// What came in.
    pub payments: Vec<Payment>,
    /// What was or is to be given back.
    pub refunds: Vec<Refund>,
    /// What left the house in parcels.
    pub shipments: Vec<Shipment>,
    /// What was given up unsent.
    pub rests: Vec<Rest>,
    /// Whether nobody knows who placed it.
    pub anonymous: bool,
    /// Whether all of it arrived: known beside the status, as an order may be refunded and arrive.
    pub has_arrived: bool,
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
    /// Units that left the house while others stayed, as far as stock said.
    pub shipped: u32,
    /// Units that stock has back while others stayed.
    pub released: u32,
    /// Unpaid orders had their share of the stock already: the units are the order's only as long as its money is secured.
    pub beyond_share: bool,
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
    /// The units are held when the order's money is secured: unpaid orders hold their share of the stock already.
    AtPayment,
    /// The units belong to the order.
    Committed,
    /// The units left the house, all but those that were given up.
    Shipped,
    /// Whatever was held is let go.
    Released,
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
    /// Whether stock holds every SKU.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.stock.values().all(|stock| stock.phase == StockPhase::Held)
    }

    /// The SKUs that are held only when the order's money is secured.
    pub fn held_at_payment(&self) -> impl Iterator<Item = &Sku> {
        let stock = self.stock.iter().filter(|(_, stock)| stock.phase == StockPhase::AtPayment);
        stock.map(|(sku, _)| sku)
    }

    /// Whether it holds units that are its own only as long as its money is secured, and it is not.
    pub(super) fn holds_beyond_its_share(&self) -> bool {
        let holds = |stock: &Stock| stock.beyond_share && stock.phase == StockPhase::Held;
        self.status == Status::Pending && !self.is_secured() && self.stock.values().any(holds)
    }

    /// Whether the goods stay: what is held is released, and what was paid goes back.
    #[must_use]
    pub fn is_called_off(&self) -> bool {
        matches!(self.status, Status::Cancelled(_) | Status::Refunded { after_shipping: false })
    }

    /// Whether all units of a SKU left the house.
    #[must_use]
    pub fn has_left(&self, sku: &Sku) -> bool {
        self.stock.get(sku).is_some_and(|stock| self.parts(sku) == (stock.quantity.units(), 0))
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
                .or_insert(Stock {
                    quantity: line.quantity,
                    phase: StockPhase::Unanswered,
                    shipped: 0,
                    released: 0,
                    beyond_share: false,
                });
        }
        Self {
            cart_id: placed.cart_id,
            customer_id: placed.customer_id.clone(),
            country: placed.country.clone(),
            lines: placed.lines.clone(),
            shipping: placed.shipping,
            total: placed.total,
            status: Status::Pending,
            stock,
            payments: Vec::new(),
            refunds: Vec::new(),
            shipments: Vec::new(),
            rests: Vec::new(),
            anonymous: placed.anonymous,
            has_arrived: false,
        }
    }

    fn set_phase(&mut self, skus: &[Sku], phase: StockPhase) {
        for sku in skus {
            if let Some(stock) = self.stock.get_mut(sku) {
                stock.phase = phase;
                stock.beyond_share |= phase == StockPhase::AtPayment;
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
    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Placed(_) => {}
            Event::ReservationsAnswered(answered) => {
                self.set_phase(&answered.held, StockPhase::Held);
                self.set_phase(&answered.at_payment, StockPhase::AtPayment);
                for refused in &answered.refused {
                    let phase = StockPhase::Refused { available: refused.available };
                    self.set_phase(std::slice::from_ref(&refused.sku), phase);
                }
            }
            Event::PaymentRecorded(recorded) => {
                self.add_payment(recorded.payment_id, recorded.amount, PaymentPhase::Recorded, None);
            }
            Event::PaymentRequested(requested) => {
                let (token, return_url) = (requested.token.clone(), requested.return_url.clone());
                let phase = PaymentPhase::Requested { token, return_url };
                self.add_payment(requested.payment_id, requested.amount, phase, Some(&requested.token));
            }
            Event::PaymentStarted(started) => {
                let (intent, redirect_url) = (started.intent.clone(), started.redirect_url.clone());
                self.set_payment(started.payment_id, PaymentPhase::Started { intent, redirect_url });
            }
            Event::PaymentAuthorized(authorized) => {
                let intent = authorized.intent.clone();
                self.set_payment(authorized.payment_id, PaymentPhase::Authorized { intent });
            }
            Event::PaymentDeclined(declined) => {
                self.set_payment(declined.payment_id, PaymentPhase::Declined);
                if let Some(payment) = self.payment_mut(declined.payment_id) {
                    let (code, message) = (declined.code.clone(), declined.message.clone());
                    payment.decline = Some(Decline { code, message });
                }
            }
            Event::PaymentCaptured(captured) => {
                let intent = captured.intent.clone();
                self.set_payment(captured.payment_id, PaymentPhase::Captured { intent });
                if let Some(payment) = self.payment_mut(captured.payment_id) {
                    payment.amount = captured.amount;
                }
            }
            Event::PaymentVoided(voided) => self.set_payment(voided.payment_id, PaymentPhase::Voided),
            Event::Paid(_) => self.status = Status::Paid,
            Event::StockCommitted(committed) => self.set_phase(&committed.skus, StockPhase::Committed),
            Event::ProcessingStarted(_) => self.status = Status::Processing,
            Event::ShipmentSent(sent) => self.shipments.push(Shipment {
                shipment_id: sent.shipment_id,
                merchant_id: sent.merchant_id.clone(),
                lines: sent.lines.clone(),
                is_delivered: false,
            }),
            Event::ShipmentDelivered(delivered) => self.set_delivered(delivered.shipment_id),
            Event::Shipped(_) => self.status = Status::Shipped,
            Event::StockShipped(shipped) => self.set_phase(&shipped.skus, StockPhase::Shipped),
            Event::StockParted(parted) => parted.parts.iter().for_each(|part| self.go_apart(part)),
            Event::RestCancelled(rest) => {
                self.rests.push(Rest { lines: rest.lines.clone(), by_hand: rest.by_hand });
            }
            Event::Delivered(_) => {
                self.has_arrived = true;
                if !matches!(self.status, Status::Refunded { .. }) {
                    self.status = Status::Delivered;
                }
            }
            Event::Cancelled(cancelled) => self.status = Status::Cancelled(cancelled.reason.clone()),
            Event::StockReleased(released) => self.set_phase(&released.skus, StockPhase::Released),
            Event::RefundRequested(requested) => self.refunds.push(Refund {
                refund_id: requested.refund_id,
                payment_id: Some(requested.payment_id),
                amount: requested.amount,
                phase: RefundPhase::Requested,
            }),
            Event::RefundRefused(refused) => {
                self.set_refund((refused.refund_id, Some(refused.payment_id)), RefundPhase::Refused);
            }
            Event::RefundRecorded(recorded) => {
                let of = (recorded.refund_id, recorded.payment_id);
                if self.refund(of.0, of.1).is_none() {
                    let (refund_id, payment_id, amount) = (of.0, of.1, recorded.amount);
                    self.refunds.push(Refund { refund_id, payment_id, amount, phase: RefundPhase::Done });
                }
                self.set_refund(of, RefundPhase::Done);
            }
            Event::RefundFound(found) => self.refunds.push(Refund {
                refund_id: found.refund_id,
                payment_id: Some(found.payment_id),
                amount: found.amount,
                phase: RefundPhase::Done,
            }),
            Event::RefundFailed(failed) => {
                self.set_refund((failed.refund_id, Some(failed.payment_id)), RefundPhase::Failed);
            }
            Event::Refunded(_) => {
                let after_shipping = matches!(self.status, Status::Shipped | Status::Delivered);
                self.status = Status::Refunded { after_shipping };
            }
        }
    }

    fn go_apart(&mut self, part: &PartedStock) {
        if let Some(stock) = self.stock.get_mut(&part.sku) {
            (stock.shipped, stock.released) = (part.shipped, part.released);
            if part.left == 0 {
                stock.phase = if part.shipped > 0 { StockPhase::Shipped } else { StockPhase::Released };
            }
        }
    }

    fn add_payment(
        &mut self,
        payment_id: PaymentId,
        amount: Money,
        phase: PaymentPhase,
        token: Option<&PaymentToken>,
    ) {
        self.payments.push(Payment { payment_id, amount, phase, token: token.cloned(), decline: None });
    }

    fn set_payment(&mut self, payment_id: PaymentId, phase: PaymentPhase) {
        if let Some(payment) = self.payment_mut(payment_id) {
            payment.phase = phase;
        }
    }

    fn set_delivered(&mut self, shipment_id: ShipmentId) {
        for parcel in self.shipments.iter_mut().filter(|parcel| parcel.shipment_id == shipment_id) {
            parcel.is_delivered = true;
        }
    }

    fn set_refund(&mut self, (refund_id, payment_id): (RefundId, Option<PaymentId>), phase: RefundPhase) {
        let known = |refund: &&mut Refund| refund.refund_id == refund_id && refund.payment_id == payment_id;
        if let Some(refund) = self.refunds.iter_mut().find(known) {
            refund.phase = phase;
        }
    }
}
