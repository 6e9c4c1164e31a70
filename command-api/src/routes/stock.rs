use super::Shared;
use super::products::path_segment;
use crate::answer::Answer;
use crate::problems;
use crate::request::{CommandRequest, Context};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use domain::inventory::Command;
use domain::product::Product;
use domain::{AdjustmentId, Quantity, Reason, ReceiptId, Sku};
use http_boundary::{Operator, PathParams, Problem};
use serde::Deserialize;
use serde_json::{Value, json};

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/stock/{sku}/receipts", post(receive))
        .route("/stock/{sku}/adjustments", post(adjust))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Receive {
    quantity: Quantity,
    receipt_id: Option<ReceiptId>,
}

async fn receive(
    _: Operator,
    State(shared): State<Shared>,
    PathParams(sku): PathParams<Sku>,
    CommandRequest { body, context }: CommandRequest<Receive>,
) -> Result<Answer, Problem> {
    let receipt_id = body.receipt_id.unwrap_or_else(|| ReceiptId(context.new_id("receipt")));
    let command = Command::Receive { receipt_id, quantity: body.quantity };
    change(&shared, &sku, command, &context, json!({ "sku": sku, "receipt_id": receipt_id })).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Adjust {
    delta: i64,
    reason: Reason,
    adjustment_id: Option<AdjustmentId>,
}

async fn adjust(
    _: Operator,
    State(shared): State<Shared>,
    PathParams(sku): PathParams<Sku>,
    CommandRequest { body, context }: CommandRequest<Adjust>,
) -> Result<Answer, Problem> {
    let adjustment_id = body.adjustment_id.unwrap_or_else(|| AdjustmentId(context.new_id("adjustment")));
    let command = Command::Adjust { adjustment_id, delta: body.delta, reason: body.reason };
    change(&shared, &sku, command, &context, json!({ "sku": sku, "adjustment_id": adjustment_id })).await
}

async fn change(
    shared: &Shared,
    sku: &Sku,
    command: Command,
    context: &Context,
    body: Value,
) -> Result<Answer, Problem> {
    // Goods of a retired product may still be counted; goods of no product at all are a slip of the pen.
    let defined = shared.executor.products.view(sku, |product| *product != Product::Undefined).await;
    if !defined.map_err(problems::of_view)? {
        return Err(problems::unknown_sku(sku));
    }
    let envelope = context.envelope(context.command_id);
    let accepted = shared.executor.stock.execute(sku, command, envelope).await;
    let accepted = accepted.map_err(problems::of_stock)?;
    Ok(Answer::created(accepted, body, format!("/stock/{}", path_segment(sku))))
}
