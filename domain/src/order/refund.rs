//! What goes back: asked of the gateway, or given by people.

use super::{
    CancelReason, Cancelled, Event, Payment, PlacedOrder, RefundRecorded, RefundRefused, RefundRequested,
    Refunded, Rejection, Status,
};
use crate::{Money, PaymentId, Reason, RefundId};
use uuid::Uuid;

/// A refund, or the part of one that goes back to one payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refund {
    /// Its id.
    pub refund_id: RefundId,
    /// The payment that the gateway takes it from; none if people gave it back.
    pub payment_id: Option<PaymentId>,
    /// How much.
    pub amount: Money,
    /// How far it is.
    pub phase: RefundPhase,
}

/// How far a refund is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefundPhase {
    /// The gateway is to be asked, or its answer is not known.
    Requested,
    /// The money went back.
    Done,
    /// The gateway would not: people must.
    Refused,
}

impl PlacedOrder {
    /// The sum of the refunds that were made, in minor units of the total's currency.
    #[must_use]
    pub fn refunded_amount(&self) -> i64 {
        self.sum_refunds(|refund| refund.phase == RefundPhase::Done)
    }

    fn sum_refunds(&self, is_wanted: impl Fn(&Refund) -> bool) -> i64 {
        self.refunds.iter().filter(|refund| is_wanted(refund)).map(|refund| refund.amount.amount()).sum()
    }

    /// What can still be given back of what is ours.
    fn left_to_refund(&self) -> i64 {
        self.paid_amount() - self.sum_refunds(|refund| refund.phase != RefundPhase::Refused)
    }

    fn left_of(&self, payment: &Payment) -> i64 {
        let gone = |refund: &Refund| {
            refund.payment_id == Some(payment.payment_id) && refund.phase != RefundPhase::Refused
        };
        payment.amount.amount() - self.sum_refunds(gone)
    }

    /// The order is called off, and the gateway is to give back what it took.
    pub(super) fn call_off(&self, reason: CancelReason) -> Vec<Event> {
        let mut events = vec![Event::Cancelled(Cancelled { reason })];
        for payment in self.payments.iter().filter(|payment| payment.is_captured()) {
            if let Ok(amount) = Money::new(self.left_of(payment), payment.amount.currency())
                && amount.amount() > 0
            {
                let (refund_id, payment_id) = (self.free_refund_id(payment.payment_id), payment.payment_id);
                events.push(Event::RefundRequested(RefundRequested { refund_id, payment_id, amount }));
            }
        }
        events
    }

    /// The payment's id, or the next one if a refund of this payment was asked for under that: two refunds under one
    /// id would be one at the gateway.
    fn free_refund_id(&self, payment_id: PaymentId) -> RefundId {
        let mut refund_id = RefundId(payment_id.0);
        while self.refund(refund_id, Some(payment_id)).is_some() {
            refund_id = RefundId(Uuid::from_u128(refund_id.0.as_u128().wrapping_add(1)));
        }
        refund_id
    }

    /// Takes the refund from the payments in the order in which they came, as far as each goes.
    pub(super) fn request_refund(&self, refund_id: RefundId, amount: Money) -> Result<Vec<Event>, Rejection> {
        let known: Vec<&Refund> = self.refunds.iter().filter(|known| known.refund_id == refund_id).collect();
        if !known.is_empty() {
            let recorded = known.iter().map(|known| known.amount.amount()).sum();
            return if recorded == amount.amount() {
                Ok(vec![])
            } else {
                Err(Rejection::RefundDiffers {
                    recorded: Money::new(recorded, amount.currency()).unwrap_or(amount),
                })
            };
        }
        self.check_currency(amount)?;
        let captured: Vec<(PaymentId, i64)> = self
            .payments
            .iter()
            .filter(|payment| payment.is_captured())
            .map(|payment| (payment.payment_id, self.left_of(payment)))
            .collect();
        let mut left = captured.iter().map(|(_, left)| left).sum::<i64>().min(self.left_to_refund());
        match self.status {
            Status::Shipped | Status::Delivered => {}
            // Everything back before it ships is a cancellation: that releases the goods too.
            Status::Paid | Status::Processing => left = left.min(self.left_to_refund() - 1).max(0),
            _ => return Err(self.not_in("refunded", "paid, processing, shipped or delivered")),
        }
        if amount.amount() == 0 || amount.amount() > left {
            return Err(Rejection::RefundTooLarge { left, given: amount });
        }
        let mut wanted = amount.amount();
        let mut events = Vec::new();
        for (payment_id, left) in captured {
            let part = wanted.min(left);
            wanted -= part;
            if let Ok(amount) = Money::new(part, amount.currency())
                && part > 0
            {
                events.push(Event::RefundRequested(RefundRequested { refund_id, payment_id, amount }));
            }
        }
        Ok(events)
    }

    pub(super) fn record_refund_refused(
        &self,
        refund_id: RefundId,
        payment_id: PaymentId,
        message: &Reason,
    ) -> Vec<Event> {
        match self.refund(refund_id, Some(payment_id)) {
            Some(known) if known.phase == RefundPhase::Requested => {
                vec![Event::RefundRefused(RefundRefused { refund_id, payment_id, message: message.clone() })]
            }
            _ => vec![],
        }
    }

    pub(super) fn refund(&self, refund_id: RefundId, payment_id: Option<PaymentId>) -> Option<&Refund> {
        self.refunds.iter().find(|known| known.refund_id == refund_id && known.payment_id == payment_id)
    }

    pub(super) fn record_refund(&self, refund: &RefundRecorded) -> Result<Vec<Event>, Rejection> {
        let known = self.refund(refund.refund_id, refund.payment_id);
        if let Some(known) = known
            && known.amount != refund.amount
        {
            return Err(Rejection::RefundDiffers { recorded: known.amount });
        }
        match known.map(|known| known.phase) {
            Some(RefundPhase::Done) => return Ok(vec![]),
            Some(RefundPhase::Requested) => {}
            // What was refused may have gone back by other ways meanwhile.
            Some(RefundPhase::Refused) => self.check_left(refund.amount)?,
            None if refund.payment_id.is_some() => return Err(Rejection::RefundNotRequested),
            None => self.check_refund(refund)?,
        }
        let mut events = vec![Event::RefundRecorded(refund.clone())];
        events.extend(self.refunded_with(refund.amount.amount(), None));
        Ok(events)
    }

    /// That all is given back, if it is with so much more than what went back so far, and no payment can still come:
    /// none is under way but the one that just ended.
    pub(super) fn refunded_with(&self, more: i64, ended: Option<PaymentId>) -> Option<Event> {
        let may_come = |payment: &Payment| payment.is_open() || payment.is_authorized();
        let is_over = matches!(self.status, Status::Cancelled(_) | Status::Shipped | Status::Delivered);
        let paid = self.paid_amount();
        let is_last = paid > 0
            && self.refunded_amount() + more == paid
            && !self.payments.iter().any(|payment| may_come(payment) && Some(payment.payment_id) != ended);
        let amount = Money::new(paid, self.total.currency()).unwrap_or(self.total);
        (is_over && is_last).then_some(Event::Refunded(Refunded { amount }))
    }

    /// Whether people can give so much back.
    fn check_refund(&self, refund: &RefundRecorded) -> Result<(), Rejection> {
        self.check_currency(refund.amount)?;
        let is_over = matches!(self.status, Status::Shipped | Status::Delivered) || self.is_called_off();
        if !is_over {
            return Err(self.not_in("refunded", "cancelled, shipped or delivered"));
        }
        self.check_left(refund.amount)
    }

    fn check_left(&self, amount: Money) -> Result<(), Rejection> {
        let left = self.left_to_refund();
        if amount.amount() == 0 || amount.amount() > left {
            return Err(Rejection::RefundTooLarge { left, given: amount });
        }
        Ok(())
    }
}

/// A called-off order gives a payment back whole; the refund has the payment's id, so that it is one.
pub(super) fn refund_of(payment_id: PaymentId, amount: Money) -> Event {
    Event::RefundRequested(RefundRequested { refund_id: RefundId(payment_id.0), payment_id, amount })
}
