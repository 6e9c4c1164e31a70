mod money;
mod shipments;

use money::{apply_payments, apply_refunds};
use shipments::apply_shipments;

use crate::fact::{Fact, Subject};
use crate::projection::{ApplyError, Projection};
use chrono::{DateTime, Utc};
use domain::order::{CancelReason, Event, PartedStock, Placed};
use domain::{OrderId, Sku, Summary};
use serde_json::{Value, json};
use sqlx::PgConnection;
use std::collections::BTreeMap;

/// Orders: lines, payments, refunds, what stock answered, and one row of history for each event.
#[derive(Debug, Clone, Copy, Default)]
pub struct Orders;

/// What a batch does to an order.
struct Change<'a> {
    placed: Option<(&'a Placed, DateTime<Utc>)>,
    status: Option<&'static str>,
    cancel_reason: Option<&'a CancelReason>,
    paid: i64,
    refunded: i64,
    /// What people must give back for units that were given up.
    owed_by_hand: i64,
    last: &'a Fact,
}

type Changes<'a> = BTreeMap<OrderId, Change<'a>>;
/// The events of a batch that are about orders.
pub type OrderFacts<'a> = [(OrderId, &'a Event, &'a Fact)];

impl Projection for Orders {
    const NAME: &'static str = "orders";
    const VERSION: i32 = 3;
    const WANTS: &'static [&'static str] = &["order"];
    const TABLES: &'static [&'static str] = &[
        "orders",
        "order_lines",
        "order_history",
        "order_stock_answers",
        "order_payments",
        "order_refunds",
        "order_shipments",
    ];
    const STREAM_COLUMN: Option<&'static str> = Some("order_id");

    async fn apply(&self, transaction: &mut PgConnection, facts: &[Fact]) -> Result<(), ApplyError> {
        let facts: Vec<(OrderId, &Event, &Fact)> = facts
            .iter()
            .filter_map(|fact| match &fact.subject {
                Subject::Order(order_id, event) => Some((*order_id, event, fact)),
                _ => None,
            })
            .collect();
        let mut changes = Changes::new();
        for &(order_id, event, fact) in &facts {
            changes.entry(order_id).or_insert_with(|| Change::none(fact)).add(event, fact);
        }
        insert_orders(transaction, &changes).await?;
        update_orders(transaction, &changes).await?;
        insert_lines(transaction, &changes).await?;
        insert_history(transaction, &facts).await?;
        insert_stock_answers(transaction, &facts).await?;
        apply_payments(transaction, &facts).await?;
        apply_refunds(transaction, &facts).await?;
        apply_shipments(transaction, &facts).await
    }
}

impl<'a> Change<'a> {
    fn none(last: &'a Fact) -> Self {
        Self { placed: None, status: None, cancel_reason: None, paid: 0, refunded: 0, owed_by_hand: 0, last }
    }

    fn add(&mut self, event: &'a Event, fact: &'a Fact) {
        self.last = fact;
        match event {
            Event::Placed(placed) => {
                self.placed = Some((placed, fact.occurred_at));
                self.status = Some("pending");
            }
            Event::PaymentRecorded(payment) => self.paid += payment.amount.amount(),
            Event::PaymentCaptured(payment) => self.paid += payment.amount.amount(),
            Event::Paid(_) => self.status = Some("paid"),
            Event::ProcessingStarted(_) => self.status = Some("processing"),
            Event::Shipped(_) => self.status = Some("shipped"),
            // A refunded order that arrives stays refunded.
            Event::Delivered(_) if self.status == Some("refunded") => {}
            Event::Delivered(_) => self.status = Some("delivered"),
            Event::RestCancelled(rest) => {
                self.owed_by_hand += rest.by_hand.map_or(0, |amount| amount.amount());
            }
            Event::Cancelled(cancelled) => {
                self.status = Some("cancelled");
                self.cancel_reason = Some(&cancelled.reason);
            }
            Event::RefundRecorded(refund) => self.refunded += refund.amount.amount(),
            Event::RefundFound(refund) => self.refunded += refund.amount.amount(),
            Event::RefundFailed(refund) => self.refunded -= refund.amount.amount(),
            Event::Refunded(_) => self.status = Some("refunded"),
            Event::PaymentRequested(_)
            | Event::PaymentStarted(_)
            | Event::PaymentAuthorized(_)
            | Event::PaymentDeclined(_)
            | Event::PaymentVoided(_)
            | Event::ShipmentSent(_)
            | Event::ShipmentDelivered(_)
            | Event::RefundRequested(_)
            | Event::RefundRefused(_)
            | Event::ReservationsAnswered(_)
            | Event::StockCommitted(_)
            | Event::StockShipped(_)
            | Event::StockParted(_)
            | Event::StockReleased(_) => {}
        }
    }

    fn cancel_reason(&self) -> Result<Option<Value>, serde_json::Error> {
        self.cancel_reason.map(serde_json::to_value).transpose()
    }
}

async fn insert_orders(transaction: &mut PgConnection, changes: &Changes<'_>) -> Result<(), ApplyError> {
    let (mut ids, mut carts, mut customers, mut countries) = (vec![], vec![], vec![], vec![]);
    let (mut currencies, mut statuses, mut shipping, mut totals) = (vec![], vec![], vec![], vec![]);
    let (mut paid, mut refunded, mut owed, mut lines, mut units) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut reasons, mut placed_at, mut changed_at) = (vec![], vec![], vec![]);
    let (mut revisions, mut positions) = (vec![], vec![]);
    for (order_id, change) in changes {
        let Some((placed, at)) = change.placed else { continue };
        ids.push(order_id.0);
        carts.push(placed.cart_id.0);
        customers.push(placed.customer_id.as_ref().map(|customer| customer.as_str()));
        countries.push(placed.country.code().as_str());
        currencies.push(placed.total.currency().to_string());
        statuses.push(change.status.unwrap_or("pending"));
        shipping.push(placed.shipping.map(|shipping| shipping.amount()));
        totals.push(placed.total.amount());
        paid.push(change.paid);
        refunded.push(change.refunded);
        owed.push(change.owed_by_hand);
        lines.push(i64::try_from(placed.lines.len()).unwrap_or(i64::MAX));
        units.push(placed.lines.iter().map(|line| i64::from(line.quantity.units())).sum::<i64>());
        reasons.push(change.cancel_reason()?);
        placed_at.push(at);
        changed_at.push(change.last.occurred_at);
        revisions.push(change.last.revision);
        positions.push(change.last.position);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO orders (order_id, cart_id, customer_id, country, currency, status, shipping, total, paid,
                             refunded, lines, units, cancel_reason, placed_at, changed_at, revision, position,
                             owed_by_hand)
         SELECT * FROM UNNEST($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[],
                              $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[],
                              $12::bigint[], $13::jsonb[], $14::timestamptz[], $15::timestamptz[],
                              $16::bigint[], $17::bigint[], $18::bigint[])",
        &ids,
        &carts,
        &customers as _,
        &countries as _,
        &currencies,
        &statuses as _,
        &shipping as _,
        &totals,
        &paid,
        &refunded,
        &lines,
        &units,
        &reasons as _,
        &placed_at,
        &changed_at,
        &revisions,
        &positions,
        &owed
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn update_orders(transaction: &mut PgConnection, changes: &Changes<'_>) -> Result<(), ApplyError> {
    let (mut ids, mut statuses, mut reasons) = (vec![], vec![], vec![]);
    let (mut paid, mut refunded, mut owed) = (vec![], vec![], vec![]);
    let (mut changed_at, mut revisions, mut positions) = (vec![], vec![], vec![]);
    for (order_id, change) in changes.iter().filter(|(_, change)| change.placed.is_none()) {
        ids.push(order_id.0);
        statuses.push(change.status);
        reasons.push(change.cancel_reason()?);
        paid.push(change.paid);
        refunded.push(change.refunded);
        owed.push(change.owed_by_hand);
        changed_at.push(change.last.occurred_at);
        revisions.push(change.last.revision);
        positions.push(change.last.position);
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "UPDATE orders AS o
         SET status = CASE WHEN o.status = 'refunded' AND c.status = 'delivered' THEN o.status
                           ELSE coalesce(c.status, o.status) END,
             cancel_reason = coalesce(c.reason, o.cancel_reason),
             paid = o.paid + c.paid, refunded = o.refunded + c.refunded,
             owed_by_hand = o.owed_by_hand + c.owed_by_hand, changed_at = c.changed_at,
             revision = c.revision, position = c.position
         FROM UNNEST($1::uuid[], $2::text[], $3::jsonb[], $4::bigint[], $5::bigint[], $6::timestamptz[],
                     $7::bigint[], $8::bigint[], $9::bigint[])
              AS c (order_id, status, reason, paid, refunded, changed_at, revision, position, owed_by_hand)
         WHERE o.order_id = c.order_id",
        &ids,
        &statuses as _,
        &reasons as _,
        &paid,
        &refunded,
        &changed_at,
        &revisions,
        &positions,
        &owed
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn insert_lines(transaction: &mut PgConnection, changes: &Changes<'_>) -> Result<(), ApplyError> {
    let (mut orders, mut numbers, mut ids, mut skus) = (vec![], vec![], vec![], vec![]);
    let (mut merchants, mut names, mut quantities, mut prices) = (vec![], vec![], vec![], vec![]);
    for (order_id, change) in changes {
        let Some((placed, _)) = change.placed else { continue };
        for (number, line) in (1_i64..).zip(&placed.lines) {
            orders.push(order_id.0);
            numbers.push(number);
            ids.push(line.line_id.0);
            skus.push(line.sku.as_str());
            merchants.push(line.merchant_id.as_str());
            names.push(line.name.as_str());
            quantities.push(i64::from(line.quantity.units()));
            prices.push(line.unit_price.amount());
        }
    }
    if orders.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO order_lines (order_id, number, line_id, sku, merchant_id, name, quantity, unit_price)
         SELECT * FROM UNNEST($1::uuid[], $2::bigint[], $3::uuid[], $4::text[], $5::text[], $6::text[],
                              $7::bigint[], $8::bigint[])",
        &orders,
        &numbers,
        &ids,
        &skus as _,
        &merchants as _,
        &names as _,
        &quantities,
        &prices
    )
    .execute(transaction)
    .await?;
    Ok(())
}

async fn insert_history(transaction: &mut PgConnection, facts: &OrderFacts<'_>) -> Result<(), ApplyError> {
    if facts.is_empty() {
        return Ok(());
    }
    let orders: Vec<_> = facts.iter().map(|(order_id, ..)| order_id.0).collect();
    let revisions: Vec<_> = facts.iter().map(|(.., fact)| fact.revision).collect();
    let positions: Vec<_> = facts.iter().map(|(.., fact)| fact.position).collect();
    let types: Vec<_> = facts.iter().map(|(.., fact)| fact.event_type.as_str()).collect();
    let summaries: Vec<_> = facts.iter().map(|(_, event, _)| event.summary()).collect();
    let actors: Vec<_> = facts.iter().map(|(.., fact)| fact.actor.as_str()).collect();
    let times: Vec<_> = facts.iter().map(|(.., fact)| fact.occurred_at).collect();
    sqlx::query!(
        "INSERT INTO order_history (order_id, revision, position, event_type, summary, actor, occurred_at)
         SELECT * FROM UNNEST($1::uuid[], $2::bigint[], $3::bigint[], $4::text[], $5::text[], $6::text[],
                              $7::timestamptz[])",
        &orders,
        &revisions,
        &positions,
        &types as _,
        &summaries,
        &actors as _,
        &times
    )
    .execute(transaction)
    .await?;
    Ok(())
}

/// What stock says in an event: a phase for each SKU.
fn stock_answers(event: &Event) -> Option<Value> {
    let in_phase = |skus: &[Sku], phase: &str| -> Vec<Value> {
        skus.iter().map(|sku| json!({"sku": sku.as_str(), "phase": phase})).collect()
    };
    let answers = match event {
        Event::ReservationsAnswered(answered) => {
            let refused = answered.refused.iter().map(|refused| {
                json!({"sku": refused.sku.as_str(), "phase": "refused", "available": refused.available})
            });
            let at_payment = in_phase(&answered.at_payment, "at_payment");
            in_phase(&answered.held, "held").into_iter().chain(at_payment).chain(refused).collect()
        }
        Event::StockCommitted(committed) => in_phase(&committed.skus, "committed"),
        Event::StockShipped(shipped) => in_phase(&shipped.skus, "shipped"),
        Event::StockParted(parted) => parted.parts.iter().map(part_answer).collect(),
        Event::StockReleased(released) => in_phase(&released.skus, "released"),
        Event::Placed(_)
        | Event::PaymentRecorded(_)
        | Event::PaymentRequested(_)
        | Event::PaymentStarted(_)
        | Event::PaymentAuthorized(_)
        | Event::PaymentDeclined(_)
        | Event::PaymentCaptured(_)
        | Event::PaymentVoided(_)
        | Event::Paid(_)
        | Event::ProcessingStarted(_)
        | Event::ShipmentSent(_)
        | Event::ShipmentDelivered(_)
        | Event::Shipped(_)
        | Event::RestCancelled(_)
        | Event::Delivered(_)
        | Event::Cancelled(_)
        | Event::RefundRequested(_)
        | Event::RefundRefused(_)
        | Event::RefundRecorded(_)
        | Event::RefundFound(_)
        | Event::RefundFailed(_)
        | Event::Refunded(_) => return None,
    };
    Some(Value::Array(answers))
}

/// Where the units of a SKU are that went separate ways.
fn part_answer(part: &PartedStock) -> Value {
    let phase = match part {
        PartedStock { left: 1.., .. } => "committed",
        PartedStock { shipped: 1.., .. } => "shipped",
        _ => "released",
    };
    json!({"sku": part.sku.as_str(), "phase": phase, "shipped": part.shipped, "released": part.released})
}

async fn insert_stock_answers(
    transaction: &mut PgConnection,
    facts: &OrderFacts<'_>,
) -> Result<(), ApplyError> {
    let (mut orders, mut revisions, mut answers) = (vec![], vec![], vec![]);
    for (order_id, event, fact) in facts {
        if let Some(answer) = stock_answers(event) {
            orders.push(order_id.0);
            revisions.push(fact.revision);
            answers.push(answer);
        }
    }
    if orders.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "INSERT INTO order_stock_answers (order_id, revision, answers)
         SELECT * FROM UNNEST($1::uuid[], $2::bigint[], $3::jsonb[])",
        &orders,
        &revisions,
        &answers
    )
    .execute(transaction)
    .await?;
    Ok(())
}
