//! What the payment gateway tells by itself. It may come twice, late and out of order, so it is taken as a hint only:
//! the gateway is asked how the payment stands, and that is recorded.

use super::Shared;
use crate::admission::Class;
use crate::problems;
use api::permission::SignedByGateway;
use api::problem;
use axum::body::{Bytes, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRequest, Request, State};
use axum::http::{Method, StatusCode};
use chrono::Utc;
use domain::order::{Order, PaymentPhase};
use domain::{IntentId, OrderId, PaymentId};
use executor::ViewError;
use fulfilment::payments::{self, PaymentError, Which};
use fulfilment::refunds;
use fulfilment::settle::of_command;
use http_boundary::{Caller, ClientShare, Problem, body_too_large, unreadable_bytes};
use http_routes::{Allowed, Routes};
use payment_gateway::{Gateway, Signature, WebhookEvent, Webhooks};
use std::convert::Infallible;
use std::time::Duration;

const SIGNATURE: &str = "stripe-signature";
/// Much longer than it takes, and much shorter than the gateway waits for us.
const ANSWER_IS_RECORDED_WITHIN: Duration = Duration::from_millis(500);

/// Bytes of a webhook. Stripe's events about payments and refunds have a few thousand, and 30,000 with all the metadata
/// that a payment may have.
const MAX_BODY_BYTES: usize = 256 * 1024;

/// Where the payment gateway tells. All of its webhooks come from a few addresses, so that only forgeries count as commands
/// of theirs.
pub const WEBHOOKS: (Method, &str) = (Method::POST, "/v1/webhooks/payments");

pub fn routes() -> Routes<Shared> {
    Routes::new()
        .post("/webhooks/payments", take, "Hears what the payment gateway tells by itself")
        .layered(|router| router.layer(DefaultBodyLimit::max(MAX_BODY_BYTES)))
}

async fn take(
    _: Allowed<SignedByGateway>,
    State(shared): State<Shared>,
    share: ClientShare,
    request: Request,
) -> Result<StatusCode, Problem> {
    share.refuse_forgers().await?;
    let forged = |problem| share.charge_for_forgery().err().unwrap_or(problem);
    let (Some(gateway), Some(webhooks)) = (&shared.gateway, &shared.webhooks) else {
        return Err(forged(problems::no_payment_gateway()));
    };
    let told = read(webhooks, request).await.map_err(forged)?;
    let _place = shared.admission.admit_now(Class::Payments, Caller::Shopper)?;
    let Some(intent) = told.intent_id.as_deref().and_then(|intent| IntentId::new(intent).ok()) else {
        return Ok(StatusCode::NO_CONTENT);
    };
    match hear(&shared, gateway, &told, &intent).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(error @ (PaymentError::Unknown(_) | PaymentError::NotFoundYet | PaymentError::Record(_))) => {
            Err(try_again(&error))
        }
        Err(error) => {
            tracing::error!(%intent, error = &error as &dyn std::error::Error, "a payment cannot be looked up");
            Err(Problem::internal())
        }
    }
}

/// The gateway tells it again later.
fn try_again(error: &PaymentError) -> Problem {
    Problem::new(problem::PAYMENT_NOT_KNOWN, problems::sentence(error)).retry_after(1)
}

/// Reads a webhook that the gateway has signed. Its body is not read when its head says already that it is none.
async fn read(webhooks: &Webhooks, request: Request) -> Result<WebhookEvent, Problem> {
    let invalid = |error| problems::bad_webhook(&error);
    let headers = request.headers().clone();
    let signature = headers.get(SIGNATURE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let signature = Signature::read(signature, Utc::now().timestamp()).map_err(invalid)?;
    if request.body().size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(body_too_large(MAX_BODY_BYTES));
    }
    let body = Bytes::from_request(request, &()).await;
    let body = body.map_err(|rejection| unreadable_bytes(&rejection, MAX_BODY_BYTES))?;
    webhooks.verify(&signature, &body).map_err(invalid)
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
    let look = move |order: &Order| phase_of(order, which.payment_id).cloned();
    let view = |error| of_view(which, &error);
    let Some(phase) = shared.executor.orders.view(which.order_id, look).await.map_err(view)? else {
        return Ok(());
    };
    if !told.is_of_refund() {
        if !is_news(&phase, &told.kind) || is_known_soon(shared, which, &phase, &told.kind).await? {
            return Ok(());
        }
        return payments::hear(gateway, &shared.executor, which, intent).await;
    }
    let phase = match phase {
        PaymentPhase::Captured { .. } => phase,
        // It was taken before it went back, and that may not be known yet.
        _ => {
            payments::hear(gateway, &shared.executor, which, intent).await?;
            let phase = shared.executor.orders.view(which.order_id, look).await.map_err(view)?;
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

/// Whether what the gateway tells is known by itself within a moment. It tells when it answers, so the answer is usually
/// about to be recorded: to ask once more would be work for nothing, twice in each purchase.
async fn is_known_soon(
    shared: &Shared,
    which: Which,
    phase: &PaymentPhase,
    kind: &str,
) -> Result<bool, PaymentError> {
    // What was started goes on at the gateway, and nobody is being answered.
    if matches!(phase, PaymentPhase::Started { .. }) {
        return Ok(false);
    }
    let kind = kind.to_owned();
    let known = shared.executor.orders.wait(which.order_id, ANSWER_IS_RECORDED_WITHIN, move |order| {
        let phase = phase_of(order, which.payment_id);
        phase.is_some_and(|phase| !is_news(phase, &kind)).then_some(())
    });
    let known = known.await.map_err(|error| of_view(which, &error))?;
    Ok(known.is_some())
}

fn phase_of(order: &Order, payment_id: PaymentId) -> Option<&PaymentPhase> {
    let Order::Placed(order) = order else { return None };
    order.payments.iter().find(|payment| payment.payment_id == payment_id).map(|payment| &payment.phase)
}

fn of_view(which: Which, error: &ViewError) -> PaymentError {
    PaymentError::Record(of_command::<Infallible>(which.order_id, error))
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
