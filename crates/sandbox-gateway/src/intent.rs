//! A payment intent and its rules, without I/O and without a clock.

use crate::currency;
use crate::failure::Failure;
use crate::methods::{Behaviour, Reason};
use crate::refund::{Refund, RefundStatus};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    RequiresCapture,
    Succeeded,
    Canceled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CaptureMethod {
    Automatic,
    AutomaticAsync,
    Manual,
}

/// What happened, as webhooks name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Happening {
    #[serde(rename = "payment_intent.created")]
    Created,
    #[serde(rename = "payment_intent.amount_capturable_updated")]
    AmountCapturableUpdated,
    #[serde(rename = "payment_intent.requires_action")]
    RequiresAction,
    #[serde(rename = "payment_intent.processing")]
    Processing,
    #[serde(rename = "payment_intent.succeeded")]
    Succeeded,
    #[serde(rename = "payment_intent.payment_failed")]
    PaymentFailed,
    #[serde(rename = "payment_intent.canceled")]
    Canceled,
    #[serde(rename = "refund.created")]
    RefundCreated,
    #[serde(rename = "charge.refunded")]
    ChargeRefunded,
    #[serde(rename = "refund.updated")]
    RefundUpdated,
    #[serde(rename = "refund.failed")]
    RefundFailed,
}

/// A payment intent. Amounts are in the units of the currency that Stripe has.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub id: String,
    /// Its place in the order of creation.
    pub number: usize,
    /// Seconds since 1970.
    pub created: i64,
    pub amount: i64,
    pub currency: String,
    pub status: Status,
    pub capture_method: CaptureMethod,
    pub payment_method: Option<String>,
    pub metadata: BTreeMap<String, String>,
    pub description: Option<String>,
    pub amount_received: i64,
    pub amount_refunded: i64,
    pub charge: Option<String>,
    pub failure: Option<Failure>,
    pub canceled_at: Option<i64>,
    pub cancellation_reason: Option<String>,
    /// When a slow payment's outcome is there, in milliseconds since 1970.
    pub due: Option<i64>,
    /// What the shopper was asked to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
}

/// A page where the shopper decides, and where their browser goes then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Action {
    pub url: String,
    pub return_url: Option<String>,
}

/// What a change of an intent is: what to tell, and whether the request failed all the same.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Change {
    pub happenings: Vec<Happening>,
    pub failure: Option<Failure>,
}

impl Change {
    fn of(happening: Happening) -> Self {
        Self { happenings: vec![happening], failure: None }
    }
}

impl Intent {
    pub fn amount_capturable(&self) -> i64 {
        if self.status == Status::RequiresCapture { self.amount } else { 0 }
    }

    /// Whether it holds no money and nobody is about to pay with it: taken, let go, or declined.
    pub fn is_over(&self) -> bool {
        match self.status {
            Status::Succeeded | Status::Canceled => true,
            Status::RequiresPaymentMethod => self.failure.is_some(),
            Status::RequiresConfirmation
            | Status::RequiresAction
            | Status::Processing
            | Status::RequiresCapture => false,
        }
    }

    pub fn behaviour(&self) -> Option<Behaviour> {
        self.payment_method.as_deref().and_then(Behaviour::of)
    }

    /// Pays with the payment method. `due` is when the outcome is there, should the payment be slow; `action` is what
    /// the shopper does, should they be asked.
    pub fn confirm(&mut self, charge: String, due: i64, action: Action) -> Result<Change, Failure> {
        if !matches!(self.status, Status::RequiresPaymentMethod | Status::RequiresConfirmation) {
            return Err(self.unexpected("confirmed", "requires_payment_method, requires_confirmation"));
        }
        let Some(behaviour) = self.behaviour() else {
            return Err(Failure::unexpected_state(
                "The intent has no payment method: send one to confirm it.",
            ));
        };
        self.charge = Some(charge);
        match behaviour {
            Behaviour::Decline(reason) => Ok(self.decline(reason)),
            Behaviour::ApproveSlowly | Behaviour::DeclineSlowly => {
                self.status = Status::Processing;
                self.failure = None;
                self.due = Some(due);
                Ok(Change::of(Happening::Processing))
            }
            Behaviour::AskShopper => {
                self.status = Status::RequiresAction;
                self.failure = None;
                self.action = Some(action);
                Ok(Change::of(Happening::RequiresAction))
            }
            Behaviour::Approve
            | Behaviour::NeverAnswer
            | Behaviour::AnswerLate
            | Behaviour::TellTwice
            | Behaviour::FailCapture
            | Behaviour::CaptureWithError
            | Behaviour::RefundSlowly
            | Behaviour::FailRefundSlowly => Ok(self.approve()),
            Behaviour::ApproveWithError => {
                Ok(Change { failure: Some(Failure::after_the_fact()), ..self.approve() })
            }
            Behaviour::HoldLess => {
                self.amount = 1;
                Ok(self.approve())
            }
        }
    }

    /// The outcome of a slow payment is there. Nothing, when it was there already.
    pub fn settle(&mut self) -> Option<Change> {
        if self.status != Status::Processing {
            return None;
        }
        self.due = None;
        let change = match self.behaviour() {
            Some(Behaviour::DeclineSlowly) => self.decline(Reason::Unsaid),
            _ => self.approve(),
        };
        // Nobody waits for an answer.
        Some(Change { failure: None, ..change })
    }

    /// The shopper has decided. Nothing, when nobody asks them any more.
    pub fn decide(&mut self, approves: bool) -> Option<Change> {
        if self.status != Status::RequiresAction {
            return None;
        }
        let change = if approves { self.approve() } else { self.decline(Reason::NotProven) };
        // The answer is a page, whatever they decided.
        Some(Change { failure: None, ..change })
    }

    /// Takes the money, all of it or a part; the rest is let go.
    pub fn capture(&mut self, amount: Option<i64>) -> Result<Change, Failure> {
        if self.status != Status::RequiresCapture {
            return Err(self.unexpected("captured", "requires_capture"));
        }
        let amount = amount.unwrap_or(self.amount);
        if amount > self.amount {
            let message = format!("Only {} can be captured, not {amount}.", self.amount);
            return Err(Failure::invalid(message).code("amount_too_large").param("amount_to_capture"));
        }
        currency::check_amount(amount, &self.currency, "amount_to_capture")?;
        if self.behaviour() == Some(Behaviour::FailCapture) {
            return Ok(self.decline(Reason::Unsaid));
        }
        self.amount_received = amount;
        self.status = Status::Succeeded;
        let failure = (self.behaviour() == Some(Behaviour::CaptureWithError)).then(Failure::after_the_fact);
        Ok(Change { failure, ..Change::of(Happening::Succeeded) })
    }

    /// Lets everything go. `now` in seconds since 1970.
    pub fn cancel(&mut self, reason: Option<String>, now: i64) -> Result<Change, Failure> {
        match self.status {
            Status::RequiresPaymentMethod
            | Status::RequiresConfirmation
            | Status::RequiresAction
            | Status::RequiresCapture => {
                self.status = Status::Canceled;
                self.canceled_at = Some(now);
                self.cancellation_reason = reason;
                Ok(Change::of(Happening::Canceled))
            }
            Status::Processing | Status::Succeeded | Status::Canceled => {
                let allowed =
                    "requires_payment_method, requires_confirmation, requires_action, requires_capture";
                Err(self.unexpected("canceled", allowed))
            }
        }
    }

    /// Gives money back, all that is left of it or a part, and says how much that is.
    pub fn refund(&mut self, amount: Option<i64>) -> Result<i64, Failure> {
        if self.status != Status::Succeeded {
            return Err(self.unexpected("refunded", "succeeded"));
        }
        let left = self.amount_received - self.amount_refunded;
        if left == 0 {
            return Err(Failure::invalid("All of it has been refunded.").code("charge_already_refunded"));
        }
        let amount = amount.unwrap_or(left);
        if amount > left {
            let message = format!("Only {left} can be refunded, not {amount}.");
            return Err(Failure::invalid(message).code("amount_too_large").param("amount"));
        }
        currency::check_amount(amount, &self.currency, "amount")?;
        self.amount_refunded += amount;
        Ok(amount)
    }

    /// What becomes of a refund of it.
    pub fn refund_status(&self) -> RefundStatus {
        match self.behaviour() {
            Some(Behaviour::RefundSlowly | Behaviour::FailRefundSlowly) => RefundStatus::Pending,
            _ => RefundStatus::Succeeded,
        }
    }

    /// The outcome of a slow refund is there. Nothing, when it was there already.
    pub fn settle_refund(&mut self, refund: &mut Refund) -> Option<Change> {
        if refund.status != RefundStatus::Pending {
            return None;
        }
        refund.due = None;
        if self.behaviour() == Some(Behaviour::FailRefundSlowly) {
            refund.status = RefundStatus::Failed;
            self.amount_refunded -= refund.amount;
            return Some(Change::of(Happening::RefundFailed));
        }
        refund.status = RefundStatus::Succeeded;
        Some(Change::of(Happening::RefundUpdated))
    }

    fn approve(&mut self) -> Change {
        self.failure = None;
        if self.capture_method == CaptureMethod::Manual {
            self.status = Status::RequiresCapture;
            return Change::of(Happening::AmountCapturableUpdated);
        }
        self.status = Status::Succeeded;
        self.amount_received = self.amount;
        Change::of(Happening::Succeeded)
    }

    /// Another payment method may be tried.
    fn decline(&mut self, reason: Reason) -> Change {
        let failure = reason.failure();
        self.status = Status::RequiresPaymentMethod;
        self.failure = Some(failure.clone());
        Change { happenings: vec![Happening::PaymentFailed], failure: Some(failure) }
    }

    fn unexpected(&self, done: &str, allowed: &str) -> Failure {
        let status = serde_json::to_value(self.status).unwrap_or_default();
        let status = status.as_str().unwrap_or_default();
        Failure::unexpected_state(format!(
            "The intent is {status} and cannot be {done}: for that it must be one of {allowed}."
        ))
    }
}

#[cfg(test)]
mod tests;
