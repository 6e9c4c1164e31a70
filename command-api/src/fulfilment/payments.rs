//! The payment gateway's side of an order: ask it, and record on the order what it said.
//!
//! What the gateway says is recorded as the order's history like everything else. An outcome that is not known is
//! never guessed: the same question is asked again under the same key as long as the gateway knows the key, and then
//! what the question made is looked for.

use super::repetition::{self, Repetition};
use super::settle::{SettleError, Trigger, envelope, of_command};
use crate::executor::{Executor, ViewError};
use chrono::{DateTime, Utc};
use domain::fulfilment::PaymentRequest;
use domain::order::{self, GatewayAnswer};
use domain::{
    DeclineCode, IntentId, Money, OrderId, PaymentId, PaymentToken, Reason, Reference, RefundId, WebAddress,
};
use payment_gateway::{
    Charge, Gateway, GatewayError, Intent, IntentStatus, Refund, RefundRequest, RefundStatus,
};
use std::time::Duration;
use thiserror::Error;
use uuid::Uuid;

/// The code of a payment that the gateway never came to know.
const UNKNOWN: &str = "unknown_to_gateway";

/// The HTTP status of what is not there.
const NOT_FOUND: u16 = 404;

/// A payment of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Which {
    pub order_id: OrderId,
    pub payment_id: PaymentId,
}

/// Why a payment is not further than before.
#[derive(Debug, Error)]
pub enum PaymentError {
    /// The gateway gave no answer, or none that decides: it is asked again.
    #[error("the payment gateway's answer is not known")]
    Unknown(#[source] GatewayError),
    /// The gateway did not let us in, or said something that makes no sense here.
    #[error("the payment gateway refuses to talk about a payment: look at the key and at its own books")]
    Refused(#[source] GatewayError),
    /// It may still come to know a payment that it does not find now.
    #[error(
        "the payment gateway does not know the payment: it is asked again before the payment is given up"
    )]
    NotFoundYet,
    /// What it said cannot be written in our words.
    #[error("the payment gateway's answer cannot be recorded: {0}")]
    Unreadable(#[from] domain::text::InvalidText),
    /// The answer could not be recorded.
    #[error(transparent)]
    Record(#[from] SettleError),
}

/// Asks the gateway what the order owes, and records the answer. Nothing that the order owes was recorded before
/// `not_before`, if that is known.
pub async fn ask(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    request: &PaymentRequest,
    not_before: Option<DateTime<Utc>>,
) -> Result<(), PaymentError> {
    match request {
        PaymentRequest::Authorize { amount, token, return_url } => {
            let age = match not_before {
                Some(at) if repetition::is_recent(at, gateway.keeps_keys()) => repetition::age(at),
                _ => age_of_request(executor, which).await?,
            };
            match Repetition::after(age, gateway.keeps_keys()) {
                Repetition::Repeat => {
                    let means = (token, return_url.as_ref());
                    authorize(gateway, executor, which, *amount, means).await
                }
                Repetition::LookUp { is_final } => find(gateway, executor, which, is_final).await,
            }
        }
        PaymentRequest::Capture { intent, amount } => {
            let key = format!("{}-capture", which.payment_id);
            let captured = gateway.capture(intent.as_str(), amount.amount(), &key).await;
            after_change(gateway, executor, which, intent, captured).await
        }
        PaymentRequest::Void { intent } => {
            let voided = gateway.cancel(intent.as_str()).await;
            after_change(gateway, executor, which, intent, voided).await
        }
        PaymentRequest::Refund { intent, refund_id, amount } => {
            refund(gateway, executor, which, intent, (*refund_id, *amount)).await
        }
    }
}

/// Asks the gateway how a payment stands, and records it.
pub async fn look_up(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    intent: &IntentId,
) -> Result<(), PaymentError> {
    match gateway.retrieve(intent.as_str()).await {
        Ok(found) => record(executor, which, answer_of(&found)?).await,
        Err(GatewayError::Refused { status: NOT_FOUND, .. }) => {
            let age = age_of_request(executor, which).await?;
            // With the wrong key the gateway knows none of our payments. That is found out within a day.
            match Repetition::after(age, gateway.keeps_keys()) {
                Repetition::LookUp { is_final: true } => record(executor, which, lost()?).await,
                Repetition::LookUp { is_final: false } | Repetition::Repeat => Err(PaymentError::NotFoundYet),
            }
        }
        Err(error) => Err(of_gateway(error)),
    }
}

/// When the order says that the payment was asked for, before the gateway heard of it.
async fn age_of_request(executor: &Executor, which: Which) -> Result<Duration, PaymentError> {
    let recorded_at = executor.orders.recorded_at(which.order_id, |event| {
        matches!(event, order::Event::PaymentRequested(asked) if asked.payment_id == which.payment_id)
    });
    age_of(which.order_id, recorded_at.await)
}

fn age_of(
    order_id: OrderId,
    recorded_at: Result<Option<DateTime<Utc>>, ViewError>,
) -> Result<Duration, PaymentError> {
    match recorded_at {
        Ok(Some(recorded_at)) => Ok(repetition::age(recorded_at)),
        Ok(None) => {
            let why = "it owes the payment gateway a question that it never recorded".to_owned();
            Err(SettleError::ForGood { order_id, why }.into())
        }
        Err(error) => Err(of_command(order_id, &error).into()),
    }
}

/// Looks for a payment whose answer is not known, at a time when the gateway may have forgotten its key. A payment that
/// it does not know took nothing, and nobody asks for it again.
async fn find(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    is_final: bool,
) -> Result<(), PaymentError> {
    let answer = match gateway.find(which.payment_id.0).await.map_err(of_gateway)? {
        Some(intent) => answer_of(&intent)?,
        None if is_final => lost()?,
        None => return Err(PaymentError::NotFoundYet),
    };
    record(executor, which, answer).await
}

async fn authorize(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    amount: Money,
    (token, return_url): (&PaymentToken, Option<&WebAddress>),
) -> Result<(), PaymentError> {
    let currency = amount.currency();
    let charge = Charge {
        order_id: which.order_id.0,
        payment_id: which.payment_id.0,
        amount: amount.amount(),
        currency: currency.code(),
        payment_method: token.as_str(),
        return_url: return_url.map(WebAddress::as_str),
    };
    let answer = match gateway.authorize(&charge).await {
        Ok(intent) => answer_of(&intent)?,
        Err(GatewayError::Declined { code, message, .. }) => declined(&code, &message)?,
        // It does not take this means of payment, and will not the next time.
        Err(GatewayError::Refused { code, message, .. }) => {
            declined(code.as_deref().unwrap_or_default(), &message)?
        }
        Err(error) => return Err(of_gateway(error)),
    };
    record(executor, which, answer).await
}

/// A payment that was to be captured or voided. If the gateway would not, it says how the payment stands instead.
async fn after_change(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    intent: &IntentId,
    changed: Result<Intent, GatewayError>,
) -> Result<(), PaymentError> {
    match changed {
        Ok(intent) => record(executor, which, answer_of(&intent)?).await,
        Err(GatewayError::Declined { code, message, .. }) => {
            record(executor, which, declined(&code, &message)?).await
        }
        Err(GatewayError::Refused { .. }) => look_up(gateway, executor, which, intent).await,
        Err(error) => Err(of_gateway(error)),
    }
}

async fn refund(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    intent: &IntentId,
    (refund_id, amount): (RefundId, Money),
) -> Result<(), PaymentError> {
    let request = RefundRequest {
        intent_id: intent.as_str(),
        // One refund may take from several payments; for the gateway each part is a refund of its own.
        refund_id: Uuid::new_v5(&refund_id.0, which.payment_id.0.as_bytes()),
        amount: amount.amount(),
    };
    let payment_id = which.payment_id;
    let recorded_at = executor.orders.recorded_at(which.order_id, move |event| {
        let asked =
            |asked: &order::RefundRequested| (asked.refund_id, asked.payment_id) == (refund_id, payment_id);
        matches!(event, order::Event::RefundRequested(refund) if asked(refund))
    });
    let age = age_of(which.order_id, recorded_at.await)?;
    let command = match make_refund(gateway, &request, age).await {
        Ok(refund) if matches!(refund.status, RefundStatus::Failed | RefundStatus::Canceled) => {
            refused(refund_id, payment_id, "the payment gateway could not give the money back")?
        }
        Ok(refund) => order::Command::RecordRefund {
            refund_id,
            payment_id: Some(payment_id),
            amount,
            reference: Reference::new(&refund.id)?,
        },
        Err(GatewayError::Declined { message, .. }) => refused(refund_id, payment_id, &message)?,
        Err(GatewayError::Refused { message, .. }) => refused(refund_id, payment_id, &message)?,
        Err(error) => return Err(of_gateway(error)),
    };
    tell(executor, which, command).await
}

/// Gives the money back once, also when the gateway has forgotten the key. It lists a refund as soon as it is made.
async fn make_refund(
    gateway: &Gateway,
    request: &RefundRequest<'_>,
    age: Duration,
) -> Result<Refund, GatewayError> {
    if Repetition::after(age, gateway.keeps_keys()) != Repetition::Repeat
        && let Some(made) = gateway.find_refund(request.intent_id, request.refund_id).await?
    {
        return Ok(made);
    }
    gateway.refund(request).await
}

fn refused(
    refund_id: RefundId,
    payment_id: PaymentId,
    message: &str,
) -> Result<order::Command, PaymentError> {
    let message = reason(message)?;
    Ok(order::Command::RecordRefundRefused { refund_id, payment_id, message })
}

fn of_gateway(error: GatewayError) -> PaymentError {
    match error {
        GatewayError::Unknown { .. } | GatewayError::Busy { .. } => PaymentError::Unknown(error),
        GatewayError::Declined { .. } | GatewayError::Refused { .. } | GatewayError::LockedOut { .. } => {
            PaymentError::Refused(error)
        }
    }
}

/// What the gateway's word means for us. Whoever must still act (a bank's own page, say) has not decided.
fn answer_of(intent: &Intent) -> Result<GatewayAnswer, PaymentError> {
    let id = IntentId::new(&intent.id)?;
    Ok(match &intent.status {
        IntentStatus::RequiresCapture => GatewayAnswer::Authorized { intent: id },
        IntentStatus::Succeeded => GatewayAnswer::Captured { intent: id },
        IntentStatus::Canceled => GatewayAnswer::Voided,
        IntentStatus::RequiresPaymentMethod => match &intent.decline {
            Some(decline) => declined(&decline.code, &decline.message)?,
            None => declined("declined", "the payment gateway declined the payment")?,
        },
        IntentStatus::RequiresAction => {
            // What is no address of the web leads a browser nowhere good.
            let page = intent.redirect_url.as_deref().filter(|url| is_web(url));
            let redirect_url = page.and_then(|url| WebAddress::new(url).ok());
            GatewayAnswer::Started { intent: id, redirect_url }
        }
        IntentStatus::Processing | IntentStatus::RequiresConfirmation | IntentStatus::Other(_) => {
            GatewayAnswer::Started { intent: id, redirect_url: None }
        }
    })
}

/// The gateway has no such payment, and had time enough to find it.
fn lost() -> Result<GatewayAnswer, PaymentError> {
    declined(UNKNOWN, "the payment gateway knows nothing of the payment: nothing was taken")
}

/// Whether a browser may be sent there.
pub fn is_web(url: &str) -> bool {
    url.starts_with("https://") || url.starts_with("http://")
}

fn declined(code: &str, message: &str) -> Result<GatewayAnswer, PaymentError> {
    let code = if code.trim().is_empty() { "declined" } else { code };
    let code: String = code.chars().filter(|letter| !letter.is_control()).take(64).collect();
    Ok(GatewayAnswer::Declined { code: DeclineCode::new(&code)?, message: reason(message)? })
}

/// Other people's sentences are cut to what we keep of a reason.
fn reason(message: &str) -> Result<Reason, PaymentError> {
    let message: String = message.chars().filter(|letter| !letter.is_control()).take(500).collect();
    let message = if message.trim().is_empty() { "the payment gateway gave no reason" } else { &message };
    Ok(Reason::new(message)?)
}

async fn record(executor: &Executor, which: Which, answer: GatewayAnswer) -> Result<(), PaymentError> {
    tell(executor, which, order::Command::RecordGatewayAnswer { payment_id: which.payment_id, answer }).await
}

async fn tell(executor: &Executor, which: Which, command: order::Command) -> Result<(), PaymentError> {
    let trigger = Trigger::of_order(which.order_id);
    let envelope = envelope(which.order_id, &format!("payment {}", which.payment_id), &trigger);
    let told = executor.orders.execute(which.order_id, command, envelope).await;
    told.map(|_| ()).map_err(|error| of_command(which.order_id, &error).into())
}
