//! What the payment gateway tells by itself. It may come twice, late and out of order, so it is taken as a hint only:
//! the gateway is asked how the payment stands, and that is recorded.

use super::Shared;
use crate::fulfilment::payments::{self, PaymentError, Which};
use crate::problems;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::Utc;
use domain::order::{Order, PaymentPhase};
use domain::{IntentId, OrderId, PaymentId};
use http_boundary::Problem;

const SIGNATURE: &str = "stripe-signature";

pub fn routes() -> Router<Shared> {
    Router::new().route("/webhooks/payments", post(take))
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Result<StatusCode, Problem> {
    let (Some(gateway), Some(webhooks)) = (&shared.gateway, &shared.webhooks) else {
        return Err(problems::no_payment_gateway());
    };
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let told = webhooks
        .verify(signature, &body, Utc::now().timestamp())
        .map_err(|error| problems::bad_webhook(&error))?;
    let (Some(order_id), Some(payment_id), Some(intent)) = (told.order_id, told.payment_id, told.intent_id)
    else {
        // Not about a payment of ours.
        return Ok(StatusCode::NO_CONTENT);
    };
    let which = Which { order_id: OrderId(order_id), payment_id: PaymentId(payment_id) };
    let Ok(intent) = IntentId::new(&intent) else { return Ok(StatusCode::NO_CONTENT) };
    let kind = told.kind;
    let is_news =
        shared.executor.orders.view(which.order_id, move |order| is_news(order, which.payment_id, &kind));
    if !is_news.await.map_err(problems::of_view)? {
        return Ok(StatusCode::NO_CONTENT);
    }
    match payments::look_up(gateway, &shared.executor, which, &intent).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error @ (PaymentError::Unknown(_) | PaymentError::NotFoundYet | PaymentError::Record(_))) => {
            Err(problems::try_webhook_again(&error))
        }
        Err(error) => {
            tracing::error!(order_id = %which.order_id, error = &error as &dyn std::error::Error, "a payment cannot be looked up");
            Err(Problem::internal())
        }
    }
}

/// Whether the payment may be further than the order knows. What the gateway answered is usually known before it tells.
fn is_news(order: &Order, payment_id: PaymentId, kind: &str) -> bool {
    let Order::Placed(order) = order else { return false };
    let Some(payment) = order.payments.iter().find(|payment| payment.payment_id == payment_id) else {
        return false;
    };
    match payment.phase {
        PaymentPhase::Requested { .. } | PaymentPhase::Started { .. } => true,
        PaymentPhase::Authorized { .. } => {
            matches!(
                kind,
                "payment_intent.succeeded" | "payment_intent.canceled" | "payment_intent.payment_failed"
            )
        }
        PaymentPhase::Recorded
        | PaymentPhase::Captured { .. }
        | PaymentPhase::Declined
        | PaymentPhase::Voided => false,
    }
}
