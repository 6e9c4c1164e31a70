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

impl RefundPhase {
    /// Its name, as clients see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
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
    pub(super) fn left_to_refund(&self) -> i64 {
        self.paid_amount() - self.sum_refunds(|refund| refund.phase != RefundPhase::Refused)
    }

    fn left_of(&self, payment: &Payment) -> i64 {
        let gone = |refund: &Refund| {
            refund.payment_id == Some(payment.payment_id) && refund.phase != RefundPhase::Refused
        };
        payment.amount.amount() - self.sum_refunds(gone)
    }

    /// What people owe the shopper: all that is left of a called-off order's money and not on its way through the
    /// gateway, or what they have not given back of the price of units that were given up. In minor units of the
    /// total's currency.
    #[must_use]
    pub fn to_refund(&self) -> i64 {
        let left = self.left_to_refund().max(0);
        if self.is_called_off() {
            return left;
        }
        let owed: i64 = self.rests.iter().filter_map(|rest| Some(rest.by_hand?.amount())).sum();
        (owed - self.given_by_hand()).clamp(0, left)
    }

    fn given_by_hand(&self) -> i64 {
        self.sum_refunds(|refund| refund.payment_id.is_none() && refund.phase == RefundPhase::Done)
    }

    /// What the gateway took and people have not given back in its stead: money by hand counts first against money
    /// that came by hand.
    fn left_at_gateway(&self) -> i64 {
        let recorded: i64 = self
            .payments
            .iter()
            .filter(|payment| payment.is_paid() && !payment.is_captured())
            .map(|payment| payment.amount.amount())
            .sum();
        let captured = self.payments.iter().filter(|payment| payment.is_captured());
        let left: i64 = captured.map(|payment| self.left_of(payment)).sum();
        left - (self.given_by_hand() - recorded).max(0)
    }

    /// The order is called off, and the gateway is to give back what it took.
    pub(super) fn call_off(&self, reason: CancelReason) -> Vec<Event> {
        let mut events = vec![Event::Cancelled(Cancelled { reason })];
        let mut wanted = self.left_at_gateway();
        for payment in self.payments.iter().filter(|payment| payment.is_captured()) {
            let part = self.left_of(payment).min(wanted);
            if let Ok(amount) = Money::new(part, payment.amount.currency())
                && part > 0
            {
                wanted -= part;
                let (refund_id, payment_id) = (self.free_refund_id(payment.payment_id), payment.payment_id);
                events.push(Event::RefundRequested(RefundRequested { refund_id, payment_id, amount }));
            }
        }
        events.extend(self.all_is_back());
        events
    }

    /// Takes the refund from the payments in the order in which they came, as far as each goes; what is left then is
    /// for people to give back.
    pub(super) fn split_refund(&self, refund_id: RefundId, amount: i64) -> (Vec<Event>, i64) {
        let (mut wanted, mut events) = (amount.min(self.left_at_gateway()).max(0), Vec::new());
        let by_hand = amount - wanted;
        for payment in self.payments.iter().filter(|payment| payment.is_captured()) {
            let part = self.left_of(payment).min(wanted);
            if let Ok(amount) = Money::new(part, payment.amount.currency())
                && part > 0
            {
                wanted -= part;
                let payment_id = payment.payment_id;
                events.push(Event::RefundRequested(RefundRequested { refund_id, payment_id, amount }));
            }
        }
        (events, by_hand)
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
        let is_living =
            matches!(self.status, Status::Paid | Status::Processing | Status::Shipped | Status::Delivered);
        if !is_living {
            return Err(self.not_in("refunded", "paid, processing, shipped or delivered"));
        }
        let left = self.left_at_gateway().min(self.left_while_it_lives()).max(0);
        if amount.amount() == 0 || amount.amount() > left {
            return Err(Rejection::RefundTooLarge { left, given: amount });
        }
        Ok(self.split_refund(refund_id, amount.amount()).0)
    }

    /// What can be given back without calling the order off. All of it before anything has left is a cancellation:
    /// that releases the goods too.
    fn left_while_it_lives(&self) -> i64 {
        let is_all_here =
            matches!(self.status, Status::Paid | Status::Processing) && self.shipments.is_empty();
        self.left_to_refund() - i64::from(is_all_here && self.left_to_refund() > 0)
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
            Some(RefundPhase::Refused) => self.check_left(refund.amount, self.left_to_refund())?,
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
        let is_over = matches!(self.status, Status::Cancelled(_) | Status::Shipped | Status::Delivered);
        self.back_with(more, ended).filter(|_| is_over)
    }

    /// That all is given back, if it was before the order came to its end.
    pub(super) fn all_is_back(&self) -> Option<Event> {
        self.back_with(0, None)
    }

    fn back_with(&self, more: i64, ended: Option<PaymentId>) -> Option<Event> {
        let may_come = |payment: &Payment| payment.is_open() || payment.is_authorized();
        let paid = self.paid_amount();
        let is_last = paid > 0
            && self.refunded_amount() + more == paid
            && !self.payments.iter().any(|payment| may_come(payment) && Some(payment.payment_id) != ended);
        let amount = Money::new(paid, self.total.currency()).unwrap_or(self.total);
        is_last.then_some(Event::Refunded(Refunded { amount }))
    }

    /// Whether people can give so much back.
    fn check_refund(&self, refund: &RefundRecorded) -> Result<(), Rejection> {
        self.check_currency(refund.amount)?;
        if self.status == Status::Pending {
            return Err(self.not_in("refunded", "paid, processing, shipped, delivered or cancelled"));
        }
        self.check_left(refund.amount, self.left_while_it_lives())
    }

    fn check_left(&self, amount: Money, left: i64) -> Result<(), Rejection> {
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
