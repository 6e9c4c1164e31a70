//! The payment gateway's side of an order: ask it, and record on the order what it said.
//!
//! What the gateway says is recorded as the order's history like everything else. An outcome that is not known is
//! never guessed: what the question made is looked for in the gateway's books, and the same question is asked again
//! under the same key as long as the gateway knows the key. What its books say is compared with what was asked for
//! before it is believed.

mod words;

pub(super) use words::reason;
pub use words::{is_web, of_gateway};

use super::refunds;
use super::repetition::{self, Repetition};
use super::settle::{SettleError, Trigger, envelope, of_command};
use chrono::{DateTime, Utc};
use domain::fulfilment::PaymentRequest;
use domain::order::{self, GatewayAnswer, Order};
use domain::{IntentId, Money, OrderId, PaymentId, WebAddress};
use executor::{Executor, ViewError};
use payment_gateway::{Charge, Gateway, GatewayError, Intent, IntentStatus};
use std::time::Duration;
use thiserror::Error;
use uuid::Uuid;
use words::{declined, disagrees, lost};

/// The code of a payment of which the gateway held something else than was asked for.
const DIFFERS: &str = "amount_differs";
/// The code of a payment that the gateway was not asked for, because it cannot take the amount.
const UNFIT: &str = "amount_not_taken";

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
    /// Its books do not fit ours: people have to look.
    #[error("the payment gateway has {said} in {id}, and the order asked for {asked}: look at its books")]
    Disagrees { id: String, said: String, asked: String },
    /// What it said cannot be written in our words.
    #[error("the payment gateway's answer cannot be recorded: {0}")]
    Unreadable(#[from] domain::text::InvalidText),
    /// The answer could not be recorded.
    #[error(transparent)]
    Record(#[from] SettleError),
}

impl PaymentError {
    /// The gateway has answered, and the answer cannot be recorded as long as the order is parked. It is asked again then.
    pub fn is_of_a_parked_order(&self) -> bool {
        matches!(self, Self::Record(SettleError::Unreadable { .. }))
    }
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
            let currency = amount.currency();
            let means = (token.as_str(), return_url.as_ref().map(WebAddress::as_str));
            let charge = charge_of(which, *amount, currency.code(), means);
            match not_before {
                Some(at) if repetition::is_recent(at, gateway.keeps_keys()) => {
                    authorize(gateway, executor, which, (&charge, *amount)).await
                }
                _ => find_or_authorize(gateway, executor, which, (&charge, *amount)).await,
            }
        }
        PaymentRequest::Capture { intent, amount } => {
            // Money is taken once, whatever the key; and an error of the gateway's own must not be repeated to the next
            // attempt.
            let key = format!("capture-{}", Uuid::new_v4());
            let captured =
                gateway.capture(intent.as_str(), (amount.amount(), amount.currency().code()), &key).await;
            after_change(gateway, executor, which, (intent, *amount), captured).await
        }
        PaymentRequest::Void { intent } => {
            let voided = gateway.cancel(intent.as_str()).await;
            let asked = known_of(executor, which).await?.amount;
            after_change(gateway, executor, which, (intent, asked), voided).await
        }
        PaymentRequest::Refund { intent, refund_id, amount } => {
            refunds::give_back(gateway, executor, which, intent, (*refund_id, *amount)).await
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
    let asked = known_of(executor, which).await?.amount;
    match gateway.retrieve(intent.as_str()).await {
        Ok(found) => believe(gateway, executor, which, (&found, asked)).await,
        Err(error) if is_not_there(&error) => give_up_in_time(gateway, executor, which).await,
        Err(error) => Err(of_gateway(error)),
    }
}

/// Hears that something happened to an intent that says to be this payment.
pub async fn hear(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    intent: &IntentId,
) -> Result<(), PaymentError> {
    let known = known_of(executor, which).await?;
    let found = match &known.intent {
        Some(ours) if ours == intent => return look_up(gateway, executor, which, intent).await,
        Some(_) => None,
        // Anybody with access to the gateway's books can make one that names the payment.
        None => match gateway.retrieve(intent.as_str()).await {
            Ok(found) => {
                let currency = known.amount.currency();
                let charge = charge_of(which, known.amount, currency.code(), ("", None));
                Some(found).filter(|found| found.is_of(&charge))
            }
            // It says nothing of the payment that was asked for: that may be another one.
            Err(error) if is_not_there(&error) => return Err(PaymentError::NotFoundYet),
            Err(error) => return Err(of_gateway(error)),
        },
    };
    let Some(found) = found else {
        tracing::warn!(
            order_id = %which.order_id, payment_id = %which.payment_id, %intent,
            "the payment gateway has an intent that names a payment and is not it: it is passed over"
        );
        return Ok(());
    };
    believe(gateway, executor, which, (&found, known.amount)).await
}

/// What the order knows of a payment.
struct Known {
    amount: Money,
    intent: Option<IntentId>,
}

async fn known_of(executor: &Executor, which: Which) -> Result<Known, PaymentError> {
    let known = executor.orders.view(which.order_id, move |order| {
        let Order::Placed(order) = order else { return None };
        let payment = order.payments.iter().find(|payment| payment.payment_id == which.payment_id)?;
        Some(Known { amount: payment.amount, intent: payment.intent().cloned() })
    });
    let known = known.await.map_err(|error| of_command(which.order_id, &error))?;
    known.ok_or_else(|| {
        let why = format!("it has no payment {}", which.payment_id);
        SettleError::ForGood { order_id: which.order_id, why }.into()
    })
}

fn charge_of<'a>(
    which: Which,
    amount: Money,
    currency: &'a str,
    (payment_method, return_url): (&'a str, Option<&'a str>),
) -> Charge<'a> {
    let (order_id, payment_id) = (which.order_id.0, which.payment_id.0);
    Charge { order_id, payment_id, amount: amount.amount(), currency, payment_method, return_url }
}

pub(super) fn is_not_there(error: &GatewayError) -> bool {
    matches!(error, GatewayError::Refused { status: NOT_FOUND, .. })
}

/// A payment that the gateway named once and knows no more. With the wrong key it knows none of our payments: that is
/// found out within a day.
async fn give_up_in_time(gateway: &Gateway, executor: &Executor, which: Which) -> Result<(), PaymentError> {
    let age = age_of_request(executor, which).await?;
    match Repetition::after(age, gateway.keeps_keys()) {
        Repetition::LookUp { is_final: true } => record(executor, which, lost()?).await,
        Repetition::LookUp { is_final: false } | Repetition::Repeat => Err(PaymentError::NotFoundYet),
    }
}

/// When the order says that the payment was asked for, before the gateway heard of it.
async fn age_of_request(executor: &Executor, which: Which) -> Result<Duration, PaymentError> {
    let recorded_at = executor.orders.recorded_at(which.order_id, |event| {
        matches!(event, order::Event::PaymentRequested(asked) if asked.payment_id == which.payment_id)
    });
    age_of(which.order_id, recorded_at.await)
}

pub(super) fn age_of(
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

/// A payment that may have been asked for before, by a process that is no more: what that made is looked for first. When
/// the gateway may have forgotten the key, the payment is made no more. One that the gateway does not know then took
/// nothing, and nobody asks for it again.
async fn find_or_authorize(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    (charge, amount): (&Charge<'_>, Money),
) -> Result<(), PaymentError> {
    let age = age_of_request(executor, which).await?;
    let repetition = Repetition::after(age, gateway.keeps_keys());
    match (gateway.find(charge).await, repetition) {
        (Ok(Some(intent)), _) => believe(gateway, executor, which, (&intent, amount)).await,
        (_, Repetition::Repeat) => authorize(gateway, executor, which, (charge, amount)).await,
        (Ok(None), Repetition::LookUp { is_final: true }) => record(executor, which, lost()?).await,
        (Ok(None), Repetition::LookUp { is_final: false }) => Err(PaymentError::NotFoundYet),
        (Err(error), Repetition::LookUp { .. }) => Err(of_gateway(error)),
    }
}

async fn authorize(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    (charge, amount): (&Charge<'_>, Money),
) -> Result<(), PaymentError> {
    let answer = match gateway.authorize(charge).await {
        Ok(intent) => return believe(gateway, executor, which, (&intent, amount)).await,
        Err(GatewayError::Declined { code, message, .. }) => declined(&code, &message)?,
        // It does not take this means of payment, and will not the next time.
        Err(GatewayError::Refused { code, message, .. }) => {
            declined(code.as_deref().unwrap_or_default(), &message)?
        }
        Err(GatewayError::Unfit(unfit)) => declined(UNFIT, &unfit.to_string())?,
        // It may answer the same for ever under this key: what the request made stands in its books.
        Err(error @ (GatewayError::Unknown { .. } | GatewayError::OtherRequest { .. })) => {
            let found = gateway.find(charge).await;
            let Ok(Some(intent)) = found else { return Err(of_gateway(error)) };
            return believe(gateway, executor, which, (&intent, amount)).await;
        }
        Err(error) => return Err(of_gateway(error)),
    };
    record(executor, which, answer).await
}

/// A payment that was to be captured or voided. If the gateway would not, or nobody knows whether it did, its books say
/// how the payment stands.
async fn after_change(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    (intent, asked): (&IntentId, Money),
    changed: Result<Intent, GatewayError>,
) -> Result<(), PaymentError> {
    let error = match changed {
        Ok(found) if found.id == intent.as_str() => {
            return believe(gateway, executor, which, (&found, asked)).await;
        }
        Ok(found) => return Err(disagrees(&found, asked)),
        Err(GatewayError::Declined { code, message, .. }) => {
            return record(executor, which, declined(&code, &message)?).await;
        }
        Err(error) => error,
    };
    if !matches!(error, GatewayError::Refused { .. } | GatewayError::Unknown { .. }) {
        return Err(of_gateway(error));
    }
    match gateway.retrieve(intent.as_str()).await {
        // Not done: the next attempt has another key.
        Ok(found) if found.status == IntentStatus::RequiresCapture => Err(of_gateway(error)),
        Ok(found) => believe(gateway, executor, which, (&found, asked)).await,
        Err(missing) if is_not_there(&missing) => give_up_in_time(gateway, executor, which).await,
        Err(_) => Err(of_gateway(error)),
    }
}

/// Records how the payment stands by the gateway's books, as far as they fit what was asked for. Money that was taken is
/// booked as it was taken. What the gateway only holds is let go when it is something else than was asked for.
async fn believe(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    (intent, asked): (&Intent, Money),
) -> Result<(), PaymentError> {
    let id = IntentId::new(&intent.id)?;
    let is_currency = intent.currency == asked.currency().code();
    let answer = match &intent.status {
        IntentStatus::Succeeded => {
            let taken = intent.amount_received.filter(|amount| (1..=asked.amount()).contains(amount));
            match taken.and_then(|amount| Money::new(amount, asked.currency()).ok()) {
                Some(amount) if is_currency => GatewayAnswer::Captured { intent: id, amount },
                _ => return Err(disagrees(intent, asked)),
            }
        }
        IntentStatus::Canceled => GatewayAnswer::Voided,
        IntentStatus::RequiresPaymentMethod => match &intent.decline {
            Some(decline) => declined(&decline.code, &decline.message)?,
            None => declined("declined", "the payment gateway declined the payment")?,
        },
        _ if !is_currency || intent.amount != Some(asked.amount()) => {
            tracing::error!(
                order_id = %which.order_id, payment_id = %which.payment_id, intent = %intent.id,
                error = &disagrees(intent, asked) as &dyn std::error::Error,
                "the payment gateway holds something else than was asked for: it is told to let go of it"
            );
            match gateway.cancel(&intent.id).await {
                Ok(_) => declined(DIFFERS, "the payment gateway held another amount than was asked for")?,
                Err(GatewayError::Refused { .. }) => return Err(disagrees(intent, asked)),
                Err(error) => return Err(of_gateway(error)),
            }
        }
        IntentStatus::RequiresCapture => GatewayAnswer::Authorized { intent: id },
        IntentStatus::RequiresAction => {
            // What is no address of the web leads a browser nowhere good.
            let page = intent.redirect_url.as_deref().filter(|url| is_web(url));
            let redirect_url = page.and_then(|url| WebAddress::new(url).ok());
            GatewayAnswer::Started { intent: id, redirect_url }
        }
        IntentStatus::Processing | IntentStatus::RequiresConfirmation | IntentStatus::Other(_) => {
            GatewayAnswer::Started { intent: id, redirect_url: None }
        }
    };
    record(executor, which, answer).await
}

async fn record(executor: &Executor, which: Which, answer: GatewayAnswer) -> Result<(), PaymentError> {
    tell(executor, which, order::Command::RecordGatewayAnswer { payment_id: which.payment_id, answer }).await
}

pub(super) async fn tell(
    executor: &Executor,
    which: Which,
    command: order::Command,
) -> Result<(), PaymentError> {
    let trigger = Trigger::of_order(which.order_id);
    let envelope = envelope(which.order_id, &format!("payment {}", which.payment_id), &trigger);
    let told = executor.orders.execute(which.order_id, command, envelope).await;
    told.map(|_| ()).map_err(|error| of_command(which.order_id, &error).into())
}
