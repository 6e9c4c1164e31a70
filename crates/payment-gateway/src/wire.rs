//! The gateway's JSON, and what it means.

use crate::amount::from_gateway;
use crate::error::{GatewayError, UnknownOutcome};
use crate::model::{Decline, Intent, IntentStatus, Page, Refund, RefundStatus};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::HashMap;
use uuid::Uuid;

/// How much of an unreadable answer is worth keeping.
const SHOWN: usize = 200;

pub(crate) const ORDER_ID: &str = "order_id";
pub(crate) const PAYMENT_ID: &str = "payment_id";
pub(crate) const REFUND_ID: &str = "refund_id";

/// What our own ids were sent as. Somebody else's metadata may hold anything.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Metadata(HashMap<String, String>);

impl Metadata {
    pub fn id(&self, name: &str) -> Option<Uuid> {
        self.0.get(name)?.parse().ok()
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct IntentBody {
    id: String,
    status: String,
    amount: i64,
    #[serde(default)]
    amount_capturable: i64,
    #[serde(default)]
    amount_received: i64,
    currency: String,
    #[serde(default)]
    metadata: Metadata,
    last_payment_error: Option<ErrorFields>,
    next_action: Option<NextAction>,
}

/// Only what leads to a page is of use here: all else needs the gateway's own program in the browser.
#[derive(Debug, Deserialize)]
struct NextAction {
    redirect_to_url: Option<RedirectToUrl>,
}

#[derive(Debug, Deserialize)]
struct RedirectToUrl {
    url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct RefundBody {
    id: String,
    /// Old accounts have refunds without one.
    status: Option<String>,
    amount: i64,
    currency: String,
    payment_intent: Option<String>,
    metadata: Option<Metadata>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ListBody<T> {
    data: Vec<T>,
    has_more: bool,
}

#[derive(Debug, Deserialize)]
struct ErrorBody {
    error: ErrorFields,
}

#[derive(Debug, Deserialize)]
struct ErrorFields {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    message: Option<String>,
    payment_intent: Option<Box<IntentBody>>,
}

impl From<IntentBody> for Intent {
    fn from(body: IntentBody) -> Self {
        Self {
            status: IntentStatus::read(&body.status),
            amount: from_gateway(body.amount, &body.currency),
            amount_capturable: from_gateway(body.amount_capturable, &body.currency),
            amount_received: from_gateway(body.amount_received, &body.currency),
            currency: body.currency.to_ascii_uppercase(),
            order_id: body.metadata.id(ORDER_ID),
            payment_id: body.metadata.id(PAYMENT_ID),
            decline: body.last_payment_error.map(ErrorFields::into_decline),
            redirect_url: body.next_action.and_then(|action| action.redirect_to_url?.url),
            id: body.id,
        }
    }
}

impl From<RefundBody> for Refund {
    fn from(body: RefundBody) -> Self {
        Self {
            id: body.id,
            status: RefundStatus::read(body.status.as_deref().unwrap_or("succeeded")),
            amount: from_gateway(body.amount, &body.currency),
            currency: body.currency.to_ascii_uppercase(),
            intent_id: body.payment_intent,
            refund_id: body.metadata.and_then(|metadata| metadata.id(REFUND_ID)),
        }
    }
}

impl<B, T: From<B>> From<ListBody<B>> for Page<T> {
    fn from(body: ListBody<B>) -> Self {
        Self { items: body.data.into_iter().map(T::from).collect(), has_more: body.has_more }
    }
}

impl ErrorFields {
    fn into_decline(self) -> Decline {
        // A generic decline says less than the code itself.
        let reason = self.decline_code.filter(|reason| reason != "generic_decline");
        Decline {
            code: reason.or(self.code).unwrap_or_else(|| "card_declined".to_owned()),
            message: self.message.unwrap_or_else(|| "The payment was declined.".to_owned()),
        }
    }
}

/// What an answer means. Beside an error there may be the intent as it is.
pub(crate) fn read<B: DeserializeOwned>(
    status: u16,
    body: &[u8],
) -> Result<B, (GatewayError, Option<Box<Intent>>)> {
    if (200..300).contains(&status) {
        return serde_json::from_slice(body)
            .map_err(|source| (UnknownOutcome::Unreadable { status, source }.into(), None));
    }
    // A server that gave up on a request may have done it.
    if status >= 500 || status == 408 || status < 400 {
        let message = message_of(body);
        return Err((UnknownOutcome::Failed { status, message }.into(), None));
    }
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(body) => Err(refusal(status, body.error)),
        // Somebody between us and the gateway answers, and not the gateway.
        Err(_) if status == 429 => Err((GatewayError::Busy { message: message_of(body) }, None)),
        Err(_) if matches!(status, 401 | 403) => {
            Err((GatewayError::LockedOut { status, message: message_of(body) }, None))
        }
        Err(source) => Err((UnknownOutcome::Unreadable { status, source }.into(), None)),
    }
}

fn refusal(status: u16, mut error: ErrorFields) -> (GatewayError, Option<Box<Intent>>) {
    let intent = error.payment_intent.take().map(|body| Box::new(Intent::from(*body)));
    let message = error.message.clone().unwrap_or_default();
    let is_card_error = status == 402 || error.kind.as_deref() == Some("card_error");
    let error = match status {
        409 | 429 => GatewayError::Busy { message },
        _ if error.kind.as_deref() == Some("idempotency_error") => GatewayError::OtherRequest { message },
        401 | 403 => GatewayError::LockedOut { status, message },
        _ if is_card_error => {
            let Decline { code, message } = error.into_decline();
            GatewayError::Declined {
                intent_id: intent.as_ref().map(|intent| intent.id.clone()),
                code,
                message,
            }
        }
        _ => GatewayError::Refused { status, code: error.code, message },
    };
    (error, intent)
}

fn message_of(body: &[u8]) -> String {
    match serde_json::from_slice::<ErrorBody>(body) {
        Ok(ErrorBody { error: ErrorFields { message: Some(message), .. } }) => message,
        _ => String::from_utf8_lossy(body).chars().take(SHOWN).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(402, r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"generic_decline","message":"No.",
                     "payment_intent":{"id":"pi_1","status":"requires_payment_method","amount":1,"currency":"gbp"}}}"#, "declined pi_1 card_declined")]
    #[case(
        402,
        r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"insufficient_funds"}}"#,
        "declined - insufficient_funds"
    )]
    #[case(400, r#"{"error":{"type":"card_error","code":"expired_card"}}"#, "declined - expired_card")]
    #[case(
        400,
        r#"{"error":{"type":"invalid_request_error","code":"amount_too_large"}}"#,
        "refused 400 amount_too_large"
    )]
    #[case(400, r#"{"error":{"type":"idempotency_error"}}"#, "other request")]
    #[case(
        404,
        r#"{"error":{"type":"invalid_request_error","code":"resource_missing"}}"#,
        "refused 404 resource_missing"
    )]
    #[case(401, r#"{"error":{"type":"invalid_request_error"}}"#, "locked out")]
    #[case(403, "<html>", "locked out")]
    #[case(409, r#"{"error":{"type":"idempotency_error","code":"idempotency_key_in_use"}}"#, "busy")]
    #[case(429, r#"{"error":{"type":"invalid_request_error","code":"lock_timeout"}}"#, "busy")]
    #[case(429, "slow down", "busy")]
    #[case(404, "<html>not the gateway</html>", "unknown")]
    #[case(400, "{}", "unknown")]
    #[case(500, r#"{"error":{"type":"api_error"}}"#, "unknown")]
    #[case(503, "", "unknown")]
    #[case(408, "", "unknown")]
    #[case(302, "", "unknown")]
    #[case(200, "", "unknown")]
    #[case(200, r#"{"id":"pi_1"}"#, "unknown")]
    fn what_an_answer_means(#[case] status: u16, #[case] body: &str, #[case] expected: &str) {
        let (error, _) = read::<IntentBody>(status, body.as_bytes()).map(drop).unwrap_err();
        let dash = || "-".to_owned();
        let meaning = match &error {
            GatewayError::Declined { intent_id, code, .. } => {
                format!("declined {} {code}", intent_id.clone().unwrap_or_else(dash))
            }
            GatewayError::Refused { status, code, .. } => {
                format!("refused {status} {}", code.clone().unwrap_or_else(dash))
            }
            GatewayError::LockedOut { .. } => "locked out".to_owned(),
            GatewayError::Busy { .. } => "busy".to_owned(),
            GatewayError::OtherRequest { .. } => "other request".to_owned(),
            GatewayError::Unfit(_) | GatewayError::Unknown { .. } => "unknown".to_owned(),
        };
        assert_eq!(meaning, expected);
        assert_eq!(error.is_final(), meaning.starts_with("declined") || meaning.starts_with("refused"));
    }

    #[rstest]
    #[case::nothing("null", None)]
    #[case::a_page(
        r#"{"type":"redirect_to_url","redirect_to_url":{"url":"https://bank/1","return_url":"https://shop/"}}"#,
        Some("https://bank/1")
    )]
    #[case::for_their_own_program(
        r#"{"type":"use_stripe_sdk","use_stripe_sdk":{"type":"three_d_secure"}}"#,
        None
    )]
    fn where_a_shopper_must_go(#[case] next_action: &str, #[case] expected: Option<&str>) {
        let body = format!(
            r#"{{"id":"pi_1","status":"requires_action","amount":5,"currency":"gbp","next_action":{next_action}}}"#
        );
        let intent = Intent::from(read::<IntentBody>(200, body.as_bytes()).unwrap());
        assert_eq!(intent.status, IntentStatus::RequiresAction);
        assert_eq!(intent.redirect_url.as_deref(), expected);
    }

    #[test]
    fn amounts_are_read_in_the_units_of_the_gateway() {
        let body = br#"{"id":"pi_1","status":"succeeded","amount":500,"amount_capturable":0,"amount_received":450,"currency":"isk"}"#;
        let intent = Intent::from(read::<IntentBody>(200, body).unwrap());
        let amounts = (intent.amount, intent.amount_capturable, intent.amount_received);
        assert_eq!(amounts, (Some(5), Some(0), None), "nobody can take half a krona");
        let body = br#"{"id":"re_1","status":"succeeded","amount":7,"currency":"mga"}"#;
        let refund = Refund::from(read::<RefundBody>(200, body).unwrap());
        assert_eq!((refund.amount, refund.currency.as_str()), (Some(700), "MGA"));
    }

    #[test]
    fn an_intent_of_somebody_else_is_read_too() {
        let body = br#"{"id":"pi_1","status":"on_the_moon","amount":5,"currency":"jpy","metadata":{"order_id":"12"}}"#;
        let intent = Intent::from(read::<IntentBody>(200, body).unwrap());
        assert_eq!(intent.status, IntentStatus::Other("on_the_moon".to_owned()));
        assert_eq!((intent.order_id, intent.currency.as_str(), intent.decline), (None, "JPY", None));
    }
}
