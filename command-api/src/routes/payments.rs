//! Money of an order: through the payment gateway, or recorded by an operator that it came in beside it.

use super::Shared;
use super::orders::{cancel_reason_of, change};
use super::refunds::{check_refund, with_refund};
use crate::answer::{Answer, Settling};
use crate::problems;
use crate::request::{CommandRequest, Context};
use ::fulfilment::payments::is_web;
use api::orders::OrderChanged;
use api::payments::{Paid, Pay, PaymentOutcome, PaymentRecorded, RefundChanged, RefundOrder};
use api::permission::{ManageOrders, Shop};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use domain::order::{Command, Order, Payment, PaymentPhase, PlacedOrder, Status};
use domain::{Money, OrderId, PaymentId, RefundId, WebAddress, fulfilment};
use http_boundary::{ClientShare, PathParams, Problem};
use http_routes::{Allowed, Answers, Description, Routes};
use payment_gateway::check_amount;

/// Another payment of an order counts as so many commands more: what the payment gateway and stock answer follows from it, and
/// nothing but its declines bounds how many come.
const COMMANDS_OF_ANOTHER: usize = 5;

pub fn routes() -> Routes<Shared> {
    Routes::new().post("/orders/{order_id}/payments", pay, "Pays an order, or records that it was paid").post(
        "/orders/{order_id}/refunds",
        refund,
        "Refunds money of an order",
    )
}

async fn pay(
    _: Allowed<Shop>,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    share: ClientShare,
    CommandRequest { body, context }: CommandRequest<Pay>,
) -> Result<PaymentAnswer, Problem> {
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
            let settling = through_gateway(&shared, order_id, payment_id, command, &context).await?;
            Ok(PaymentAnswer::ThroughGateway(settling))
        }
        (None, Some(method), Some(reference)) => {
            let command = Command::RecordPayment { payment_id, amount, method, reference };
            let answer = change(&shared, order_id, command, &context).await?;
            let Answer { accepted, body: OrderChanged { order_id, status, cancel_reason }, waited } = answer;
            let body = PaymentRecorded { payment_id, order_id, status, cancel_reason };
            Ok(PaymentAnswer::Recorded(Answer { accepted, body, waited }))
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
) -> Result<Settling<PaymentOutcome>, Problem> {
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
    let order = shared.order(order_id).await?;
    let has_outcome = has_outcome_of(&order, payment_id);
    let answer = Answer::new(accepted, outcome(order_id, &order, payment_id)).waited(context.wait);
    Ok(Settling { answer, order_id, has_outcome })
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

fn outcome(order_id: OrderId, order: &PlacedOrder, payment_id: PaymentId) -> PaymentOutcome {
    let payment = order.payments.iter().find(|payment| payment.payment_id == payment_id);
    let (decline_code, failure) = payment
        .and_then(|payment| payment.decline.as_ref())
        .map(|decline| (decline.code.clone(), decline.message.clone()))
        .unzip();
    PaymentOutcome {
        order_id,
        payment_id,
        payment_status: payment.map(|payment| payment.phase.name().to_owned()),
        redirect_url: payment.and_then(redirect_url),
        status: order.status.name().to_owned(),
        due: Money::new(order.due_amount(), order.total.currency()).ok(),
        cancel_reason: cancel_reason_of(&order.status),
        decline_code,
        failure,
    }
}

fn redirect_url(payment: &Payment) -> Option<WebAddress> {
    match &payment.phase {
        PaymentPhase::Started { redirect_url, .. } => redirect_url.clone(),
        _ => None,
    }
}

/// What became of a payment request: it went through the gateway, or an operator recorded it.
enum PaymentAnswer {
    ThroughGateway(Settling<PaymentOutcome>),
    Recorded(Answer<PaymentRecorded>),
}

impl IntoResponse for PaymentAnswer {
    fn into_response(self) -> Response {
        match self {
            Self::ThroughGateway(settling) => settling.into_response(),
            Self::Recorded(answer) => answer.into_response(),
        }
    }
}

impl Answers for PaymentAnswer {
    fn describe(description: &mut Description) {
        Settling::<Paid>::describe(description);
    }
}

async fn refund(
    _: Allowed<ManageOrders>,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { body, context }: CommandRequest<RefundOrder>,
) -> Result<Answer<RefundChanged>, Problem> {
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
    let answer = change(&shared, order_id, command, &context).await?;
    with_refund(&shared, order_id, refund_id, answer).await
}
