//! Money of an order: through the payment gateway, or recorded by an operator that it came in beside it.

use super::Shared;
use super::orders::change;
use super::refunds::{check_refund, with_refund};
use crate::answer::Answer;
use crate::fulfilment::payments::is_web;
use crate::problems;
use crate::request::{CommandRequest, Context};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use domain::order::{Command, Order, Payment, PaymentPhase, PlacedOrder, Status};
use domain::{
    Money, OrderId, PaymentId, PaymentMethod, PaymentToken, Reference, RefundId, WebAddress, fulfilment,
};
use http_boundary::{ClientShare, Operator, PathParams, Problem};
use payment_gateway::check_amount;
use serde::Deserialize;
use serde_json::{Value, json};

/// Another payment of an order counts as so many commands more: what the payment gateway and stock answer follows from it, and
/// nothing but its declines bounds how many come.
const COMMANDS_OF_ANOTHER: usize = 5;

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/orders/{order_id}/payments", post(pay))
        .route("/orders/{order_id}/refunds", post(give_back))
}

/// Through the gateway with `payment_method`; an operator records what came in beside it with `method` and `reference`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pay {
    amount: Money,
    payment_method: Option<PaymentToken>,
    /// Where the shopper's browser comes back to, should the gateway send it to a page of the shopper's bank.
    return_url: Option<WebAddress>,
    method: Option<PaymentMethod>,
    reference: Option<Reference>,
    payment_id: Option<PaymentId>,
}

async fn pay(
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    share: ClientShare,
    CommandRequest { body, context }: CommandRequest<Pay>,
) -> Result<Answer, Problem> {
    let Pay { amount, payment_method, return_url, method, reference, payment_id } = body;
    if payment_method.is_none() && reference.is_some() {
        context.caller.require_operator()?;
    }
    context.require_key()?;
    if amount.amount() == 0 {
        return Err(problems::no_money());
    }
    if return_url.as_ref().is_some_and(|url| payment_method.is_none() || !is_web(url.as_str())) {
        return Err(Problem::invalid(
            "The `return_url` of a payment through the payment gateway begins with https:// or http://.",
        ));
    }
    let payment_id = payment_id.unwrap_or_else(|| PaymentId(context.new_id(&format!("payment {order_id}"))));
    match (payment_method, method, reference) {
        (Some(token), None, None) => {
            if shared.is_another_payment(order_id, payment_id).await? {
                share.charge_a_person(COMMANDS_OF_ANOTHER)?;
            }
            let hold_seconds = Some(shared.hold_seconds);
            // Or a penny that waits for a bank would keep the goods.
            let in_part = context.caller.is_operator() || shared.unpaid.payments_in_part;
            let command =
                Command::RequestPayment { payment_id, amount, token, return_url, hold_seconds, in_part };
            through_gateway(&shared, order_id, payment_id, command, &context).await
        }
        (None, Some(method), Some(reference)) => {
            let command = Command::RecordPayment { payment_id, amount, method, reference };
            change(&shared, order_id, command, &context, json!({ "payment_id": payment_id })).await
        }
        _ => Err(Problem::invalid(
            "A payment has either a `payment_method` (a token of the payment gateway), or a `method` and a `reference` \
             (an operator records money that came in another way).",
        )),
    }
}

impl Shared {
    /// Whether the order has payments, and this is none of them.
    async fn is_another_payment(&self, order_id: OrderId, payment_id: PaymentId) -> Result<bool, Problem> {
        let is_another = self.executor.orders.view(order_id, move |order| match order {
            Order::Placed(order) => {
                let is_this = |payment: &Payment| payment.payment_id == payment_id;
                !order.payments.is_empty() && !order.payments.iter().any(is_this)
            }
            Order::Unplaced => false,
        });
        is_another.await.map_err(problems::of_view)
    }
}

async fn through_gateway(
    shared: &Shared,
    order_id: OrderId,
    payment_id: PaymentId,
    command: Command,
    context: &Context,
) -> Result<Answer, Problem> {
    if shared.gateway.is_none() {
        return Err(problems::no_payment_gateway());
    }
    if let Command::RequestPayment { amount, .. } = &command {
        check_payable(shared, *amount)?;
    }
    let accepted = shared.executor.orders.execute(order_id, command, context.envelope(order_id.0)).await;
    let accepted = accepted.map_err(problems::of_order)?;
    if let Some(wait) = context.wait {
        context.only_waits();
        let decided = shared
            .executor
            .orders
            .wait(order_id, wait.duration(), move |order| can_be_answered(order, payment_id).then_some(()));
        decided.await.map_err(problems::of_view)?;
    }
    let view = shared.executor.orders.view(order_id, move |order| match order {
        Order::Placed(order) => (has_outcome_of(order, payment_id), outcome(order, payment_id)),
        Order::Unplaced => (false, json!({})),
    });
    let (is_decided, mut body) = view.await.map_err(problems::of_view)?;
    if let Value::Object(fields) = &mut body {
        fields.insert("order_id".to_owned(), json!(order_id));
    }
    Ok(Answer::of_order(order_id, is_decided, accepted, body).waited(context.wait))
}

/// That the payment gateway, if there is one, can take this amount at once, or give it back.
pub fn check_payable(shared: &Shared, amount: Money) -> Result<(), Problem> {
    if shared.gateway.is_none() {
        return Ok(());
    }
    let checked = check_amount(amount.amount(), amount.currency().code());
    checked.map_err(|why| problems::amount_not_payable(amount, &why))
}

/// Whether there is something to say that the shopper waits for: the outcome, or what they are to do.
fn can_be_answered(order: &Order, payment_id: PaymentId) -> bool {
    let waits_for_shopper =
        |payment: &Payment| payment.payment_id == payment_id && payment.waits_for_shopper();
    matches!(order, Order::Placed(order) if order.payments.iter().any(waits_for_shopper))
        || has_outcome(order, payment_id)
}

fn has_outcome(order: &Order, payment_id: PaymentId) -> bool {
    matches!(order, Order::Placed(order) if has_outcome_of(order, payment_id))
        && !matches!(order, Order::Placed(order) if order.status == Status::Paid)
        && fulfilment::owed(order).is_empty()
}

/// Whether nothing more happens to the payment by itself.
fn has_outcome_of(order: &PlacedOrder, payment_id: PaymentId) -> bool {
    order.payments.iter().filter(|payment| payment.payment_id == payment_id).all(|payment| {
        match payment.phase {
            PaymentPhase::Requested { .. } | PaymentPhase::Started { .. } => false,
            // It waits for the rest of the money.
            PaymentPhase::Authorized { .. } => !order.is_secured(),
            PaymentPhase::Recorded
            | PaymentPhase::Captured { .. }
            | PaymentPhase::Declined
            | PaymentPhase::Voided => true,
        }
    })
}

fn outcome(order: &PlacedOrder, payment_id: PaymentId) -> Value {
    let payment = order.payments.iter().find(|payment| payment.payment_id == payment_id);
    let mut body = json!({
        "payment_id": payment_id,
        "payment_status": payment.map(|payment| payment.phase.name()),
        "redirect_url": payment.and_then(redirect_url),
        "status": order.status.name(),
        "due": Money::new(order.due_amount(), order.total.currency()).ok(),
    });
    if let (Value::Object(fields), Status::Cancelled(reason)) = (&mut body, &order.status) {
        fields.insert("cancel_reason".to_owned(), json!(reason));
    }
    if let (Value::Object(fields), Some(decline)) =
        (&mut body, payment.and_then(|payment| payment.decline.as_ref()))
    {
        fields.insert("decline_code".to_owned(), json!(decline.code));
        fields.insert("failure".to_owned(), json!(decline.message));
    }
    body
}

fn redirect_url(payment: &Payment) -> Option<&str> {
    match &payment.phase {
        PaymentPhase::Started { redirect_url, .. } => redirect_url.as_ref().map(WebAddress::as_str),
        _ => None,
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GiveBack {
    amount: Money,
    /// With it people gave the money back; without it the payment gateway is to do so.
    reference: Option<Reference>,
    refund_id: Option<RefundId>,
}

async fn give_back(
    _: Operator,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { body, context }: CommandRequest<GiveBack>,
) -> Result<Answer, Problem> {
    context.require_key()?;
    if body.amount.amount() == 0 {
        return Err(problems::no_money());
    }
    let refund_id = body.refund_id.unwrap_or_else(|| RefundId(context.new_id(&format!("refund {order_id}"))));
    let amount = body.amount;
    let command = match body.reference {
        Some(reference) => Command::RecordRefund { refund_id, payment_id: None, amount, reference },
        None if shared.gateway.is_none() => return Err(problems::no_payment_gateway()),
        None => Command::RequestRefund { refund_id, amount },
    };
    check_refund(&shared, order_id, &command).await?;
    let answer = change(&shared, order_id, command, &context, json!({ "refund_id": refund_id })).await?;
    with_refund(&shared, order_id, refund_id, answer).await
}
