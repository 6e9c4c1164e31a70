//! What each payment method does. The table for people is in the README.

use crate::failure::Failure;

/// What happens to a payment with a payment method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behaviour {
    Approve,
    Decline(Reason),
    ApproveSlowly,
    DeclineSlowly,
    NeverAnswer,
    AnswerLate,
    TellTwice,
    FailCapture,
    /// Done, and answered with an error of the gateway's own.
    ApproveWithError,
    CaptureWithError,
    /// It holds only one minor unit of what is asked.
    HoldLess,
    RefundSlowly,
    FailRefundSlowly,
    AskShopper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Unsaid,
    InsufficientFunds,
    /// The shopper did not prove who they are.
    NotProven,
}

/// A payment behaviour, the payment methods that have it, and what people are told of it.
type Known = (Behaviour, &'static [&'static str], &'static str);

/// All payment methods.
const METHODS: [Known; 15] = [
    (Behaviour::Approve, &["pm_card_visa", "pm_card_mastercard", "pm_sandbox_approve"], "approved"),
    (
        Behaviour::Decline(Reason::Unsaid),
        &["pm_card_chargeDeclined", "pm_card_visa_chargeDeclined", "pm_sandbox_decline"],
        "declined",
    ),
    (
        Behaviour::Decline(Reason::InsufficientFunds),
        &["pm_card_chargeDeclinedInsufficientFunds", "pm_card_visa_chargeDeclinedInsufficientFunds"],
        "declined: the card has not enough money",
    ),
    (
        Behaviour::AskShopper,
        &["pm_card_authenticationRequired", "pm_card_threeDSecure2Required", "pm_sandbox_requires_action"],
        "the shopper approves or refuses on a page of the gateway's (3-D Secure)",
    ),
    (Behaviour::ApproveSlowly, &["pm_sandbox_slow"], "approved after about two seconds"),
    (Behaviour::DeclineSlowly, &["pm_sandbox_slow_decline"], "declined after about two seconds"),
    (Behaviour::NeverAnswer, &["pm_sandbox_never_answers"], "nothing happens, and no answer comes"),
    (Behaviour::AnswerLate, &["pm_sandbox_answers_after_timeout"], "approved, and answered 30 seconds late"),
    (Behaviour::TellTwice, &["pm_sandbox_answers_twice"], "approved; every webhook comes twice"),
    (Behaviour::ApproveWithError, &["pm_sandbox_answers_500"], "approved, and answered with 500"),
    (
        Behaviour::CaptureWithError,
        &["pm_sandbox_capture_answers_500"],
        "approved; the capture is answered with 500",
    ),
    (Behaviour::FailCapture, &["pm_sandbox_capture_fails"], "approved; the capture is declined"),
    (Behaviour::HoldLess, &["pm_sandbox_holds_less"], "approved for one minor unit only"),
    (Behaviour::RefundSlowly, &["pm_sandbox_slow_refund"], "approved; a refund takes about two seconds"),
    (
        Behaviour::FailRefundSlowly,
        &["pm_sandbox_slow_refund_fails"],
        "approved; a refund fails after about two seconds",
    ),
];

/// The payment methods and what happens with them, for `--help`.
pub(crate) fn for_people() -> String {
    let mut text = "Payment methods:\n".to_owned();
    for (_, tokens, what) in &METHODS {
        text.push_str(&format!("  {}\n          {what}\n", tokens.join(", ")));
    }
    text
}

impl Behaviour {
    /// Of a payment method.
    pub fn of(token: &str) -> Option<Self> {
        METHODS.iter().find(|(_, tokens, _)| tokens.contains(&token)).map(|(behaviour, ..)| *behaviour)
    }
}

impl Reason {
    pub fn failure(self) -> Failure {
        match self {
            Self::Unsaid => Failure::declined("generic_decline", "The card was declined."),
            Self::InsufficientFunds => {
                Failure::declined("insufficient_funds", "The card has not enough money for this.")
            }
            Self::NotProven => Failure::not_proven(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_of_every_payment_method_and_none_is_there_twice() {
        let readme = include_str!("../README.md");
        let mut all: Vec<_> = METHODS.iter().flat_map(|(_, tokens, _)| tokens.iter()).collect();
        for token in &all {
            assert!(readme.contains(&format!("`{token}`")), "{token} is not in the README");
        }
        let methods = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), methods);
        assert_eq!(Behaviour::of("pm_sandbox_decline"), Some(Behaviour::Decline(Reason::Unsaid)));
        assert_eq!(Behaviour::of("pm_unknown"), None);
    }
}
