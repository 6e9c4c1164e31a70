use super::Shared;
use super::refunds::{check_refund, with_refund};
use crate::answer::Answer;
use crate::problems;
use crate::request::{CommandRequest, Context};
use api::NoBody;
use api::orders::{CancelOrder, CancelUnshipped, OrderChanged};
use api::payments::RefundChanged;
use api::permission::{ManageOrders, Shop};
use axum::extract::State;
use domain::order::{CancelReason, Command, Order, Status};
use domain::{OrderId, RefundId, fulfilment};
use http_boundary::{PathParams, Problem};
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new()
        .post("/orders/{order_id}/shipment", ship, "Ships all of an order")
        .post("/orders/{order_id}/delivery", deliver, "Records that all of an order has arrived")
        .post("/orders/{order_id}/cancellation", cancel, "Cancels an order")
        .post(
            "/orders/{order_id}/unshipped/cancellation",
            cancel_unshipped,
            "Cancels what has not been shipped",
        )
}

async fn ship(
    _: Allowed<ManageOrders>,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { context, .. }: CommandRequest<NoBody>,
) -> Result<Answer<OrderChanged>, Problem> {
    change(&shared, order_id, Command::Ship, &context).await
}

async fn deliver(
    _: Allowed<ManageOrders>,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { context, .. }: CommandRequest<NoBody>,
) -> Result<Answer<OrderChanged>, Problem> {
    change(&shared, order_id, Command::Deliver, &context).await
}

async fn cancel(
    _: Allowed<Shop>,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { body, context }: CommandRequest<CancelOrder>,
) -> Result<Answer<OrderChanged>, Problem> {
    change(&shared, order_id, Command::Cancel { reason: body.reason }, &context).await
}

/// Cancels what has not been shipped.
async fn cancel_unshipped(
    _: Allowed<ManageOrders>,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { body, context }: CommandRequest<CancelUnshipped>,
) -> Result<Answer<RefundChanged>, Problem> {
    context.require_key()?;
    let refund_id = RefundId(context.new_id(&format!("refund {order_id}")));
    let CancelUnshipped { reason, merchant_id, refund } = body;
    let command = Command::CancelRest { refund_id, merchant_id, refund, reason };
    check_refund(&shared, order_id, &command).await?;
    let answer = change(&shared, order_id, command, &context).await?;
    with_refund(&shared, order_id, refund_id, answer).await
}

/// Sends a command to an order and answers with how the order stands then.
pub async fn change(
    shared: &Shared,
    order_id: OrderId,
    command: Command,
    context: &Context,
) -> Result<Answer<OrderChanged>, Problem> {
    let accepted = shared.executor.orders.execute(order_id, command, context.envelope(order_id.0)).await;
    let accepted = accepted.map_err(problems::of_order)?;
    if let Some(wait) = context.wait {
        context.only_waits();
        let settled =
            shared.executor.orders.wait(order_id, wait.duration(), |order| is_settled(order).then_some(()));
        settled.await.map_err(problems::of_view)?;
    }
    let status = shared.order(order_id).await?.status;
    Ok(Answer::new(accepted, order_changed(order_id, &status)).waited(context.wait))
}

/// How an order stands, and why if it was cancelled.
pub fn order_changed(order_id: OrderId, status: &Status) -> OrderChanged {
    OrderChanged { order_id, status: status.name().to_owned(), cancel_reason: cancel_reason_of(status) }
}

/// Why an order was cancelled, if it was.
pub fn cancel_reason_of(status: &Status) -> Option<CancelReason> {
    match status {
        Status::Cancelled(reason) => Some(reason.clone()),
        _ => None,
    }
}

/// Whether the order waits for somebody outside: stock has answered everything, and a paid order is being packed.
fn is_settled(order: &Order) -> bool {
    let in_between = matches!(order, Order::Placed(order) if order.status == Status::Paid);
    !in_between && fulfilment::owed(order).is_empty()
}
