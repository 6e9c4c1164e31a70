use super::Shared;
use super::checkout::standing;
use super::refunds::{check_refund, with_refund};
use crate::answer::Answer;
use crate::problems;
use crate::request::{CommandRequest, Context, NoBody};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use domain::order::{Command, Order, Status};
use domain::{MerchantId, Money, OrderId, Reason, RefundId, fulfilment};
use http_boundary::{Operator, PathParams, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/orders/{order_id}/shipment", post(ship))
        .route("/orders/{order_id}/delivery", post(deliver))
        .route("/orders/{order_id}/cancellation", post(cancel))
        .route("/orders/{order_id}/rest/cancellation", post(cancel_rest))
}

async fn ship(
    _: Operator,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { context, .. }: CommandRequest<NoBody>,
) -> Result<Answer, Problem> {
    change(&shared, order_id, Command::Ship, &context, json!({})).await
}

async fn deliver(
    _: Operator,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { context, .. }: CommandRequest<NoBody>,
) -> Result<Answer, Problem> {
    change(&shared, order_id, Command::Deliver, &context, json!({})).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cancel {
    reason: Reason,
}

async fn cancel(
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { body, context }: CommandRequest<Cancel>,
) -> Result<Answer, Problem> {
    change(&shared, order_id, Command::Cancel { reason: body.reason }, &context, json!({})).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelRest {
    reason: Reason,
    /// Whose part; everybody's if it does not say.
    merchant_id: Option<MerchantId>,
    /// What goes back; the price of the units if it does not say.
    refund: Option<Money>,
}

/// Gives up what has not been sent.
async fn cancel_rest(
    _: Operator,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { body, context }: CommandRequest<CancelRest>,
) -> Result<Answer, Problem> {
    context.require_key()?;
    let refund_id = RefundId(context.new_id(&format!("refund {order_id}")));
    let CancelRest { reason, merchant_id, refund } = body;
    let command = Command::CancelRest { refund_id, merchant_id, refund, reason };
    check_refund(&shared, order_id, &command).await?;
    let answer = change(&shared, order_id, command, &context, json!({})).await?;
    with_refund(&shared, order_id, refund_id, answer).await
}

/// Sends a command to an order and answers with how the order stands then.
pub async fn change(
    shared: &Shared,
    order_id: OrderId,
    command: Command,
    context: &Context,
    mut body: Value,
) -> Result<Answer, Problem> {
    let accepted = shared.executor.orders.execute(order_id, command, context.envelope(order_id.0)).await;
    let accepted = accepted.map_err(problems::of_order)?;
    if let Some(wait) = context.wait {
        context.only_waits();
        let settled =
            shared.executor.orders.wait(order_id, wait.duration(), |order| is_settled(order).then_some(()));
        settled.await.map_err(problems::of_view)?;
    }
    let status = shared.order(order_id).await?.status;
    if let (Value::Object(fields), Value::Object(standing)) = (&mut body, standing(order_id, &status)) {
        fields.extend(standing);
    }
    Ok(Answer::ok(accepted, body).waited(context.wait))
}

/// Whether the order waits for somebody outside: stock has answered everything, and a paid order is being packed.
fn is_settled(order: &Order) -> bool {
    let in_between = matches!(order, Order::Placed(order) if order.status == Status::Paid);
    !in_between && fulfilment::owed(order).is_empty()
}
