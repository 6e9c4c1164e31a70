//! How intents, refunds, failures and events look to a client.

use crate::failure::Failure;
use crate::intent::{Happening, Intent, Status};
use crate::refund::Refund;
use axum::http::StatusCode;
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The version of Stripe's interface whose shapes these are.
const API_VERSION: &str = "2025-03-31.basil";

/// The answer to a request that was done. It shows things as they were then.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub failure: Option<Failure>,
    pub intent: Option<Arc<Intent>>,
    pub refund: Option<Arc<Refund>>,
}

impl Answer {
    pub fn status(&self) -> StatusCode {
        self.failure.as_ref().map_or(StatusCode::OK, status_of)
    }

    pub fn body(&self) -> Value {
        match (&self.failure, &self.refund, &self.intent) {
            (Some(failure), _, shown) => failure_body(failure, shown.as_deref()),
            (None, Some(refund), _) => refund_body(refund),
            (None, None, Some(intent)) => intent_body(intent),
            (None, None, None) => Value::Null,
        }
    }
}

pub(crate) fn status_of(failure: &Failure) -> StatusCode {
    StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

pub(crate) fn failure_body(failure: &Failure, shown: Option<&Intent>) -> Value {
    let mut error = failure_fields(failure);
    if let Some(param) = &failure.param {
        error.insert("param".to_owned(), json!(param));
    }
    if let Some(intent) = shown {
        error.insert("payment_intent".to_owned(), intent_body(intent));
    }
    json!({ "error": error })
}

fn failure_fields(failure: &Failure) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("type".to_owned(), json!(failure.kind));
    fields.insert("message".to_owned(), json!(failure.message));
    for (name, value) in [("code", &failure.code), ("decline_code", &failure.decline_code)] {
        if let Some(value) = value {
            fields.insert(name.to_owned(), json!(value));
        }
    }
    fields
}

pub(crate) fn intent_body(intent: &Intent) -> Value {
    json!({
        "id": intent.id,
        "object": "payment_intent",
        "amount": intent.amount,
        "amount_capturable": intent.amount_capturable(),
        "amount_received": intent.amount_received,
        "canceled_at": intent.canceled_at,
        "cancellation_reason": intent.cancellation_reason,
        "capture_method": intent.capture_method,
        "client_secret": format!("{}_secret_sandbox", intent.id),
        "confirmation_method": "automatic",
        "created": intent.created,
        "currency": intent.currency,
        "customer": null,
        "description": intent.description,
        "last_payment_error": intent.failure.as_ref().map(failure_fields),
        "latest_charge": intent.charge,
        "livemode": false,
        "metadata": intent.metadata,
        "next_action": next_action(intent),
        "payment_method": intent.payment_method,
        "payment_method_types": ["card"],
        "status": intent.status,
    })
}

fn next_action(intent: &Intent) -> Option<Value> {
    let action = intent.action.as_ref().filter(|_| intent.status == Status::RequiresAction)?;
    let redirect = json!({ "url": action.url, "return_url": action.return_url });
    Some(json!({ "type": "redirect_to_url", "redirect_to_url": redirect }))
}

pub(crate) fn refund_body(refund: &Refund) -> Value {
    json!({
        "id": refund.id,
        "object": "refund",
        "amount": refund.amount,
        "charge": refund.charge,
        "created": refund.created,
        "currency": refund.currency,
        "metadata": refund.metadata,
        "payment_intent": refund.intent,
        "reason": refund.reason,
        "status": "succeeded",
    })
}

pub(crate) fn list_body(url: &str, data: &[Value], has_more: bool) -> Value {
    json!({ "object": "list", "url": url, "has_more": has_more, "data": data })
}

pub(crate) fn search_body(url: &str, data: &[Value], has_more: bool) -> Value {
    json!({ "object": "search_result", "url": url, "has_more": has_more, "data": data, "next_page": null })
}

/// The charge of an intent, as the events about refunds show it.
fn charge_body(intent: &Intent) -> Value {
    json!({
        "id": intent.charge,
        "object": "charge",
        "amount": intent.amount,
        "amount_captured": intent.amount_received,
        "amount_refunded": intent.amount_refunded,
        "captured": intent.amount_received > 0,
        "currency": intent.currency,
        "livemode": false,
        "metadata": intent.metadata,
        "payment_intent": intent.id,
        "payment_method": intent.payment_method,
        "refunded": intent.amount_refunded == intent.amount_received,
        "status": "succeeded",
    })
}

/// Something that happened, to be told.
#[derive(Debug, PartialEq)]
pub(crate) struct Event {
    pub id: String,
    pub happening: Happening,
    /// Seconds since 1970.
    pub created: i64,
    pub key: Option<String>,
    pub intent: Arc<Intent>,
    pub refund: Option<Arc<Refund>>,
}

impl Event {
    pub fn body(&self) -> Value {
        let object = match (self.happening, &self.refund) {
            (Happening::RefundCreated, Some(refund)) => refund_body(refund),
            (Happening::ChargeRefunded, _) => charge_body(&self.intent),
            _ => intent_body(&self.intent),
        };
        json!({
            "id": self.id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.created,
            "data": { "object": object },
            "livemode": false,
            "pending_webhooks": 1,
            "request": { "id": null, "idempotency_key": self.key },
            "type": self.happening,
        })
    }
}
