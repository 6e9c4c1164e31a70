//! Money that goes back through the payment gateway: because the order asks for it, or because people gave it back at
//! the gateway itself.

use super::payments::{PaymentError, Which, age_of, is_not_there, of_gateway, reason, tell};
use super::repetition::Repetition;
use super::settle::of_command;
use domain::order::{self, Order, RefundPhase};
use domain::{Currency, IntentId, Money, PaymentId, Reference, RefundId};
use executor::Executor;
use payment_gateway::{Gateway, GatewayError, Refund, RefundRequest, RefundStatus};
use std::time::Duration;
use uuid::Uuid;

/// How the gateway knows a refund of ours. One refund may take from several payments; for the gateway each part is a
/// refund of its own.
fn name_of(refund_id: RefundId, payment_id: PaymentId) -> Uuid {
    Uuid::new_v5(&refund_id.0, payment_id.0.as_bytes())
}

/// Asks the gateway to give money back, and records what came of it. What is on its way is recorded when it has arrived:
/// until then it is asked for.
pub async fn give_back(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    intent: &IntentId,
    (refund_id, amount): (RefundId, Money),
) -> Result<(), PaymentError> {
    let (payment_id, currency) = (which.payment_id, amount.currency());
    let request = RefundRequest {
        intent_id: intent.as_str(),
        refund_id: name_of(refund_id, payment_id),
        amount: amount.amount(),
        currency: currency.code(),
    };
    let recorded_at = executor.orders.recorded_at(which.order_id, move |event| {
        let asked =
            |asked: &order::RefundRequested| (asked.refund_id, asked.payment_id) == (refund_id, payment_id);
        matches!(event, order::Event::RefundRequested(refund) if asked(refund))
    });
    let age = age_of(which.order_id, recorded_at.await)?;
    let refund = match make(gateway, &request, age).await {
        // A repeated request gets the first answer, and not the truth of now.
        Ok(refund) if is_under_way(&refund.status) => {
            gateway.retrieve_refund(&refund.id).await.map_err(of_gateway)?
        }
        Ok(refund) => refund,
        Err(GatewayError::Declined { message, .. } | GatewayError::Refused { message, .. }) => {
            // Perhaps because people have given it back already.
            match find(gateway, executor, which, intent).await {
                // It knows no such payment, now and in a day: with the key of another account it would know none of ours.
                Err(PaymentError::Refused(error)) if is_not_there(&error) => {
                    match Repetition::after(age, gateway.keeps_keys()) {
                        Repetition::LookUp { is_final: true } => {}
                        Repetition::LookUp { is_final: false } | Repetition::Repeat => {
                            return Err(PaymentError::NotFoundYet);
                        }
                    }
                }
                found => found?,
            }
            let message = reason(&message)?;
            let refused = order::Command::RecordRefundRefused { refund_id, payment_id, message };
            return tell(executor, which, refused).await;
        }
        Err(GatewayError::Unfit(unfit)) => {
            let message = reason(&unfit.to_string())?;
            let refused = order::Command::RecordRefundRefused { refund_id, payment_id, message };
            return tell(executor, which, refused).await;
        }
        Err(error @ (GatewayError::Unknown { .. } | GatewayError::OtherRequest { .. })) => {
            let found = gateway.find_refund(request.intent_id, request.refund_id).await;
            let Ok(Some(refund)) = found else { return Err(of_gateway(error)) };
            refund
        }
        Err(error) => return Err(of_gateway(error)),
    };
    if amount_of(&refund, amount.currency())? != amount {
        return Err(disagrees(&refund, amount.to_string()));
    }
    match command_for(&refund, which, refund_id, (amount, RefundPhase::Requested))? {
        Some(command) => tell(executor, which, command).await,
        None => Ok(()),
    }
}

/// Looks what the gateway's books say of the refunds of a payment, and records what the order does not know: that one
/// has arrived or has failed, or that people gave money back at the gateway.
pub async fn find(
    gateway: &Gateway,
    executor: &Executor,
    which: Which,
    intent: &IntentId,
) -> Result<(), PaymentError> {
    let mut refunds = Vec::new();
    loop {
        let before = refunds.last().map(|refund: &Refund| refund.id.clone());
        let page = gateway.refunds(Some(intent.as_str()), before.as_deref()).await.map_err(of_gateway)?;
        let is_last = !page.has_more || page.items.is_empty();
        refunds.extend(page.items);
        if is_last {
            break;
        }
    }
    let known = executor.orders.view(which.order_id, move |order| match order {
        Order::Placed(order) => {
            let of_payment = order.refunds.iter().filter(|known| known.payment_id == Some(which.payment_id));
            Some((order.total.currency(), of_payment.copied().collect::<Vec<_>>()))
        }
        Order::Unplaced => None,
    });
    let known = known.await.map_err(|error| of_command(which.order_id, &error))?;
    let Some((currency, known)) = known else { return Ok(()) };
    for refund in refunds.iter().rev() {
        let is_ours = |known: &&order::Refund| {
            refund.refund_id == Some(name_of(known.refund_id, which.payment_id))
                || found_id(refund, which) == known.refund_id
        };
        let command = match known.iter().find(is_ours) {
            Some(known) => command_for(refund, which, known.refund_id, (known.amount, known.phase))?,
            None if refund.status == RefundStatus::Succeeded => {
                Some(order::Command::RecordRefundFound(order::RefundFound {
                    refund_id: found_id(refund, which),
                    payment_id: which.payment_id,
                    amount: amount_of(refund, currency)?,
                    reference: Reference::new(&refund.id)?,
                }))
            }
            None => None,
        };
        if let Some(command) = command {
            tell(executor, which, command).await?;
        }
    }
    Ok(())
}

fn amount_of(refund: &Refund, currency: Currency) -> Result<Money, PaymentError> {
    let amount = refund.amount.filter(|amount| *amount > 0 && refund.currency == currency.code());
    let amount = amount.and_then(|amount| Money::new(amount, currency).ok());
    amount.ok_or_else(|| disagrees(refund, "money".to_owned()))
}

fn disagrees(refund: &Refund, asked: String) -> PaymentError {
    let said = match refund.amount {
        Some(amount) => format!("a refund of {amount} minor units of {}", refund.currency),
        None => format!("a refund of no whole number of minor units of {}", refund.currency),
    };
    PaymentError::Disagrees { id: refund.id.clone(), said, asked }
}

/// What we call a refund that people made at the gateway.
fn found_id(refund: &Refund, which: Which) -> RefundId {
    RefundId(Uuid::new_v5(&which.payment_id.0, refund.id.as_bytes()))
}

/// What is to be recorded of a refund of which the order knows so much, if anything is.
fn command_for(
    refund: &Refund,
    which: Which,
    refund_id: RefundId,
    (amount, phase): (Money, RefundPhase),
) -> Result<Option<order::Command>, PaymentError> {
    let payment_id = which.payment_id;
    let reference = Reference::new(&refund.id)?;
    Ok(match (&refund.status, phase) {
        (RefundStatus::Succeeded, RefundPhase::Requested) => {
            let payment_id = Some(payment_id);
            Some(order::Command::RecordRefund { refund_id, payment_id, amount, reference })
        }
        (RefundStatus::Failed | RefundStatus::Canceled, RefundPhase::Requested | RefundPhase::Done) => {
            let message = reason("the payment gateway could not give the money back")?;
            Some(order::Command::RecordRefundFailed { refund_id, payment_id, message })
        }
        _ => None,
    })
}

/// Gives the money back once, also when the gateway has forgotten the key. It lists a refund as soon as it is made.
async fn make(gateway: &Gateway, request: &RefundRequest<'_>, age: Duration) -> Result<Refund, GatewayError> {
    if Repetition::after(age, gateway.keeps_keys()) != Repetition::Repeat
        && let Some(made) = gateway.find_refund(request.intent_id, request.refund_id).await?
    {
        return Ok(made);
    }
    gateway.refund(request).await
}

fn is_under_way(status: &RefundStatus) -> bool {
    !matches!(status, RefundStatus::Succeeded | RefundStatus::Failed | RefundStatus::Canceled)
}
