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
    AskShopper,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reason {
    Unsaid,
    InsufficientFunds,
    /// The shopper did not prove who they are.
    NotProven,
}

impl Behaviour {
    /// Of a payment method.
    pub fn of(token: &str) -> Option<Self> {
        Some(match token {
            "pm_card_visa" | "pm_card_mastercard" | "pm_sandbox_approve" => Self::Approve,
            "pm_card_chargeDeclined" | "pm_card_visa_chargeDeclined" | "pm_sandbox_decline" => {
                Self::Decline(Reason::Unsaid)
            }
            "pm_card_chargeDeclinedInsufficientFunds" | "pm_card_visa_chargeDeclinedInsufficientFunds" => {
                Self::Decline(Reason::InsufficientFunds)
            }
            "pm_sandbox_slow" => Self::ApproveSlowly,
            "pm_sandbox_slow_decline" => Self::DeclineSlowly,
            "pm_sandbox_never_answers" => Self::NeverAnswer,
            "pm_sandbox_answers_after_timeout" => Self::AnswerLate,
            "pm_sandbox_answers_twice" => Self::TellTwice,
            "pm_sandbox_capture_fails" => Self::FailCapture,
            "pm_card_authenticationRequired"
            | "pm_card_threeDSecure2Required"
            | "pm_sandbox_requires_action" => Self::AskShopper,
            _ => return None,
        })
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
