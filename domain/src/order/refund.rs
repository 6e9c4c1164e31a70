//! What goes back: asked of the gateway, or given by people.

use super::{
    CancelReason, Cancelled, Event, OrderLine, Payment, PlacedOrder, RefundFailed, RefundFound,
    RefundRecorded, RefundRefused, RefundRequested, Refunded, Rejection, Status,
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
    /// The money went back and came again: people must.
    Failed,
}

impl Refund {
    /// Whether the money went back, or is to.
    fn counts(&self) -> bool {
        matches!(self.phase, RefundPhase::Requested | RefundPhase::Done)
    }
}

impl RefundPhase {
    /// Its name, as clients see it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
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
        self.not_going_back().max(0)
    }

    /// Below zero when people gave money back at the gateway on top of what was asked of it.
    fn not_going_back(&self) -> i64 {
        self.paid_amount() - self.sum_refunds(Refund::counts)
    }

    fn left_of(&self, payment: &Payment) -> i64 {
        let gone = |refund: &Refund| refund.payment_id == Some(payment.payment_id) && refund.counts();
        payment.amount.amount() - self.sum_refunds(gone)
    }

    /// What people owe the shopper: all that is left of a called-off order's money and not on its way through the
    /// gateway, or what they have not given back of the price of units that were given up. In minor units of the
    /// total's currency.
    #[must_use]
    pub fn to_refund(&self) -> i64 {
        let left = self.left_to_refund();
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
        let left: i64 = captured.map(|payment| self.left_of(payment).max(0)).sum();
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
                let refused = RefundRefused { refund_id, payment_id, message: message.clone() };
                let mut events = vec![Event::RefundRefused(refused)];
                events.extend(self.rest_of_refused(known, payment_id));
                events
            }
            _ => vec![],
        }
    }

    /// A called-off order gives everything back: when the gateway would not give all because people there gave a part
    /// back meanwhile, it is asked for the rest.
    fn rest_of_refused(&self, refused: &Refund, payment_id: PaymentId) -> Option<Event> {
        let payment = self.payments.iter().find(|payment| payment.payment_id == payment_id)?;
        let rest = self.left_of(payment) + refused.amount.amount();
        let is_less = rest > 0 && rest < refused.amount.amount();
        let rest = rest.min(self.not_going_back() + refused.amount.amount());
        let amount = Money::new(rest, refused.amount.currency()).ok()?;
        let refund_id = self.free_refund_id(payment_id);
        (is_less && self.is_called_off() && rest > 0).then_some(Event::RefundRequested(RefundRequested {
            refund_id,
            payment_id,
            amount,
        }))
    }

    /// People gave money back at the gateway itself. That is a fact, whatever the order thinks of it.
    pub(super) fn record_refund_found(&self, found: &RefundFound) -> Result<Vec<Event>, Rejection> {
        let payment = self.payments.iter().find(|payment| payment.payment_id == found.payment_id);
        let payment = payment.ok_or(Rejection::PaymentNotFound)?;
        let is_known = self.refund(found.refund_id, Some(found.payment_id)).is_some();
        let gone = |refund: &Refund| {
            refund.payment_id == Some(found.payment_id) && refund.phase == RefundPhase::Done
        };
        // Of money that is not known to be ours, the gateway first has to say that it is; and it cannot have given
        // back more than it took.
        let can_be = payment.is_captured()
            && payment.amount.currency() == found.amount.currency()
            && (1..=payment.amount.amount() - self.sum_refunds(gone)).contains(&found.amount.amount());
        if is_known || !can_be {
            return Ok(vec![]);
        }
        let mut events = vec![Event::RefundFound(found.clone())];
        events.extend(self.refunded_with(found.amount.amount(), None));
        events.extend(self.called_off_after(&events));
        Ok(events)
    }

    /// Money that went back came again. An order that waits for its money may have all of it now.
    pub(super) fn record_refund_failed(
        &self,
        refund_id: RefundId,
        payment_id: PaymentId,
        message: &Reason,
    ) -> Vec<Event> {
        match self.refund(refund_id, Some(payment_id)) {
            Some(known) if known.phase == RefundPhase::Done => {
                let (amount, message) = (known.amount, message.clone());
                let mut events =
                    vec![Event::RefundFailed(RefundFailed { refund_id, payment_id, amount, message })];
                events.extend(self.paid_with(amount.amount(), None));
                events
            }
            _ => self.record_refund_refused(refund_id, payment_id, message),
        }
    }

    /// Goods for which all the money went back must not leave the house: the order is called off, unless a part of it
    /// has left already.
    fn called_off_after(&self, events: &[Event]) -> Vec<Event> {
        let mut after = self.clone();
        events.iter().for_each(|event| after.apply(event));
        let is_in_the_house =
            matches!(after.status, Status::Paid | Status::Processing) && after.shipments.is_empty();
        // Free goods are owed all the same when the others were given up.
        let costs_something = |line: &OrderLine| {
            line.unit_price.amount() > 0 && after.given_up(line.line_id) < line.quantity.units()
        };
        let is_for_money = after.rests.is_empty() || after.lines.iter().any(costs_something);
        let paid = after.paid_amount();
        let reason = Reason::new("all of its money was refunded");
        match reason {
            Ok(reason) if is_in_the_house && is_for_money && paid > 0 && after.refunded_amount() >= paid => {
                after.call_off(CancelReason::Requested { reason })
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
            // What came again does not go back by what was said before.
            Some(RefundPhase::Done | RefundPhase::Failed) => return Ok(vec![]),
            Some(RefundPhase::Requested) => {}
            // What was refused may have gone back by other ways meanwhile.
            Some(RefundPhase::Refused) => self.check_left(refund.amount, self.left_to_refund())?,
            None if refund.payment_id.is_some() => return Err(Rejection::RefundNotRequested),
            None => self.check_refund(refund)?,
        }
        let mut events = vec![Event::RefundRecorded(refund.clone())];
        events.extend(self.refunded_with(refund.amount.amount(), None));
        events.extend(self.called_off_after(&events));
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
            && self.refunded_amount() + more >= paid
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
        // What people owe for units that were given up may be all that is left.
        self.check_left(refund.amount, self.left_while_it_lives().max(self.to_refund()))
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
