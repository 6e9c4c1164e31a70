//! What came in: asked for, authorised, taken. What goes back is in `refund`.

use super::refund::refund_of;
use super::{
    CancelReason, Event, GatewayAnswer, PaymentAuthorized, PaymentCaptured, PaymentDeclined, PaymentRecorded,
    PaymentRequested, PaymentStarted, PaymentVoided, PlacedOrder, Rejection, Status,
};
use crate::{DeclineCode, IntentId, Money, PaymentId, PaymentToken, Reason, WebAddress};

/// Payments through the gateway that an order takes, declined ones among them: more are no shopper's.
const MAX_ATTEMPTS: usize = 20;

/// A payment, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Its id.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// How far it is.
    pub phase: PaymentPhase,
    /// The means of payment, as the gateway knows it; none for money that came in beside the gateway.
    pub token: Option<PaymentToken>,
    /// Why it was declined, if it was.
    pub decline: Option<Decline>,
}

/// Why the gateway said no to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decline {
    /// For programs.
    pub code: DeclineCode,
    /// For people.
    pub message: Reason,
}

/// How far a payment is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PaymentPhase {
    /// The money came in beside the gateway.
    Recorded,
    /// The gateway is to be asked, or its answer is not known.
    Requested {
        /// The means of payment.
        token: PaymentToken,
        /// Where the shopper comes back to, should the gateway send them elsewhere.
        return_url: Option<WebAddress>,
    },
    /// The gateway has not decided.
    Started {
        /// How it names the payment.
        intent: IntentId,
        /// Where the shopper must go before it does.
        redirect_url: Option<WebAddress>,
    },
    /// The gateway holds the money for us.
    Authorized {
        /// How it names the payment.
        intent: IntentId,
    },
    /// The money is ours.
    Captured {
        /// How the gateway names the payment.
        intent: IntentId,
    },
    /// The gateway said no.
    Declined,
    /// The gateway let go of the money.
    Voided,
}

impl PaymentPhase {
    /// Its name, as clients see it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Recorded => "recorded",
            Self::Requested { .. } => "requested",
            Self::Started { redirect_url: Some(_), .. } => "requires_action",
            Self::Started { redirect_url: None, .. } => "started",
            Self::Authorized { .. } => "authorized",
            Self::Captured { .. } => "captured",
            Self::Declined => "declined",
            Self::Voided => "voided",
        }
    }
}

impl Payment {
    pub(super) fn is_open(&self) -> bool {
        matches!(self.phase, PaymentPhase::Requested { .. } | PaymentPhase::Started { .. })
    }

    /// Whether the shopper must do something before anything else can happen to it.
    #[must_use]
    pub fn waits_for_shopper(&self) -> bool {
        matches!(self.phase, PaymentPhase::Started { redirect_url: Some(_), .. })
    }

    pub(super) fn is_authorized(&self) -> bool {
        matches!(self.phase, PaymentPhase::Authorized { .. })
    }

    pub(super) fn is_paid(&self) -> bool {
        matches!(self.phase, PaymentPhase::Recorded | PaymentPhase::Captured { .. })
    }

    pub(super) fn is_captured(&self) -> bool {
        matches!(self.phase, PaymentPhase::Captured { .. })
    }

    /// Where the shopper must go while the gateway waits for that.
    #[must_use]
    pub fn redirect_url(&self) -> Option<&WebAddress> {
        match &self.phase {
            PaymentPhase::Started { redirect_url, .. } => redirect_url.as_ref(),
            _ => None,
        }
    }

    /// How the gateway names it, once the order knows.
    #[must_use]
    pub fn intent(&self) -> Option<&IntentId> {
        match &self.phase {
            PaymentPhase::Started { intent, .. }
            | PaymentPhase::Authorized { intent }
            | PaymentPhase::Captured { intent } => Some(intent),
            PaymentPhase::Recorded
            | PaymentPhase::Requested { .. }
            | PaymentPhase::Declined
            | PaymentPhase::Voided => None,
        }
    }
}

impl PlacedOrder {
    /// The sum of the money that is ours, in minor units of the total's currency.
    #[must_use]
    pub fn paid_amount(&self) -> i64 {
        self.sum(Payment::is_paid)
    }

    /// What no payment covers yet, also none that is under way, in minor units of the total's currency.
    #[must_use]
    pub fn due_amount(&self) -> i64 {
        let covered = self.sum(|payment| payment.is_paid() || payment.is_authorized() || payment.is_open());
        (self.total.amount() - covered + self.gone_back_unpaid()).max(0)
    }

    /// Whether money that is ours or held for us covers the total.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        let covered = self.sum(|payment| payment.is_paid() || payment.is_authorized());
        covered - self.gone_back_unpaid() >= self.total.amount()
    }

    /// What went back before the order was paid, in minor units: nobody here asks for that, but people at the gateway
    /// may do it. It is due again.
    fn gone_back_unpaid(&self) -> i64 {
        if self.status == Status::Pending { self.refunded_amount() } else { 0 }
    }

    /// Whether a payment is under way that may still make it a paid order. One that waits for the shopper is not: the
    /// order's own time is theirs. Nor is one that leaves something due: a penny keeps nobody's goods.
    #[must_use]
    pub fn is_paying(&self) -> bool {
        let is_open = |payment: &Payment| payment.is_open() && !payment.waits_for_shopper();
        (self.due_amount() == 0 && self.payments.iter().any(is_open))
            || (self.is_held() && self.is_secured() && self.payments.iter().any(Payment::is_authorized))
    }

    fn sum(&self, is_wanted: impl Fn(&Payment) -> bool) -> i64 {
        self.payments.iter().filter(|payment| is_wanted(payment)).map(|payment| payment.amount.amount()).sum()
    }

    pub(super) fn payment_mut(&mut self, payment_id: PaymentId) -> Option<&mut Payment> {
        self.payments.iter_mut().find(|payment| payment.payment_id == payment_id)
    }

    pub(super) fn check_currency(&self, amount: Money) -> Result<(), Rejection> {
        let (order, given) = (self.total.currency(), amount.currency());
        if order == given { Ok(()) } else { Err(Rejection::CurrencyMismatch { order, given }) }
    }

    pub(super) fn record_payment(&self, payment: &PaymentRecorded) -> Result<Vec<Event>, Rejection> {
        if let Some(known) = self.payments.iter().find(|known| known.payment_id == payment.payment_id) {
            let is_same = known.amount == payment.amount && known.phase == PaymentPhase::Recorded;
            return if is_same {
                Ok(vec![])
            } else {
                Err(Rejection::PaymentDiffers { recorded: known.amount })
            };
        }
        self.check_currency(payment.amount)?;
        let amount = payment.amount.amount();
        // Money that came in is a fact, also when the order is called off: it is then to be given back. It is a slip of
        // the pen where the order would have more of it than it ever cost.
        let due = match self.status {
            Status::Pending => self.due_amount(),
            _ if self.is_called_off() => (self.total.amount() - self.left_to_refund()).max(0),
            _ => return Err(self.not_in("paid", "pending")),
        };
        if amount == 0 || amount > due {
            return Err(self.not_due(due, payment.amount));
        }
        let mut events = vec![Event::PaymentRecorded(payment.clone())];
        events.extend(self.paid_with(amount, None));
        Ok(events)
    }

    pub(super) fn request_payment(
        &self,
        payment: &PaymentRequested,
        in_part: bool,
    ) -> Result<Vec<Event>, Rejection> {
        if let Some(known) = self.payments.iter().find(|known| known.payment_id == payment.payment_id) {
            // Of a payment that was taken in part, nobody knows any more how much was asked for.
            let is_amount = known.amount == payment.amount || known.is_captured();
            return if is_amount && known.token.as_ref() == Some(&payment.token) {
                Ok(vec![])
            } else {
                Err(Rejection::PaymentDiffers { recorded: known.amount })
            };
        }
        self.check_currency(payment.amount)?;
        if self.status != Status::Pending {
            return Err(self.not_in("paid", "pending"));
        }
        if payment.amount.amount() == 0 || payment.amount.amount() > self.due_amount() {
            return Err(self.not_due(self.due_amount(), payment.amount));
        }
        if !in_part && payment.amount.amount() < self.due_amount() {
            return Err(Rejection::PaymentInPart { due: self.due_amount(), given: payment.amount });
        }
        let attempts = self.payments.iter().filter(|known| known.phase != PaymentPhase::Recorded).count();
        if attempts >= MAX_ATTEMPTS {
            return Err(Rejection::TooManyPayments { max: MAX_ATTEMPTS });
        }
        Ok(vec![Event::PaymentRequested(payment.clone())])
    }

    /// Why so much cannot be paid now.
    fn not_due(&self, due: i64, given: Money) -> Rejection {
        let under_way = self.sum(Payment::is_open);
        let may_be_due = (1..=due + under_way).contains(&given.amount());
        if may_be_due && under_way > 0 && self.status == Status::Pending {
            Rejection::PaymentUnderWay { under_way, due }
        } else {
            Rejection::PaymentNotDue { due, given }
        }
    }

    pub(super) fn record_gateway_answer(
        &self,
        payment_id: PaymentId,
        answer: &GatewayAnswer,
    ) -> Result<Vec<Event>, Rejection> {
        let payment = self.payments.iter().find(|payment| payment.payment_id == payment_id);
        let payment = payment.ok_or(Rejection::PaymentNotFound)?;
        if !payment.is_open() && !payment.is_authorized() {
            return Ok(vec![]);
        }
        // Another intent that says to be this payment is none of ours.
        if let (Some(known), Some(named)) = (payment.intent(), answer.intent())
            && known != named
        {
            return Ok(vec![]);
        }
        let asked = payment.amount;
        Ok(match answer {
            GatewayAnswer::Started { intent, redirect_url } => {
                let is_news = match &payment.phase {
                    PaymentPhase::Requested { .. } => true,
                    // What is known is not forgotten because an older answer does not say it.
                    PaymentPhase::Started { redirect_url: known, .. } => {
                        redirect_url.is_some() && known != redirect_url
                    }
                    _ => false,
                };
                let (intent, redirect_url) = (intent.clone(), redirect_url.clone());
                let started = PaymentStarted { payment_id, intent, redirect_url };
                if is_news { vec![Event::PaymentStarted(started)] } else { vec![] }
            }
            GatewayAnswer::Authorized { .. } if payment.is_authorized() => vec![],
            GatewayAnswer::Authorized { intent } => {
                vec![Event::PaymentAuthorized(PaymentAuthorized { payment_id, intent: intent.clone() })]
            }
            GatewayAnswer::Declined { code, message } => {
                let (code, message) = (code.clone(), message.clone());
                let mut events = vec![Event::PaymentDeclined(PaymentDeclined { payment_id, code, message })];
                events.extend(self.refunded_with(0, Some(payment_id)));
                events.extend(self.paid_with(0, Some(payment_id)));
                self.or_called_off(events)
            }
            // Nothing, money in another currency, or more than was asked for is nothing that this order can have.
            GatewayAnswer::Captured { amount: taken, .. }
                if taken.currency() != asked.currency()
                    || !(1..=asked.amount()).contains(&taken.amount()) =>
            {
                vec![]
            }
            GatewayAnswer::Captured { intent, amount } => {
                let (intent, amount) = (intent.clone(), *amount);
                let mut events = vec![Event::PaymentCaptured(PaymentCaptured { payment_id, intent, amount })];
                if self.is_called_off() {
                    events.push(refund_of(payment_id, amount));
                }
                events.extend(self.paid_with(amount.amount(), Some(payment_id)));
                events
            }
            GatewayAnswer::Voided => {
                let mut events = vec![Event::PaymentVoided(PaymentVoided { payment_id })];
                events.extend(self.refunded_with(0, Some(payment_id)));
                events.extend(self.paid_with(0, Some(payment_id)));
                self.or_called_off(events)
            }
        })
    }

    /// After these events it may hold what nobody may hold without money: a card can authorise and be declined later. Then it
    /// is called off.
    fn or_called_off(&self, mut events: Vec<Event>) -> Vec<Event> {
        let mut after = self.clone();
        events.iter().for_each(|event| after.apply(event));
        if after.holds_beyond_its_share() {
            events.extend(after.call_off(CancelReason::Expired));
        }
        events
    }

    /// That it is paid, if it is with so much more than what is ours so far, and no payment can still come: none is
    /// under way but the one that just ended.
    pub(super) fn paid_with(&self, more: i64, ended: Option<PaymentId>) -> Option<Event> {
        self.covered_with(more, ended).filter(|_| self.is_held())
    }

    /// That it is paid, if all is held.
    pub(super) fn covered_with(&self, more: i64, ended: Option<PaymentId>) -> Option<Event> {
        let amount = self.paid_amount() - self.gone_back_unpaid() + more;
        let may_come = |payment: &Payment| payment.is_open() || payment.is_authorized();
        let is_covered = self.status == Status::Pending
            && amount >= self.total.amount()
            && !self.payments.iter().any(|payment| may_come(payment) && Some(payment.payment_id) != ended);
        is_covered.then(|| self.paid(amount))
    }

    /// Whether what is ours covers the total, and a payment that is under way is for nothing: it was to replace money
    /// that people at the gateway gave back, and that came again.
    #[must_use]
    pub fn needs_no_more(&self) -> bool {
        self.status == Status::Pending
            && self.total.amount() > 0
            && self.paid_amount() - self.gone_back_unpaid() >= self.total.amount()
    }
}
