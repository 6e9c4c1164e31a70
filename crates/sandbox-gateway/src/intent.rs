//! A payment intent and its rules, without I/O and without a clock.

use crate::failure::Failure;
use crate::methods::{Behaviour, Reason};
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
}

/// A payment intent. Amounts are in minor units.
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
            | Behaviour::FailCapture => Ok(self.approve()),
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
        if self.behaviour() == Some(Behaviour::FailCapture) {
            return Ok(self.decline(Reason::Unsaid));
        }
        self.amount_received = amount;
        self.status = Status::Succeeded;
        Ok(Change::of(Happening::Succeeded))
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
        self.amount_refunded += amount;
        Ok(amount)
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
mod tests {
    use super::*;
    use rstest::rstest;

    fn intent(token: &str, capture_method: CaptureMethod) -> Intent {
        Intent {
            id: "pi_1".to_owned(),
            number: 0,
            created: 1,
            amount: 1000,
            currency: "gbp".to_owned(),
            status: Status::RequiresConfirmation,
            capture_method,
            payment_method: Some(token.to_owned()),
            metadata: BTreeMap::new(),
            description: None,
            amount_received: 0,
            amount_refunded: 0,
            charge: None,
            failure: None,
            canceled_at: None,
            cancellation_reason: None,
            due: None,
            action: None,
        }
    }

    fn action() -> Action {
        Action { url: "http://sandbox/authenticate/pi_1".to_owned(), return_url: None }
    }

    fn approved() -> Intent {
        let mut intent = intent("pm_card_visa", CaptureMethod::Manual);
        intent.confirm("ch_1".to_owned(), 9, action()).unwrap();
        intent
    }

    #[rstest]
    #[case(
        "pm_card_visa",
        CaptureMethod::Manual,
        Status::RequiresCapture,
        Happening::AmountCapturableUpdated
    )]
    #[case("pm_card_visa", CaptureMethod::Automatic, Status::Succeeded, Happening::Succeeded)]
    #[case("pm_sandbox_slow", CaptureMethod::Manual, Status::Processing, Happening::Processing)]
    #[case(
        "pm_sandbox_decline",
        CaptureMethod::Manual,
        Status::RequiresPaymentMethod,
        Happening::PaymentFailed
    )]
    fn confirming(
        #[case] token: &str,
        #[case] capture_method: CaptureMethod,
        #[case] status: Status,
        #[case] happening: Happening,
    ) {
        let mut intent = intent(token, capture_method);
        let change = intent.confirm("ch_1".to_owned(), 9, action()).unwrap();
        assert_eq!((intent.status, change.happenings), (status, vec![happening]));
        assert_eq!(change.failure, intent.failure);
        assert_eq!(intent.due, (status == Status::Processing).then_some(9));
        assert_eq!(intent.amount_capturable(), if status == Status::RequiresCapture { 1000 } else { 0 });
        assert_eq!(intent.amount_received, if status == Status::Succeeded { 1000 } else { 0 });
    }

    #[rstest]
    #[case("pm_sandbox_slow", Status::RequiresCapture, Happening::AmountCapturableUpdated)]
    #[case("pm_sandbox_slow_decline", Status::RequiresPaymentMethod, Happening::PaymentFailed)]
    fn a_slow_payment_settles_once(
        #[case] token: &str,
        #[case] status: Status,
        #[case] happening: Happening,
    ) {
        let mut intent = intent(token, CaptureMethod::Manual);
        intent.confirm("ch_1".to_owned(), 9, action()).unwrap();
        assert_eq!(intent.settle(), Some(Change { happenings: vec![happening], failure: None }));
        assert_eq!((intent.status, intent.due), (status, None));
        assert_eq!(intent.settle(), None);
    }

    #[rstest]
    #[case(true, Status::RequiresCapture, Happening::AmountCapturableUpdated, None)]
    #[case(
        false,
        Status::RequiresPaymentMethod,
        Happening::PaymentFailed,
        Some("payment_intent_authentication_failure")
    )]
    fn the_shopper_decides_once(
        #[case] approves: bool,
        #[case] status: Status,
        #[case] happening: Happening,
        #[case] code: Option<&str>,
    ) {
        let mut intent = intent("pm_sandbox_requires_action", CaptureMethod::Manual);
        let asked = intent.confirm("ch_1".to_owned(), 9, action()).unwrap();
        assert_eq!((asked.happenings, asked.failure), (vec![Happening::RequiresAction], None));
        assert_eq!((intent.status, &intent.action), (Status::RequiresAction, &Some(action())));
        assert_eq!(intent.decide(approves), Some(Change { happenings: vec![happening], failure: None }));
        assert_eq!(intent.status, status);
        assert_eq!(intent.failure.as_ref().and_then(|failure| failure.code.as_deref()), code);
        assert_eq!(intent.decide(!approves), None);
    }

    #[rstest]
    #[case(None, Ok(1000))]
    #[case(Some(1), Ok(1))]
    #[case(Some(1000), Ok(1000))]
    #[case(Some(1001), Err("amount_too_large"))]
    fn capturing(#[case] amount: Option<i64>, #[case] received: Result<i64, &str>) {
        let mut intent = approved();
        let captured = intent.capture(amount);
        let captured = captured.map(|_| intent.amount_received).map_err(|failure| failure.code.unwrap());
        assert_eq!(captured.as_ref().map_err(String::as_str), received.as_ref().map_err(|code| *code));
        assert_eq!(intent.status == Status::Succeeded, received.is_ok());
        assert_eq!(intent.amount_capturable(), if received.is_ok() { 0 } else { 1000 });
    }

    #[test]
    fn a_declined_capture_wants_another_payment_method() {
        let mut intent = intent("pm_sandbox_capture_fails", CaptureMethod::Manual);
        intent.confirm("ch_1".to_owned(), 9, action()).unwrap();
        let change = intent.capture(None).unwrap();
        assert_eq!(change.failure.unwrap().status, 402);
        assert_eq!((intent.status, intent.amount_received), (Status::RequiresPaymentMethod, 0));
    }

    #[rstest]
    #[case(&[Some(400), Some(600)], Ok(1000))]
    #[case(&[Some(400), None], Ok(1000))]
    #[case(&[Some(400), Some(601)], Err("amount_too_large"))]
    #[case(&[None, Some(1)], Err("charge_already_refunded"))]
    #[case(&[Some(1001)], Err("amount_too_large"))]
    fn no_more_is_refunded_than_was_taken(
        #[case] amounts: &[Option<i64>],
        #[case] expected: Result<i64, &str>,
    ) {
        let mut intent = approved();
        intent.capture(None).unwrap();
        let refunded: Result<Vec<i64>, Failure> =
            amounts.iter().map(|amount| intent.refund(*amount)).collect();
        match (refunded, expected) {
            (Ok(amounts), Ok(total)) => {
                assert_eq!((amounts.iter().sum::<i64>(), intent.amount_refunded), (total, total));
            }
            (Err(failure), Err(code)) => assert_eq!(failure.code.as_deref(), Some(code)),
            (refunded, _) => panic!("{refunded:?}"),
        }
    }

    #[rstest]
    #[case(Status::RequiresPaymentMethod, "ca")]
    #[case(Status::RequiresConfirmation, "ca")]
    #[case(Status::RequiresAction, "ca")]
    #[case(Status::Processing, "")]
    #[case(Status::RequiresCapture, "CA ca")]
    #[case(Status::Succeeded, "re")]
    #[case(Status::Canceled, "")]
    fn what_each_state_allows(#[case] status: Status, #[case] allowed: &str) {
        let is_allowed = |done: Result<(), Failure>| match done {
            Ok(()) => true,
            Err(failure) => {
                assert_eq!(failure.code.as_deref(), Some("payment_intent_unexpected_state"));
                false
            }
        };
        let mut intent = Intent { status, amount_received: 10, ..approved() };
        assert_eq!(is_allowed(intent.clone().capture(None).map(drop)), allowed.contains("CA"), "capture");
        assert_eq!(is_allowed(intent.clone().cancel(None, 5).map(drop)), allowed.contains("ca"), "cancel");
        assert_eq!(is_allowed(intent.clone().refund(None).map(drop)), allowed.contains("re"), "refund");
        let confirmed = intent.confirm("ch_2".to_owned(), 9, action()).map(drop);
        let may_confirm = matches!(status, Status::RequiresPaymentMethod | Status::RequiresConfirmation);
        assert_eq!(is_allowed(confirmed), may_confirm, "confirm");
    }
}
