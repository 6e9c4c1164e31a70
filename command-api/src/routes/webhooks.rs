//! What the payment gateway tells by itself. It may come twice, late and out of order, so it is taken as a hint only:
//! the gateway is asked how the payment stands, and that is recorded.

use super::Shared;
use crate::fulfilment::payments::{self, PaymentError, Which};
use crate::fulfilment::refunds;
use crate::fulfilment::settle::of_command;
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
use payment_gateway::{Gateway, WebhookEvent};
use std::convert::Infallible;

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
    let Some(intent) = told.intent_id.as_deref().and_then(|intent| IntentId::new(intent).ok()) else {
        return Ok(StatusCode::NO_CONTENT);
    };
    match hear(&shared, gateway, &told, &intent).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error @ (PaymentError::Unknown(_) | PaymentError::NotFoundYet | PaymentError::Record(_))) => {
            Err(problems::try_webhook_again(&error))
        }
        Err(error) => {
            tracing::error!(%intent, error = &error as &dyn std::error::Error, "a payment cannot be looked up");
            Err(Problem::internal())
        }
    }
}

async fn hear(
    shared: &Shared,
    gateway: &Gateway,
    told: &WebhookEvent,
    intent: &IntentId,
) -> Result<(), PaymentError> {
    let named = match (told.order_id, told.payment_id) {
        (Some(order_id), Some(payment_id)) => Some((order_id, payment_id)),
        // A refund need not say whose payment it is of.
        _ if told.is_of_refund() => {
            let found = gateway.retrieve(intent.as_str()).await.map_err(payments::of_gateway)?;
            found.order_id.zip(found.payment_id)
        }
        _ => None,
    };
    // Not about a payment of ours.
    let Some((order_id, payment_id)) = named else { return Ok(()) };
    let which = Which { order_id: OrderId(order_id), payment_id: PaymentId(payment_id) };
    let phase_of = move |order: &Order| match order {
        Order::Placed(order) => {
            let of_this = order.payments.iter().find(|payment| payment.payment_id == which.payment_id);
            of_this.map(|payment| payment.phase.clone())
        }
        Order::Unplaced => None,
    };
    let view = |error| PaymentError::Record(of_command::<Infallible>(which.order_id, &error));
    let Some(phase) = shared.executor.orders.view(which.order_id, phase_of).await.map_err(view)? else {
        return Ok(());
    };
    if !told.is_of_refund() {
        return match is_news(&phase, &told.kind) {
            true => payments::hear(gateway, &shared.executor, which, intent).await,
            false => Ok(()),
        };
    }
    let phase = match phase {
        PaymentPhase::Captured { .. } => phase,
        // It was taken before it went back, and that may not be known yet.
        _ => {
            payments::hear(gateway, &shared.executor, which, intent).await?;
            let phase = shared.executor.orders.view(which.order_id, phase_of).await.map_err(view)?;
            phase.unwrap_or(PaymentPhase::Recorded)
        }
    };
    match phase {
        PaymentPhase::Captured { intent: ours } if ours == *intent => {
            refunds::find(gateway, &shared.executor, which, intent).await
        }
        _ => Ok(()),
    }
}

/// Whether the payment may be further than the order knows. What the gateway answered is usually known before it tells.
fn is_news(phase: &PaymentPhase, kind: &str) -> bool {
    match phase {
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
