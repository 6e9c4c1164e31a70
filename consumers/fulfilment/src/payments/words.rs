//! What the gateway says, in the words of the shop.

use super::PaymentError;
use domain::order::GatewayAnswer;
use domain::{DeclineCode, Money, Reason};
use payment_gateway::{GatewayError, Intent};

/// The code of a payment that the gateway never came to know.
const UNKNOWN: &str = "unknown_to_gateway";

/// What the gateway has is not what it was asked for.
pub fn disagrees(intent: &Intent, asked: Money) -> PaymentError {
    let Intent { id, status, amount, amount_received, currency, .. } = intent;
    let minor_units = |amount: &Option<i64>| amount.map_or("no whole number".to_owned(), |it| it.to_string());
    let (amount, taken) = (minor_units(amount), minor_units(amount_received));
    let said = format!("{amount} minor units of {currency} ({taken} taken, {status:?})");
    PaymentError::Disagrees { id: id.clone(), said, asked: asked.to_string() }
}

/// What a failed question means for a payment.
pub fn of_gateway(error: GatewayError) -> PaymentError {
    match error {
        GatewayError::Unknown { .. } | GatewayError::Busy { .. } | GatewayError::OtherRequest { .. } => {
            PaymentError::Unknown(error)
        }
        GatewayError::Declined { .. }
        | GatewayError::Refused { .. }
        | GatewayError::Unfit(_)
        | GatewayError::LockedOut { .. } => PaymentError::Refused(error),
    }
}

/// The gateway has no such payment, and had time enough to find it.
pub fn lost() -> Result<GatewayAnswer, PaymentError> {
    declined(UNKNOWN, "the payment gateway knows nothing of the payment: nothing was taken")
}

/// Whether a browser may be sent there.
pub fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

/// A refusal, with the words for it cut to what we keep.
pub fn declined(code: &str, message: &str) -> Result<GatewayAnswer, PaymentError> {
    let code = if code.trim().is_empty() { "declined" } else { code };
    let code: String = code.chars().filter(|letter| !letter.is_control()).take(64).collect();
    Ok(GatewayAnswer::Declined { code: DeclineCode::new(&code)?, message: reason(message)? })
}

/// Other people's sentences are cut to what we keep of a reason.
pub fn reason(message: &str) -> Result<Reason, PaymentError> {
    let message: String = message.chars().filter(|letter| !letter.is_control()).take(500).collect();
    let message = if message.trim().is_empty() { "the payment gateway gave no reason" } else { &message };
    Ok(Reason::new(message)?)
}
