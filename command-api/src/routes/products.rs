use super::Shared;
use crate::answer::{Answer, Created};
use crate::problems;
use crate::request::CommandRequest;
use api::NoBody;
use api::permission::ManageProducts;
use api::products::{DefineProduct, ProductChanged, Reprice, Repriced};
use axum::extract::State;
use domain::Sku;
use domain::product::Command;
use http_boundary::{PathParams, Problem};
use http_routes::{Allowed, Routes};

pub fn routes() -> Routes<Shared> {
    Routes::new()
        .post("/products", define, "Puts a product on sale")
        .delete("/products/{sku}", retire, "Takes a product off sale")
        .put("/products/{sku}/price", reprice, "Changes the price of a product")
}

async fn define(
    _: Allowed<ManageProducts>,
    State(shared): State<Shared>,
    CommandRequest { body, context }: CommandRequest<DefineProduct>,
) -> Result<Created<ProductChanged>, Problem> {
    let DefineProduct { sku, merchant_id, name, price } = body;
    let envelope = context.envelope(context.command_id);
    let command = Command::Define { sku: sku.clone(), merchant_id, name, price };
    let accepted = shared.executor.products.execute(&sku, command, envelope).await;
    let accepted = accepted.map_err(problems::of_product)?;
    let location = format!("/products/{}", path_segment(&sku));
    Ok(Answer::new(accepted, ProductChanged { sku }).created(location))
}

/// The only character of a SKU that may not stand in a path as it is.
pub fn path_segment(sku: &Sku) -> String {
    sku.as_str().replace(' ', "%20")
}

async fn reprice(
    _: Allowed<ManageProducts>,
    State(shared): State<Shared>,
    PathParams(sku): PathParams<Sku>,
    CommandRequest { body: Reprice { price }, context }: CommandRequest<Reprice>,
) -> Result<Answer<Repriced>, Problem> {
    let envelope = context.envelope(context.command_id);
    let accepted = shared.executor.products.execute(&sku, Command::Reprice { price }, envelope).await;
    Ok(Answer::new(accepted.map_err(problems::of_product)?, Repriced { sku, price }))
}

async fn retire(
    _: Allowed<ManageProducts>,
    State(shared): State<Shared>,
    PathParams(sku): PathParams<Sku>,
    CommandRequest { context, .. }: CommandRequest<NoBody>,
) -> Result<Answer<ProductChanged>, Problem> {
    let envelope = context.envelope(context.command_id);
    let accepted = shared.executor.products.execute(&sku, Command::Retire, envelope).await;
    Ok(Answer::new(accepted.map_err(problems::of_product)?, ProductChanged { sku }))
}
