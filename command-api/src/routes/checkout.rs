//! Checkout: the cart is priced from the products' current prices, locked, and becomes an order.
//!
//! Two streams change, one after the other. Should the process stop in between, the order fulfilment process
//! finds the checked-out cart and places its order.

use super::Shared;
use super::payments::check_payable;
use crate::answer::Answer;
use crate::executor::{Accepted, Envelope, ExecuteError};
use crate::ids::order_id_of;
use crate::problems;
use crate::request::{CommandRequest, Context};
use axum::Router;
use axum::extract::State;
use axum::routing::post;
use domain::cart::{Cart, Command, OpenCart, PricedLine, Rejection};
use domain::inventory::Inventory;
use domain::order::{self, CancelReason, Order, PlacedOrder, RefusedReservation, Status};
use domain::{Aggregate, CartId, Country, Money, OrderId, Sku, fulfilment};
use futures::future::try_join_all;
use http_boundary::{Caller, PathParams, Problem};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// How often a cart is priced again because it changed meanwhile.
const ATTEMPTS: usize = 5;
/// How long an order may be asked to wait for its money, in seconds: up to a month.
const HOLD_SECONDS: RangeInclusive<u32> = 1..=31 * 24 * 60 * 60;

pub fn routes() -> Router<Shared> {
    Router::new().route("/carts/{cart_id}/checkout", post(check_out))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckOut {
    /// What the shopper saw.
    total: Money,
    country: Country,
    /// How long the order may wait for its money; the shop's own time if it does not say. Only an operator lets it wait
    /// longer than that.
    hold_seconds: Option<u32>,
}

async fn check_out(
    State(shared): State<Shared>,
    PathParams(cart_id): PathParams<CartId>,
    CommandRequest { body, context }: CommandRequest<CheckOut>,
) -> Result<Answer, Problem> {
    context.require_key()?;
    let longest = match context.caller {
        Caller::Operator => *HOLD_SECONDS.end(),
        // Or anybody could take goods off sale for a month, and pay nothing.
        Caller::Shopper => shared.hold_seconds,
    };
    if body.hold_seconds.is_some_and(|seconds| seconds < *HOLD_SECONDS.start() || seconds > longest) {
        return Err(problems::hold_too_long(longest, context.caller));
    }
    let order_id = order_id_of(cart_id);
    let checked_out = lock_cart(&shared, cart_id, order_id, &body, &context).await?;
    // A purchase that was half done is no repetition: nobody was told of its order before.
    let replayed = checked_out.replayed && shared.is_placed(order_id).await?;
    let placed = place_order(&shared, cart_id, order_id, &context).await?;
    let mut has_outcome = false;
    if let Some(wait) = context.wait {
        let answered = shared.executor.orders.wait(order_id, wait.duration(), |order| {
            // Stock has answered when nothing more is owed to it.
            fulfilment::owed(order).is_empty().then_some(())
        });
        has_outcome = answered.await.map_err(problems::of_view)?.is_some();
    }
    let order = shared.order(order_id).await?;
    if let (Some(_), Status::Cancelled(CancelReason::OutOfStock { refused })) = (context.wait, &order.status)
    {
        return Err(shared.was_too_late(order_id, &order, refused).await?);
    }
    // The cart's revision, which a repetition gets again; a position at which the order can be read.
    let position = placed.position.max(checked_out.position);
    let accepted = Accepted { position, replayed, ..checked_out };
    let body = standing(order_id, &order.status);
    Ok(Answer::of_order(order_id, has_outcome, accepted, body).waited(context.wait))
}

async fn lock_cart(
    shared: &Shared,
    cart_id: CartId,
    order_id: OrderId,
    body: &CheckOut,
    context: &Context,
) -> Result<Accepted, Problem> {
    for _ in 0..ATTEMPTS {
        let cart = shared.executor.carts.view(cart_id, |cart| match cart {
            Cart::Open(cart) => Some(cart.clone()),
            Cart::Unopened | Cart::CheckedOut(_) | Cart::Abandoned => None,
        });
        let cart = cart.await.map_err(problems::of_view)?;
        let command = |prices| Command::CheckOut {
            order_id,
            country: body.country.clone(),
            expected_total: body.total,
            prices,
            hold_seconds: Some(body.hold_seconds.unwrap_or(shared.hold_seconds)),
        };
        let priced = match cart {
            Some(cart) => shared.offer(&cart).await.map(command).and_then(|command| {
                shared
                    .can_be_paid(body.total, context.caller, || Cart::Open(cart).decide(&command).is_ok())?;
                Ok(command)
            }),
            // The cart itself says why not, or that it is done.
            None => Ok(command(vec![])),
        };
        let command = match priced {
            Ok(command) => command,
            // Another process may have taken this very request, and what it saw has changed since.
            Err(problem) => {
                let (carts, envelope) = (&shared.executor.carts, context.envelope(order_id.0));
                let known = carts.replayed_anywhere(cart_id, envelope).await;
                return known.map_err(problems::of_cart)?.ok_or(problem);
            }
        };
        match shared.executor.carts.execute(cart_id, command, context.envelope(order_id.0)).await {
            Err(ExecuteError::Rejected(Rejection::Changed)) => {}
            answer => return answer.map_err(problems::of_cart),
        }
    }
    Err(problems::of_cart(ExecuteError::Rejected(Rejection::Changed)))
}

async fn place_order(
    shared: &Shared,
    cart_id: CartId,
    order_id: OrderId,
    context: &Context,
) -> Result<Accepted, Problem> {
    let order = shared.executor.carts.view(cart_id, move |cart| match cart {
        Cart::CheckedOut(cart) => Some(fulfilment::order_of(cart_id, cart)),
        Cart::Unopened | Cart::Open(_) | Cart::Abandoned => None,
    });
    let order = order.await.map_err(problems::of_view)?.ok_or_else(|| {
        tracing::error!(%cart_id, "a cart that was checked out is not checked out");
        Problem::internal()
    })?;
    let command = order::Command::Place(order);
    // The key stands in the cart's stream: the order is the same whoever places it, this request or the process.
    let envelope = Envelope { fingerprint: String::new(), ..context.envelope(order_id.0) };
    let placed = shared.executor.orders.execute(order_id, command, envelope).await;
    placed.map_err(problems::of_order)
}

impl Shared {
    /// What the cart costs now, if all of it can be had.
    async fn offer(&self, cart: &OpenCart) -> Result<Vec<PricedLine>, Problem> {
        self.check_stock(cart).await?;
        self.price(cart).await
    }

    /// That the payment gateway can take the total, if that is what the cart comes to: where it is not, the cart says
    /// so. An operator need not pay through the gateway.
    fn can_be_paid(
        &self,
        total: Money,
        caller: Caller,
        is_total: impl FnOnce() -> bool,
    ) -> Result<(), Problem> {
        match (caller, check_payable(self, total)) {
            (Caller::Shopper, Err(problem)) if is_total() => Err(problem),
            _ => Ok(()),
        }
    }

    /// The current price of each line, and who sells it.
    async fn price(&self, cart: &OpenCart) -> Result<Vec<PricedLine>, Problem> {
        let skus = cart.lines.iter().map(|line| &line.sku);
        let products = self.products_on_sale(skus).await?;
        let priced = |line: &domain::cart::Line| {
            let product = products.get(&line.sku).ok_or_else(|| problems::unknown_sku(&line.sku))?;
            Ok(PricedLine {
                line_id: line.line_id,
                merchant_id: product.merchant_id.clone(),
                name: product.name.clone(),
                unit_price: product.price,
            })
        };
        cart.lines.iter().map(priced).collect()
    }

    /// Tells a shopper at once what is sold out: the reservation would say so anyway, only later.
    async fn check_stock(&self, cart: &OpenCart) -> Result<(), Problem> {
        let mut asked: BTreeMap<&Sku, u64> = BTreeMap::new();
        for line in &cart.lines {
            *asked.entry(&line.sku).or_default() += u64::from(line.quantity.units());
        }
        let looks = asked.into_iter().map(async |(sku, asked)| {
            let look = self.executor.stock.view(sku, |stock| (stock.available(), stock.held_for_unpaid()));
            let (available, on_hold) = look.await.map_err(problems::of_view)?;
            Ok((available < asked).then(|| problems::Short { sku: sku.clone(), asked, available, on_hold }))
        });
        let short: Vec<_> = try_join_all(looks).await?.into_iter().flatten().collect();
        if short.is_empty() { Ok(()) } else { Err(problems::sold_out(&short)) }
    }

    /// Others were quicker: stock refused what the order wanted, and the order is cancelled.
    async fn was_too_late(
        &self,
        order_id: OrderId,
        order: &PlacedOrder,
        refused: &[RefusedReservation],
    ) -> Result<Problem, Problem> {
        let looks = refused.iter().map(async |RefusedReservation { sku, available }| {
            let on_hold = self.executor.stock.view(sku, Inventory::held_for_unpaid).await;
            let on_hold = on_hold.map_err(problems::of_view)?;
            let asked = order.stock.get(sku).map_or(0, |stock| u64::from(stock.quantity.units()));
            Ok::<_, Problem>(problems::Short { sku: sku.clone(), asked, available: *available, on_hold })
        });
        Ok(problems::sold_out_meanwhile(&try_join_all(looks).await?, order_id))
    }

    async fn is_placed(&self, order_id: OrderId) -> Result<bool, Problem> {
        let look = |order: &Order| matches!(order, Order::Placed(_));
        self.executor.orders.view_at_least(order_id, 0, look).await.map_err(problems::of_view)
    }

    /// An order as it is.
    pub async fn order(&self, order_id: OrderId) -> Result<PlacedOrder, Problem> {
        let order = self.executor.orders.view(order_id, |order| match order {
            Order::Placed(order) => Some(PlacedOrder::clone(order)),
            Order::Unplaced => None,
        });
        let order = order.await.map_err(problems::of_view)?;
        order.ok_or_else(|| problems::of_order(ExecuteError::Rejected(order::Rejection::NotFound)))
    }
}

/// Where an order stands, as clients see it, and why if it was called off.
pub fn standing(order_id: OrderId, status: &Status) -> Value {
    match status {
        Status::Cancelled(reason) => {
            json!({ "order_id": order_id, "status": status.name(), "cancel_reason": reason })
        }
        _ => json!({ "order_id": order_id, "status": status.name() }),
    }
}
