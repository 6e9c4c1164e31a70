use super::Shared;
use super::products::path_segment;
use crate::answer::{Answer, Created};
use crate::problems;
use crate::request::{CommandRequest, Context};
use api::permission::ManageStock;
use api::stock::{AdjustStock, ReceiveStock, StockAdjusted, StockReceived};
use axum::extract::State;
use domain::inventory::Command;
use domain::product::Product;
use domain::{AdjustmentId, ReceiptId, Sku};
use executor::Accepted;
use http_boundary::{PathParams, Problem};
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new().post("/stock/{sku}/receipts", receive, "Takes goods into stock").post(
        "/stock/{sku}/adjustments",
        adjust,
        "Corrects the stock by what was counted",
    )
}

async fn receive(
    _: Allowed<ManageStock>,
    State(shared): State<Shared>,
    PathParams(sku): PathParams<Sku>,
    CommandRequest { body, context }: CommandRequest<ReceiveStock>,
) -> Result<Created<StockReceived>, Problem> {
    let receipt_id = body.receipt_id.unwrap_or_else(|| ReceiptId(context.new_id("receipt")));
    let command = Command::Receive { receipt_id, quantity: body.quantity };
    let accepted = change(&shared, &sku, command, &context).await?;
    let location = location_of(&sku);
    Ok(Answer::new(accepted, StockReceived { sku, receipt_id }).created(location))
}

async fn adjust(
    _: Allowed<ManageStock>,
    State(shared): State<Shared>,
    PathParams(sku): PathParams<Sku>,
    CommandRequest { body, context }: CommandRequest<AdjustStock>,
) -> Result<Created<StockAdjusted>, Problem> {
    let adjustment_id = body.adjustment_id.unwrap_or_else(|| AdjustmentId(context.new_id("adjustment")));
    let command = Command::Adjust { adjustment_id, delta: body.delta, reason: body.reason };
    let accepted = change(&shared, &sku, command, &context).await?;
    let location = location_of(&sku);
    Ok(Answer::new(accepted, StockAdjusted { sku, adjustment_id }).created(location))
}

async fn change(
    shared: &Shared,
    sku: &Sku,
    command: Command,
    context: &Context,
) -> Result<Accepted, Problem> {
    // Goods of a retired product may still be counted; goods of no product at all are a typing error.
    let defined = shared.executor.products.view(sku, |product| *product != Product::Undefined).await;
    if !defined.map_err(problems::of_view)? {
        return Err(problems::unknown_sku(sku));
    }
    let envelope = context.envelope(context.command_id);
    shared.executor.stock.execute(sku, command, envelope).await.map_err(problems::of_stock)
}

fn location_of(sku: &Sku) -> String {
    format!("/stock/{}", path_segment(sku))
}
