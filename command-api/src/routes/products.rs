use super::Shared;
use crate::answer::Answer;
use crate::problems;
use crate::request::{CommandRequest, NoBody};
use axum::Router;
use axum::extract::State;
use axum::routing::{delete, post, put};
use domain::product::Command;
use domain::{MerchantId, Money, ProductName, Sku};
use http_boundary::{Operator, PathParams, Problem};
use serde::Deserialize;
use serde_json::json;

pub fn routes() -> Router<Shared> {
    Router::new()
        .route("/products", post(define))
        .route("/products/{sku}", delete(retire))
        .route("/products/{sku}/price", put(reprice))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Define {
    sku: Sku,
    merchant_id: MerchantId,
    name: ProductName,
    price: Money,
}

async fn define(
    _: Operator,
    State(shared): State<Shared>,
    CommandRequest { body, context }: CommandRequest<Define>,
) -> Result<Answer, Problem> {
    let Define { sku, merchant_id, name, price } = body;
    let envelope = context.envelope(context.command_id);
    let command = Command::Define { sku: sku.clone(), merchant_id, name, price };
    let accepted = shared.executor.products.execute(&sku, command, envelope).await;
    let accepted = accepted.map_err(problems::of_product)?;
    let location = format!("/products/{}", path_segment(&sku));
    Ok(Answer::created(accepted, json!({ "sku": sku }), location))
}

/// The only character of a SKU that may not stand in a path as it is.
pub fn path_segment(sku: &Sku) -> String {
    sku.as_str().replace(' ', "%20")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reprice {
    price: Money,
}

async fn reprice(
    _: Operator,
    State(shared): State<Shared>,
    PathParams(sku): PathParams<Sku>,
    CommandRequest { body, context }: CommandRequest<Reprice>,
) -> Result<Answer, Problem> {
    let command = Command::Reprice { price: body.price };
    let envelope = context.envelope(context.command_id);
    let accepted = shared.executor.products.execute(&sku, command, envelope).await;
    Ok(Answer::ok(accepted.map_err(problems::of_product)?, json!({ "sku": sku, "price": body.price })))
}

async fn retire(
    _: Operator,
    State(shared): State<Shared>,
    PathParams(sku): PathParams<Sku>,
    CommandRequest { context, .. }: CommandRequest<NoBody>,
) -> Result<Answer, Problem> {
    let envelope = context.envelope(context.command_id);
    let accepted = shared.executor.products.execute(&sku, Command::Retire, envelope).await;
    Ok(Answer::ok(accepted.map_err(problems::of_product)?, json!({ "sku": sku })))
}
