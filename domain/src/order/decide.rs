use super::{
    CancelReason, Cancelled, Command, Delivered, Event, Order, Paid, PaymentRecorded, Placed, PlacedOrder,
    ProcessingStarted, RefundRecorded, Refunded, RefusedReservation, Rejection, ReservationAnswer,
    ReservationsAnswered, Shipped, Status, StockCommitted, StockPhase, StockReleased, StockShipped,
};
use crate::{Aggregate, Money, Reason, Sku};

impl Aggregate for Order {
    const CATEGORY: &'static str = "order";

    type Command = Command;
    type Event = Event;
    type Rejection = Rejection;

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
                let skus = self.in_phase(skus, |phase| phase == StockPhase::Committed);
                let goods_left = matches!(
                    self.status,
                    Status::Shipped | Status::Delivered | Status::Refunded { after_shipping: true }
                );
                let nothing_new = skus.is_empty() || !goods_left;
                Ok(if nothing_new { vec![] } else { vec![Event::StockShipped(StockShipped { skus })] })
            }
            Command::RecordReleased { skus } => {
                let skus =
                    self.in_phase(skus, |phase| !matches!(phase, StockPhase::Released | StockPhase::Shipped));
                let called_off =
                    matches!(self.status, Status::Cancelled(_) | Status::Refunded { after_shipping: false });
                let nothing_new = skus.is_empty() || !called_off;
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
            Command::Ship => match self.status {
                Status::Processing => Ok(vec![Event::Shipped(Shipped {})]),
                Status::Shipped | Status::Delivered => Ok(vec![]),
                _ => Err(self.not_in("shipped", "processing")),
            },
            Command::Deliver => match self.status {
                Status::Shipped => Ok(vec![Event::Delivered(Delivered {})]),
                Status::Delivered => Ok(vec![]),
                _ => Err(self.not_in("delivered", "shipped")),
            },
            Command::Cancel { reason } => self.cancel(reason),
            Command::RecordRefund { refund_id, amount, reference } => self.record_refund(&RefundRecorded {
                refund_id: *refund_id,
                amount: *amount,
                reference: reference.clone(),
            }),
        }
    }

    fn not_in(&self, wanted: &'static str, needed: &'static str) -> Rejection {
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
        let mut answered = ReservationsAnswered { held: vec![], refused: vec![] };
        for (sku, answer) in answers {
            let Some(phase) = after.get_mut(sku).filter(|phase| **phase == StockPhase::Unanswered) else {
                continue;
            };
            match answer {
                ReservationAnswer::Held => {
                    *phase = StockPhase::Held;
                    answered.held.push(sku.clone());
                }
                ReservationAnswer::Refused { available } => {
                    *phase = StockPhase::Refused { available: *available };
                    answered.refused.push(RefusedReservation { sku: sku.clone(), available: *available });
                }
            }
        }
        if answered.held.is_empty() && answered.refused.is_empty() {
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
                let reason = CancelReason::OutOfStock { refused };
                events.push(Event::Cancelled(Cancelled { reason }));
            } else if self.paid_amount() >= self.total.amount() {
                events.push(self.paid(0));
            }
        }
        events
    }

    fn clone_stock(&self) -> std::collections::BTreeMap<Sku, StockPhase> {
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

    fn record_payment(&self, payment: &PaymentRecorded) -> Result<Vec<Event>, Rejection> {
        if let Some(known) = self.payments.iter().find(|known| known.payment_id == payment.payment_id) {
            return if known.amount == payment.amount {
                Ok(vec![])
            } else {
                Err(Rejection::PaymentDiffers { recorded: known.amount })
            };
        }
        if payment.amount.currency() != self.total.currency() {
            return Err(Rejection::CurrencyMismatch {
                order: self.total.currency(),
                given: payment.amount.currency(),
            });
        }
        if self.status != Status::Pending {
            return Err(self.not_in("paid", "pending"));
        }
        let due = self.total.amount() - self.paid_amount();
        if payment.amount.amount() == 0 || payment.amount.amount() > due {
            return Err(Rejection::PaymentNotDue { due, given: payment.amount });
        }
        let mut events = vec![Event::PaymentRecorded(payment.clone())];
        if self.is_held() && payment.amount.amount() == due {
            events.push(self.paid(payment.amount.amount()));
        }
        Ok(events)
    }

    /// Paid in full, with so much more than what is recorded so far.
    fn paid(&self, more: i64) -> Event {
        let amount = Money::new(self.paid_amount() + more, self.total.currency());
        // Payments never exceed the total, which is money.
        Event::Paid(Paid { amount: amount.unwrap_or(self.total) })
    }

    fn cancel(&self, reason: &Reason) -> Result<Vec<Event>, Rejection> {
        match self.status {
            Status::Pending | Status::Paid | Status::Processing => {
                let reason = CancelReason::Requested { reason: reason.clone() };
                Ok(vec![Event::Cancelled(Cancelled { reason })])
            }
            Status::Cancelled(_) => Ok(vec![]),
            Status::Shipped | Status::Delivered | Status::Refunded { .. } => {
                Err(self.not_in("cancelled", "pending, paid or processing"))
            }
        }
    }

    fn record_refund(&self, refund: &RefundRecorded) -> Result<Vec<Event>, Rejection> {
        if let Some(known) = self.refunds.iter().find(|known| known.refund_id == refund.refund_id) {
            return if known.amount == refund.amount {
                Ok(vec![])
            } else {
                Err(Rejection::RefundDiffers { recorded: known.amount })
            };
        }
        if refund.amount.currency() != self.total.currency() {
            return Err(Rejection::CurrencyMismatch {
                order: self.total.currency(),
                given: refund.amount.currency(),
            });
        }
        if !matches!(self.status, Status::Cancelled(_) | Status::Shipped | Status::Delivered) {
            return Err(self.not_in("refunded", "cancelled, shipped or delivered"));
        }
        let left = self.paid_amount() - self.refunded_amount();
        if refund.amount.amount() == 0 || refund.amount.amount() > left {
            return Err(Rejection::RefundTooLarge { left, given: refund.amount });
        }
        let mut events = vec![Event::RefundRecorded(refund.clone())];
        if refund.amount.amount() == left {
            let all = Money::new(self.paid_amount(), self.total.currency());
            events.push(Event::Refunded(Refunded { amount: all.unwrap_or(self.total) }));
        }
        Ok(events)
    }
}
