//! Parcels of an order: each merchant sends its own lines, at once or bit by bit.

use super::Shared;
use super::orders::change;
use crate::answer::Answer;
use crate::request::{CommandRequest, NoBody};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use domain::order::{Command, ShippedLine, Tracking};
use domain::{MerchantId, OrderId, ShipmentId};
use http_boundary::{Operator, PathParams, Problem};
use serde::Deserialize;
use serde_json::json;

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/orders/{order_id}/shipments", post(send))
        .route("/orders/{order_id}/shipments/{shipment_id}/delivery", post(deliver))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Send {
    merchant_id: MerchantId,
    /// All that the merchant has not sent yet, if it does not say.
    lines: Option<Vec<ShippedLine>>,
    tracking: Option<Tracking>,
    shipment_id: Option<ShipmentId>,
}

async fn send(
    _: Operator,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { body, context }: CommandRequest<Send>,
) -> Result<Answer, Problem> {
    let Send { merchant_id, lines, tracking, shipment_id } = body;
    let shipment_id = shipment_id.unwrap_or_else(|| ShipmentId(context.new_id("shipment")));
    let command = Command::SendShipment { shipment_id, merchant_id, lines, tracking };
    change(&shared, order_id, command, &context, json!({ "shipment_id": shipment_id })).await
}

async fn deliver(
    _: Operator,
    State(shared): State<Shared>,
    PathParams((order_id, shipment_id)): PathParams<(OrderId, ShipmentId)>,
    CommandRequest { context, .. }: CommandRequest<NoBody>,
) -> Result<Answer, Problem> {
    let command = Command::DeliverShipment { shipment_id };
    change(&shared, order_id, command, &context, json!({ "shipment_id": shipment_id })).await
}
