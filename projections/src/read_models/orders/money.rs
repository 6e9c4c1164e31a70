//! The payments and refunds of orders.

use super::OrderFacts;
use crate::fact::Fact;
use crate::projection::ApplyError;
use chrono::{DateTime, Utc};
use domain::order::Event;
use domain::{Money, PaymentId, RefundId, WebAddress};
use sqlx::PgConnection;
use std::collections::BTreeMap;
use uuid::Uuid;

/// What a batch does to a payment or a refund.
#[derive(Default)]
struct Change<'a> {
    begun: Option<Begun<'a>>,
    status: &'static str,
    intent: Option<&'a str>,
    redirect_url: Option<&'a str>,
    reference: Option<&'a str>,
    failure: Option<&'a str>,
    /// What was taken: it may be less than was asked for.
    amount: Option<i64>,
}

/// One that was not there before the batch.
struct Begun<'a> {
    amount: Money,
    method: Option<&'a str>,
    occurred_at: DateTime<Utc>,
    revision: i64,
}

/// A refund may take from several payments, so both ids name it; people's refunds have no payment.
type RefundKey = (Uuid, RefundId, Option<PaymentId>);

/// What the events of a batch do to payments.
pub async fn apply_payments(
    transaction: &mut PgConnection,
    facts: &OrderFacts<'_>,
) -> Result<(), ApplyError> {
    let mut changes: BTreeMap<(Uuid, PaymentId), Change<'_>> = BTreeMap::new();
    for (order_id, event, fact) in facts {
        match event {
            Event::PaymentRecorded(payment) => {
                let change = Change::of(&mut changes, (order_id.0, payment.payment_id), "recorded");
                change.begun = Some(Begun::new(payment.amount, Some(payment.method.as_str()), fact));
                change.reference = Some(payment.reference.as_str());
            }
            Event::PaymentRequested(payment) => {
                Change::of(&mut changes, (order_id.0, payment.payment_id), "requested").begun =
                    Some(Begun::new(payment.amount, None, fact));
            }
            Event::PaymentStarted(payment) => {
                let status = if payment.redirect_url.is_some() { "requires_action" } else { "started" };
                let change = Change::of(&mut changes, (order_id.0, payment.payment_id), status);
                change.intent = Some(payment.intent.as_str());
                change.redirect_url = payment.redirect_url.as_ref().map(WebAddress::as_str);
            }
            Event::PaymentAuthorized(payment) => {
                Change::of(&mut changes, (order_id.0, payment.payment_id), "authorized").intent =
                    Some(payment.intent.as_str());
            }
            Event::PaymentDeclined(payment) => {
                Change::of(&mut changes, (order_id.0, payment.payment_id), "declined").failure =
                    Some(payment.message.as_str());
            }
            Event::PaymentCaptured(payment) => {
                let change = Change::of(&mut changes, (order_id.0, payment.payment_id), "captured");
                change.intent = Some(payment.intent.as_str());
                change.amount = Some(payment.amount.amount());
            }
            Event::PaymentVoided(payment) => {
                Change::of(&mut changes, (order_id.0, payment.payment_id), "voided");
            }
            Event::Placed(_)
            | Event::ReservationsAnswered(_)
            | Event::Paid(_)
            | Event::StockCommitted(_)
            | Event::ProcessingStarted(_)
            | Event::ShipmentSent(_)
            | Event::ShipmentDelivered(_)
            | Event::Shipped(_)
            | Event::StockShipped(_)
            | Event::StockParted(_)
            | Event::RestCancelled(_)
            | Event::Delivered(_)
            | Event::Cancelled(_)
            | Event::StockReleased(_)
            | Event::RefundRequested(_)
            | Event::RefundRefused(_)
            | Event::RefundRecorded(_)
            | Event::RefundFound(_)
            | Event::RefundFailed(_)
            | Event::Refunded(_) => {}
        }
    }
    let (begun, changed): (Vec<_>, Vec<_>) = changes.iter().partition(|(_, change)| change.begun.is_some());
    insert_payments(transaction, &begun).await?;
    update_payments(transaction, &changed).await
}

impl<'a> Change<'a> {
    /// What is noted under this key so far; it stands so now.
    fn of<'m, K: Ord>(changes: &'m mut BTreeMap<K, Self>, key: K, status: &'static str) -> &'m mut Self {
        let change = changes.entry(key).or_default();
        change.status = status;
        change
    }
}

impl<'a> Begun<'a> {
    fn new(amount: Money, method: Option<&'a str>, fact: &Fact) -> Self {
        Self { amount, method, occurred_at: fact.occurred_at, revision: fact.revision }
    }
}

type PaymentChange<'a> = (&'a (Uuid, PaymentId), &'a Change<'a>);

async fn insert_payments(
    transaction: &mut PgConnection,
    payments: &[PaymentChange<'_>],
) -> Result<(), ApplyError> {
    let (mut orders, mut ids, mut amounts, mut currencies) = (vec![], vec![], vec![], vec![]);
    let (mut methods, mut references, mut statuses) = (vec![], vec![], vec![]);
    let (mut intents, mut redirects) = (vec![], vec![]);
    let (mut failures, mut times, mut revisions) = (vec![], vec![], vec![]);
    for ((order_id, payment_id), change) in payments {
        let Some(begun) = &change.begun else { continue };
        orders.push(*order_id);
        ids.push(payment_id.0);
        amounts.push(change.amount.unwrap_or(begun.amount.amount()));
        currencies.push(begun.amount.currency().to_string());
        methods.push(begun.method);
        references.push(change.reference);
        statuses.push(change.status);
        intents.push(change.intent);
        redirects.push(change.redirect_url);
        failures.push(change.failure);
        times.push(begun.occurred_at);
        revisions.push(begun.revision);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO order_payments (order_id, payment_id, amount, currency, method, reference, status, intent,
                                     redirect_url, failure, occurred_at, revision)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                              $7::text[], $8::text[], $9::text[], $10::text[], $11::timestamptz[], $12::bigint[])",
        &orders,
        &ids,
        &amounts,
        &currencies,
        &methods as _,
        &references as _,
        &statuses as _,
        &intents as _,
        &redirects as _,
        &failures as _,
        &times,
        &revisions
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn update_payments(
    transaction: &mut PgConnection,
    payments: &[PaymentChange<'_>],
) -> Result<(), ApplyError> {
    if payments.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE order_payments AS p
         SET status = c.status, intent = coalesce(c.intent, p.intent), failure = coalesce(c.failure, p.failure),
             amount = coalesce(c.amount, p.amount), redirect_url = coalesce(c.redirect_url, p.redirect_url)
         FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::text[])
              AS c (order_id, payment_id, status, intent, failure, amount, redirect_url)
         WHERE p.order_id = c.order_id AND p.payment_id = c.payment_id",
        &payments.iter().map(|((order_id, _), _)| *order_id).collect::<Vec<_>>(),
        &payments.iter().map(|((_, payment_id), _)| payment_id.0).collect::<Vec<_>>(),
        &payments.iter().map(|(_, change)| change.status).collect::<Vec<_>>() as _,
        &payments.iter().map(|(_, change)| change.intent).collect::<Vec<_>>() as _,
        &payments.iter().map(|(_, change)| change.failure).collect::<Vec<_>>() as _,
        &payments.iter().map(|(_, change)| change.amount).collect::<Vec<_>>() as _,
        &payments.iter().map(|(_, change)| change.redirect_url).collect::<Vec<_>>() as _
    )
    .execute(transaction)
    .await?;
    Ok(())
}

/// What the events of a batch do to refunds.
pub async fn apply_refunds(transaction: &mut PgConnection, facts: &OrderFacts<'_>) -> Result<(), ApplyError> {
    let mut changes: BTreeMap<RefundKey, Change<'_>> = BTreeMap::new();
    for (order_id, event, fact) in facts {
        match event {
            Event::RefundRequested(refund) => {
                Change::of(
                    &mut changes,
                    (order_id.0, refund.refund_id, Some(refund.payment_id)),
                    "requested",
                )
                .begun = Some(Begun::new(refund.amount, None, fact));
            }
            Event::RefundRefused(refund) => {
                Change::of(
                    &mut changes,
                    (order_id.0, refund.refund_id, Some(refund.payment_id)),
                    "refused",
                )
                .failure = Some(refund.message.as_str());
            }
            Event::RefundRecorded(refund) => {
                let change =
                    Change::of(&mut changes, (order_id.0, refund.refund_id, refund.payment_id), "done");
                change.reference = Some(refund.reference.as_str());
                // The gateway's refunds were asked for before; people's just happen.
                if refund.payment_id.is_none() {
                    change.begun = Some(Begun::new(refund.amount, None, fact));
                }
            }
            Event::RefundFound(refund) => {
                let of = (order_id.0, refund.refund_id, Some(refund.payment_id));
                let change = Change::of(&mut changes, of, "done");
                change.reference = Some(refund.reference.as_str());
                change.begun = Some(Begun::new(refund.amount, None, fact));
            }
            Event::RefundFailed(refund) => {
                let of = (order_id.0, refund.refund_id, Some(refund.payment_id));
                Change::of(&mut changes, of, "failed").failure = Some(refund.message.as_str());
            }
            Event::Placed(_)
            | Event::ReservationsAnswered(_)
            | Event::PaymentRecorded(_)
            | Event::PaymentRequested(_)
            | Event::PaymentStarted(_)
            | Event::PaymentAuthorized(_)
            | Event::PaymentDeclined(_)
            | Event::PaymentCaptured(_)
            | Event::PaymentVoided(_)
            | Event::Paid(_)
            | Event::StockCommitted(_)
            | Event::ProcessingStarted(_)
            | Event::ShipmentSent(_)
            | Event::ShipmentDelivered(_)
            | Event::Shipped(_)
            | Event::StockShipped(_)
            | Event::StockParted(_)
            | Event::RestCancelled(_)
            | Event::Delivered(_)
            | Event::Cancelled(_)
            | Event::StockReleased(_)
            | Event::Refunded(_) => {}
        }
    }
    let (begun, changed): (Vec<_>, Vec<_>) = changes.iter().partition(|(_, change)| change.begun.is_some());
    insert_refunds(transaction, &begun).await?;
    update_refunds(transaction, &changed).await
}

type RefundChange<'a> = (&'a RefundKey, &'a Change<'a>);

async fn insert_refunds(
    transaction: &mut PgConnection,
    refunds: &[RefundChange<'_>],
) -> Result<(), ApplyError> {
    let (mut orders, mut ids, mut payments) = (vec![], vec![], vec![]);
    let (mut amounts, mut currencies, mut references) = (vec![], vec![], vec![]);
    let (mut statuses, mut failures, mut times, mut revisions) = (vec![], vec![], vec![], vec![]);
    for ((order_id, refund_id, payment_id), change) in refunds {
        let Some(begun) = &change.begun else { continue };
        orders.push(*order_id);
        ids.push(refund_id.0);
        payments.push(payment_id.map(|payment_id| payment_id.0));
        amounts.push(begun.amount.amount());
        currencies.push(begun.amount.currency().to_string());
        references.push(change.reference);
        statuses.push(change.status);
        failures.push(change.failure);
        times.push(begun.occurred_at);
        revisions.push(begun.revision);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO order_refunds (order_id, refund_id, payment_id, amount, currency, reference, status, failure,
                                    occurred_at, revision)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::bigint[], $5::text[], $6::text[],
                              $7::text[], $8::text[], $9::timestamptz[], $10::bigint[])",
        &orders,
        &ids,
        &payments as _,
        &amounts,
        &currencies,
        &references as _,
        &statuses as _,
        &failures as _,
        &times,
        &revisions
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn update_refunds(
    transaction: &mut PgConnection,
    refunds: &[RefundChange<'_>],
) -> Result<(), ApplyError> {
    if refunds.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE order_refunds AS r
         SET status = c.status, reference = coalesce(c.reference, r.reference),
             failure = coalesce(c.failure, r.failure)
         FROM UNNEST($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[])
              AS c (order_id, refund_id, payment_id, status, reference, failure)
         WHERE r.order_id = c.order_id AND r.refund_id = c.refund_id
           AND r.payment_id IS NOT DISTINCT FROM c.payment_id",
        &refunds.iter().map(|((order_id, ..), _)| *order_id).collect::<Vec<_>>(),
        &refunds.iter().map(|((_, refund_id, _), _)| refund_id.0).collect::<Vec<_>>(),
        &refunds.iter().map(|((.., payment_id), _)| payment_id.map(|id| id.0)).collect::<Vec<_>>() as _,
        &refunds.iter().map(|(_, change)| change.status).collect::<Vec<_>>() as _,
        &refunds.iter().map(|(_, change)| change.reference).collect::<Vec<_>>() as _,
        &refunds.iter().map(|(_, change)| change.failure).collect::<Vec<_>>() as _
    )
    .execute(transaction)
    .await?;
    Ok(())
}
