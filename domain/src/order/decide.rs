use super::rest::CancelRest;
use super::{
    CancelReason, Command, Event, Order, Paid, PartedStock, PaymentRecorded, PaymentRequested, Placed,
    PlacedOrder, ProcessingStarted, RefundRecorded, RefusedReservation, Rejection, ReservationAnswer,
    ReservationsAnswered, Status, StockCommitted, StockParted, StockPhase, StockReleased, StockShipped,
};
use crate::{Aggregate, Money, Reason, Sku};
use std::collections::{BTreeMap, BTreeSet};

impl Aggregate for Order {
    const CATEGORY: &'static str = "order";

    type Id = crate::OrderId;
    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

    fn parts(&self) -> usize {
        match self {
            Self::Unplaced => 1,
            Self::Placed(order) => order.lines.len(),
        }
    }

    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match (self, command) {
            (Self::Unplaced, Command::Place(placed)) => Ok(vec![Event::Placed(placed.clone())]),
            (Self::Unplaced, _) => Err(Rejection::NotFound),
            (Self::Placed(order), command) => order.decide(command),
        }
    }

    fn evolve(self, event: &Event) -> Self {
        self.apply(event)
    }
}

impl PlacedOrder {
    fn decide(&self, command: &Command) -> Result<Vec<Event>, Rejection> {
        match command {
            Command::Place(placed) => self.place_again(placed),
            Command::RecordReservations { answers } => Ok(self.record_reservations(answers)),
            Command::RecordCommitted { skus } => Ok(self.record_committed(skus)),
            Command::RecordStockShipped { skus } => {
                let mut skus = self.in_phase(skus, |phase| phase == StockPhase::Committed);
                skus.retain(|sku| self.has_left(sku));
                Ok(if skus.is_empty() { vec![] } else { vec![Event::StockShipped(StockShipped { skus })] })
            }
            Command::RecordStockParted { parts } => Ok(self.record_parted(parts)),
            Command::RecordReleased { skus } => {
                let skus =
                    self.in_phase(skus, |phase| !matches!(phase, StockPhase::Released | StockPhase::Shipped));
                let nothing_new = skus.is_empty() || !self.is_called_off();
                Ok(if nothing_new { vec![] } else { vec![Event::StockReleased(StockReleased { skus })] })
            }
            Command::RecordPayment { payment_id, amount, method, reference } => {
                self.record_payment(&PaymentRecorded {
                    payment_id: *payment_id,
                    amount: *amount,
                    method: method.clone(),
                    reference: reference.clone(),
                })
            }
            Command::RequestPayment { payment_id, amount, token, return_url, hold_seconds, in_part } => {
                let payment = PaymentRequested {
                    payment_id: *payment_id,
                    amount: *amount,
                    token: token.clone(),
                    return_url: return_url.clone(),
                    hold_seconds: *hold_seconds,
                };
                self.request_payment(&payment, *in_part)
            }
            Command::RecordGatewayAnswer { payment_id, answer } => {
                self.record_gateway_answer(*payment_id, answer)
            }
            Command::Expire { even_while_paying } => {
                let waits = self.status == Status::Pending && (*even_while_paying || !self.is_paying());
                Ok(if waits { self.call_off(CancelReason::Expired) } else { vec![] })
            }
            Command::SendShipment { shipment_id, merchant_id, lines, tracking } => {
                self.send_shipment(*shipment_id, merchant_id, lines.as_deref(), tracking.as_ref())
            }
            Command::DeliverShipment { shipment_id } => self.deliver_shipment(*shipment_id),
            Command::Ship => match self.status {
                Status::Processing => Ok(self.all_shipped()),
                Status::Shipped | Status::Delivered | Status::Refunded { after_shipping: true } => Ok(vec![]),
                _ => Err(self.not_in("shipped", "processing")),
            },
            Command::Deliver => self.deliver(),
            Command::Cancel { reason } => self.cancel(reason),
            Command::CancelRest { refund_id, merchant_id, refund, reason } => {
                let (refund_id, merchant_id, refund) = (*refund_id, merchant_id.as_ref(), *refund);
                self.cancel_rest(&CancelRest { refund_id, merchant_id, refund, reason })
            }
            Command::RequestRefund { refund_id, amount } => self.request_refund(*refund_id, *amount),
            Command::RecordRefundRefused { refund_id, payment_id, message } => {
                Ok(self.record_refund_refused(*refund_id, *payment_id, message))
            }
            Command::RecordRefundFound(found) => self.record_refund_found(found),
            Command::RecordRefundFailed { refund_id, payment_id, message } => {
                Ok(self.record_refund_failed(*refund_id, *payment_id, message))
            }
            Command::RecordRefund { refund_id, payment_id, amount, reference } => {
                self.record_refund(&RefundRecorded {
                    refund_id: *refund_id,
                    payment_id: *payment_id,
                    amount: *amount,
                    reference: reference.clone(),
                })
            }
        }
    }

    pub(super) fn not_in(&self, wanted: &'static str, needed: &'static str) -> Rejection {
        Rejection::WrongStatus { status: self.status.name(), wanted, needed }
    }

    fn place_again(&self, placed: &Placed) -> Result<Vec<Event>, Rejection> {
        if (self.cart_id, self.total, &self.lines) == (placed.cart_id, placed.total, &placed.lines) {
            Ok(vec![])
        } else {
            Err(Rejection::AlreadyPlaced)
        }
    }

    /// Those of the SKUs that this order has and that are in such a phase, each once.
    fn in_phase(&self, skus: &[Sku], is_wanted: impl Fn(StockPhase) -> bool) -> Vec<Sku> {
        let wanted = |sku: &&Sku| self.stock.get(*sku).is_some_and(|stock| is_wanted(stock.phase));
        let mut skus: Vec<Sku> = skus.iter().filter(wanted).cloned().collect();
        skus.sort();
        skus.dedup();
        skus
    }

    /// An answer that comes after the order was called off is not recorded: what is held then is released
    /// because the order is called off, whatever the answer was.
    fn record_reservations(&self, answers: &[(Sku, ReservationAnswer)]) -> Vec<Event> {
        if self.status != Status::Pending {
            return vec![];
        }
        let mut after = self.clone_stock();
        let mut answered = ReservationsAnswered { held: vec![], refused: vec![], at_payment: vec![] };
        let mut heard = BTreeSet::new();
        for (sku, answer) in answers {
            let is_open =
                |phase: &&mut StockPhase| matches!(**phase, StockPhase::Unanswered | StockPhase::AtPayment);
            let phase = after.get_mut(sku).filter(is_open);
            // The first of several answers in one command is the one that counts.
            let Some(phase) = phase.filter(|_| heard.insert(sku)) else { continue };
            match answer {
                ReservationAnswer::Held => {
                    *phase = StockPhase::Held;
                    answered.held.push(sku.clone());
                }
                ReservationAnswer::Refused { available } => {
                    *phase = StockPhase::Refused { available: *available };
                    answered.refused.push(RefusedReservation { sku: sku.clone(), available: *available });
                }
                ReservationAnswer::AtPayment if *phase == StockPhase::AtPayment => {}
                ReservationAnswer::AtPayment => {
                    *phase = StockPhase::AtPayment;
                    answered.at_payment.push(sku.clone());
                }
            }
        }
        if answered.held.is_empty() && answered.refused.is_empty() && answered.at_payment.is_empty() {
            return vec![];
        }
        let mut events = vec![Event::ReservationsAnswered(answered)];
        if after.values().all(|phase| *phase != StockPhase::Unanswered) {
            let refused: Vec<RefusedReservation> = after
                .iter()
                .filter_map(|(sku, phase)| match phase {
                    StockPhase::Refused { available } => {
                        Some(RefusedReservation { sku: sku.clone(), available: *available })
                    }
                    _ => None,
                })
                .collect();
            if !refused.is_empty() {
                events.extend(self.call_off(CancelReason::OutOfStock { refused }));
            } else if after.values().all(|phase| *phase == StockPhase::Held) {
                events.extend(self.covered_with(0, None));
            }
        }
        events
    }

    fn clone_stock(&self) -> BTreeMap<Sku, StockPhase> {
        self.stock.iter().map(|(sku, stock)| (sku.clone(), stock.phase)).collect()
    }

    fn record_committed(&self, skus: &[Sku]) -> Vec<Event> {
        if self.status != Status::Paid {
            return vec![];
        }
        let skus = self.in_phase(skus, |phase| phase == StockPhase::Held);
        if skus.is_empty() {
            return vec![];
        }
        let still_held = self.stock.values().filter(|stock| stock.phase == StockPhase::Held).count();
        let mut events = Vec::with_capacity(2);
        let all_committed = skus.len() == still_held;
        events.push(Event::StockCommitted(StockCommitted { skus }));
        if all_committed {
            events.push(Event::ProcessingStarted(ProcessingStarted {}));
        }
        events
    }

    /// Units count from the beginning, so an answer that comes late or twice is no news.
    fn record_parted(&self, answers: &[(Sku, u32, u32)]) -> Vec<Event> {
        let mut parts: BTreeMap<&Sku, PartedStock> = BTreeMap::new();
        for (sku, shipped, released) in answers {
            let Some(stock) = self.stock.get(sku).filter(|stock| stock.phase == StockPhase::Committed) else {
                continue;
            };
            let known =
                parts.get(sku).map_or((stock.shipped, stock.released), |part| (part.shipped, part.released));
            let (shipped, released) = (known.0.max(*shipped), known.1.max(*released));
            let (sent, given_up) = self.parts(sku);
            if (shipped, released) != known && shipped <= sent && released <= given_up {
                let left = stock.quantity.units().saturating_sub(shipped).saturating_sub(released);
                parts.insert(sku, PartedStock { sku: sku.clone(), shipped, released, left });
            }
        }
        let parts: Vec<PartedStock> = parts.into_values().collect();
        if parts.is_empty() { vec![] } else { vec![Event::StockParted(StockParted { parts })] }
    }

    /// Paid in full, with so much.
    pub(super) fn paid(&self, amount: i64) -> Event {
        let amount = Money::new(amount, self.total.currency());
        // Payments of a pending order never exceed the total, which is money.
        Event::Paid(Paid { amount: amount.unwrap_or(self.total) })
    }

    fn cancel(&self, reason: &Reason) -> Result<Vec<Event>, Rejection> {
        match self.status {
            _ if !self.shipments.is_empty() => Err(Rejection::PartlyShipped),
            Status::Pending | Status::Paid | Status::Processing => {
                Ok(self.call_off(CancelReason::Requested { reason: reason.clone() }))
            }
            _ if self.is_called_off() => Ok(vec![]),
            _ => Err(self.not_in("cancelled", "pending, paid or processing")),
        }
    }
}
