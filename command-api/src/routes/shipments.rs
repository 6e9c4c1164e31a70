//! Parcels of an order: each merchant sends its own lines, at once or bit by bit.

use super::Shared;
use super::orders::change;
use crate::answer::Answer;
use crate::request::CommandRequest;
use api::NoBody;
use api::orders::OrderChanged;
use api::permission::ManageOrders;
use api::shipments::{SendShipment, ShipmentChanged};
use axum::extract::State;
use domain::order::Command;
use domain::{OrderId, ShipmentId};
use http_boundary::{PathParams, Problem};
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new().post("/orders/{order_id}/shipments", send, "Ships a parcel of an order").post(
        "/orders/{order_id}/shipments/{shipment_id}/delivery",
        deliver,
        "Records that a parcel has arrived",
    )
}

async fn send(
    _: Allowed<ManageOrders>,
    State(shared): State<Shared>,
    PathParams(order_id): PathParams<OrderId>,
    CommandRequest { body, context }: CommandRequest<SendShipment>,
) -> Result<Answer<ShipmentChanged>, Problem> {
    let SendShipment { merchant_id, lines, tracking, shipment_id } = body;
    let shipment_id = shipment_id.unwrap_or_else(|| ShipmentId(context.new_id("shipment")));
    let command = Command::SendShipment { shipment_id, merchant_id, lines, tracking };
    let answer = change(&shared, order_id, command, &context).await?;
    Ok(with_shipment(answer, shipment_id))
}

async fn deliver(
    _: Allowed<ManageOrders>,
    State(shared): State<Shared>,
    PathParams((order_id, shipment_id)): PathParams<(OrderId, ShipmentId)>,
    CommandRequest { context, .. }: CommandRequest<NoBody>,
) -> Result<Answer<ShipmentChanged>, Problem> {
    let command = Command::DeliverShipment { shipment_id };
    let answer = change(&shared, order_id, command, &context).await?;
    Ok(with_shipment(answer, shipment_id))
}

fn with_shipment(answer: Answer<OrderChanged>, shipment_id: ShipmentId) -> Answer<ShipmentChanged> {
    let Answer { accepted, body: OrderChanged { order_id, status, cancel_reason }, waited } = answer;
    Answer { accepted, body: ShipmentChanged { shipment_id, order_id, status, cancel_reason }, waited }
}
