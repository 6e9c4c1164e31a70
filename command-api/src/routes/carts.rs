use super::Shared;
use crate::admission::Class;
use crate::answer::{Answer, Created};
use crate::problems;
use crate::request::{CommandRequest, Context};
use api::carts::{
    CartChanged, LinesChanged, MAX_LINES_OF_A_REQUEST, OpenCart, PutLine, PutLines, RemoveLines, SetShipping,
    ShippingSet,
};
use api::permission::{ManageCarts, Shop};
use api::{AtMost, NoBody};
use axum::Extension;
use axum::extract::State;
use domain::cart::{Command, NewLine};
use domain::fulfilment::order_id_of;
use domain::product::{Definition, Product};
use domain::{CartId, LineId, Sku};
use http_boundary::{ClientShare, PathParams, Problem};
use http_routes::{Allowed, Routes};
use std::collections::HashMap;

/// Bytes of a body with as many, however wide it is written: a shopper's full lines have 150 each, and with a row for each
/// field 210.
const MAX_BYTES_OF_LINES: usize = 128 * 1024;
/// The same for ids of lines.
const MAX_BYTES_OF_LINE_IDS: usize = 32 * 1024;

pub fn routes() -> Routes<Shared> {
    let lines = Routes::new()
        .delete("/carts/{cart_id}", abandon, "Abandons a cart")
        .put("/carts/{cart_id}/shipping", set_shipping, "Sets what sending a cart costs")
        .post("/carts/{cart_id}/lines", put_lines, "Puts lines into a cart, or changes them")
        .delete("/carts/{cart_id}/lines/{line_id}", remove_line, "Removes a line from a cart")
        .post("/carts/{cart_id}/lines/removals", remove_lines, "Removes several lines from a cart")
        .layered(|router| router.route_layer(Extension(Class::CartLines)));
    Routes::new()
        .post("/carts", open, "Opens a cart")
        .layered(|router| router.route_layer(Extension(Class::NewCarts)))
        .merge(lines)
}

async fn open(
    _: Allowed<Shop>,
    State(shared): State<Shared>,
    CommandRequest { body, context }: CommandRequest<OpenCart>,
) -> Result<Created<CartChanged>, Problem> {
    let cart_id = shared.cart_id_secret.cart_id(&context)?;
    let command = Command::Open { currency: body.currency, customer_id: body.customer_id };
    let answer = change(&shared, cart_id, command, &context, CartChanged { cart_id }).await?;
    Ok(answer.created(format!("/carts/{cart_id}")))
}

/// The line's own id, or one that a repetition of the request gets again.
fn line_id_of(line: &PutLine, index: usize, context: &Context) -> LineId {
    line.line_id.unwrap_or_else(|| LineId(context.new_id(&format!("line/{index}"))))
}

async fn put_lines(
    _: Allowed<Shop>,
    State(shared): State<Shared>,
    PathParams(cart_id): PathParams<CartId>,
    share: ClientShare,
    CommandRequest { body: PutLines { lines: AtMost(lines) }, context }: CommandRequest<
        PutLines,
        MAX_BYTES_OF_LINES,
    >,
) -> Result<Answer<LinesChanged>, Problem> {
    check_some(lines.len())?;
    charge(&share, lines.len())?;
    if lines.iter().any(|line| line.agreed_unit_price.is_some()) {
        context.caller.require_operator()?;
    }
    let again = |accepted| {
        let line_ids = lines.iter().enumerate().map(|(index, line)| line_id_of(line, index, &context));
        Answer::new(accepted, LinesChanged { line_ids: line_ids.collect() })
    };
    // Before the products, which may have changed since the first answer.
    let (carts, envelope) = (&shared.executor.carts, context.envelope(order_id_of(cart_id).0));
    if let Some(accepted) = carts.replayed(cart_id, envelope.clone()).await.map_err(problems::of_cart)? {
        return Ok(again(accepted));
    }
    let skus = lines.iter().map(|line| &line.sku);
    let products = match shared.products_on_sale(skus).await {
        Ok(products) => products,
        Err(problem) => {
            let known = carts.replayed_anywhere(cart_id, envelope).await.map_err(problems::of_cart)?;
            return known.map(again).ok_or(problem);
        }
    };
    let lines: Vec<NewLine> = lines
        .into_iter()
        .enumerate()
        .filter_map(|(index, line)| {
            let product = products.get(&line.sku)?;
            Some(NewLine {
                line_id: line_id_of(&line, index, &context),
                quantity: line.quantity,
                unit_price: line.agreed_unit_price.unwrap_or(product.price),
                agreed: line.agreed_unit_price.is_some(),
                sku: line.sku,
            })
        })
        .collect();
    let line_ids: Vec<LineId> = lines.iter().map(|line| line.line_id).collect();
    change(&shared, cart_id, Command::PutLines { lines }, &context, LinesChanged { line_ids }).await
}

/// Each line is work for all who read the events, so each counts as a command. The first one was counted with the request.
fn charge(share: &ClientShare, lines: usize) -> Result<(), Problem> {
    share.charge(lines.saturating_sub(1))
}

fn check_some(lines: usize) -> Result<(), Problem> {
    if lines > 0 {
        return Ok(());
    }
    Err(Problem::invalid(format!("A request has 1 to {MAX_LINES_OF_A_REQUEST} lines.")))
}

impl Shared {
    /// The definitions of the products, each of which must be on sale.
    pub async fn products_on_sale(
        &self,
        skus: impl Iterator<Item = &Sku>,
    ) -> Result<HashMap<Sku, Definition>, Problem> {
        let mut products = HashMap::new();
        for sku in skus {
            if products.contains_key(sku) {
                continue;
            }
            match self.executor.products.view(sku, Product::clone).await.map_err(problems::of_view)? {
                Product::Listed(definition) => products.insert(sku.clone(), definition),
                Product::Retired(_) => return Err(problems::retired_product(sku)),
                Product::Undefined => return Err(problems::unknown_sku(sku)),
            };
        }
        Ok(products)
    }
}

async fn remove_line(
    _: Allowed<Shop>,
    State(shared): State<Shared>,
    PathParams((cart_id, line_id)): PathParams<(CartId, LineId)>,
    CommandRequest { context, .. }: CommandRequest<NoBody>,
) -> Result<Answer<LinesChanged>, Problem> {
    let line_ids = vec![line_id];
    let command = Command::RemoveLines { line_ids: line_ids.clone() };
    change(&shared, cart_id, command, &context, LinesChanged { line_ids }).await
}

async fn remove_lines(
    _: Allowed<Shop>,
    State(shared): State<Shared>,
    PathParams(cart_id): PathParams<CartId>,
    share: ClientShare,
    CommandRequest { body: RemoveLines { line_ids: AtMost(line_ids) }, context }: CommandRequest<
        RemoveLines,
        MAX_BYTES_OF_LINE_IDS,
    >,
) -> Result<Answer<LinesChanged>, Problem> {
    check_some(line_ids.len())?;
    charge(&share, line_ids.len())?;
    let command = Command::RemoveLines { line_ids: line_ids.clone() };
    change(&shared, cart_id, command, &context, LinesChanged { line_ids }).await
}

/// What sending costs is the house's word, not the shopper's.
async fn set_shipping(
    _: Allowed<ManageCarts>,
    State(shared): State<Shared>,
    PathParams(cart_id): PathParams<CartId>,
    CommandRequest { body, context }: CommandRequest<SetShipping>,
) -> Result<Answer<ShippingSet>, Problem> {
    let command = Command::SetShipping { charge: body.charge };
    change(&shared, cart_id, command, &context, ShippingSet { cart_id, shipping: body.charge }).await
}

async fn abandon(
    _: Allowed<Shop>,
    State(shared): State<Shared>,
    PathParams(cart_id): PathParams<CartId>,
    CommandRequest { context, .. }: CommandRequest<NoBody>,
) -> Result<Answer<CartChanged>, Problem> {
    change(&shared, cart_id, Command::Abandon, &context, CartChanged { cart_id }).await
}

async fn change<T>(
    shared: &Shared,
    cart_id: CartId,
    command: Command,
    context: &Context,
    body: T,
) -> Result<Answer<T>, Problem> {
    let envelope = context.envelope(order_id_of(cart_id).0);
    let accepted = shared.executor.carts.execute(cart_id, command, envelope).await;
    Ok(Answer::new(accepted.map_err(problems::of_cart)?, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn as_many_lines_as_a_request_may_have_fit_into_its_body() {
        let line_id = LineId(uuid::Uuid::max());
        let line = json!({ "line_id": line_id, "sku": "X".repeat(64), "quantity": 1_000_000_000 });
        let lines = json!({ "lines": vec![line; MAX_LINES_OF_A_REQUEST] });
        let line_ids = json!({ "line_ids": vec![line_id; MAX_LINES_OF_A_REQUEST] });
        for (body, max) in [(lines, MAX_BYTES_OF_LINES), (line_ids, MAX_BYTES_OF_LINE_IDS)] {
            let text = format!("{body:#}");
            assert!(text.len() <= max, "{}", text.len());
        }
    }
}
