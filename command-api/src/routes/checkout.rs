//! Checkout: the cart is priced from the products' current prices, locked, and becomes an order.
//!
//! Two streams change, one after the other. Should the process stop in between, the order fulfilment process
//! finds the checked-out cart and places its order.

use super::Shared;
use super::orders::cancel_reason_of;
use super::payments::check_payable;
use crate::admission::Class;
use crate::answer::{Answer, Settling};
use crate::problems;
use crate::request::{CommandRequest, Context};
use ::fulfilment::settle::is_unpaid;
use api::carts::{CheckOut, CheckedOut};
use api::permission::Shop;
use axum::Extension;
use axum::extract::State;
use domain::cart::{Cart, Command, OpenCart, PricedLine, Rejection};
use domain::fulfilment::order_id_of;
use domain::inventory::Inventory;
use domain::order::{self, CancelReason, Order, PlacedOrder, RefusedReservation, Status};
use domain::{Aggregate, CartId, Money, OrderId, Sku, fulfilment};
use executor::{Accepted, Envelope, ExecuteError};
use futures::future::try_join_all;
use futures::stream::{self, StreamExt, TryStreamExt};
use http_boundary::{Caller, Client, ClientShare, PathParams, Problem, Turn};
use http_routes::{Allowed, Routes};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};
use unpaid_orders::{TooMany, Whose};

/// How often a cart is priced again because it changed meanwhile.
const ATTEMPTS: usize = 5;
/// SKUs of a cart that a person fills. Those with more wait for their turn, and their connection is a busy one.
const USUAL_SKUS: usize = 20;
/// So many SKUs' stock is looked at at once.
const LOOKS_AT_ONCE: usize = 32;
/// How long an order may be asked to wait for its money, in seconds: up to a month.
const HOLD_SECONDS: RangeInclusive<u32> = 1..=31 * 24 * 60 * 60;

pub fn routes() -> Routes<Shared> {
    Routes::new()
        .post("/carts/{cart_id}/checkout", check_out, "Makes an order of a cart")
        .layered(|router| router.route_layer(Extension(Class::Checkouts)))
}

/// A cart on its way to becoming an order.
struct Checkout<'request> {
    cart_id: CartId,
    order_id: OrderId,
    body: &'request CheckOut,
    context: &'request Context,
    /// Where the request comes from.
    address: IpAddr,
}

/// What a cart costs now, and how its order may wait.
struct Offer {
    prices: Vec<PricedLine>,
    hold_seconds: u32,
    /// Whose unpaid order it is, if that counts.
    whose: Vec<Whose>,
    /// Whether this request counted it.
    is_counted: bool,
}

async fn check_out(
    _: Allowed<Shop>,
    State(shared): State<Shared>,
    PathParams(cart_id): PathParams<CartId>,
    client: Client,
    share: ClientShare,
    CommandRequest { body, context }: CommandRequest<CheckOut>,
) -> Result<Settling<CheckedOut>, Problem> {
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
    let turn = shared.take_on(cart_id, context.caller, client, &share).await?;
    let checkout = Checkout { cart_id, order_id, body: &body, context: &context, address: client.address };
    let checked_out = lock_cart(&shared, &checkout).await?;
    // A purchase that was half done is no repetition: nobody was told of its order before.
    let replayed = checked_out.replayed && shared.is_placed(order_id).await?;
    let placed = place_order(&shared, cart_id, order_id, &context).await?;
    drop(turn);
    let mut has_outcome = false;
    if let Some(wait) = context.wait {
        context.only_waits();
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
    let body = CheckedOut {
        order_id,
        status: order.status.name().to_owned(),
        cancel_reason: cancel_reason_of(&order.status),
        held_at_payment: order.held_at_payment().cloned().collect(),
    };
    let answer = Answer::new(accepted, body).waited(context.wait);
    Ok(Settling { answer, order_id, has_outcome })
}

async fn lock_cart(shared: &Shared, checkout: &Checkout<'_>) -> Result<Accepted, Problem> {
    let &Checkout { cart_id, order_id, body, context, .. } = checkout;
    let asked_seconds = body.hold_seconds.unwrap_or(shared.hold_seconds);
    for _ in 0..ATTEMPTS {
        let cart = shared.executor.carts.view(cart_id, |cart| match cart {
            Cart::Open(cart) => Some(cart.clone()),
            Cart::Unopened | Cart::CheckedOut(_) | Cart::Abandoned => None,
        });
        let cart = cart.await.map_err(problems::of_view)?;
        let offer = match &cart {
            Some(cart) => match shared.offer(cart, checkout, asked_seconds).await {
                Ok(offer) => offer,
                Err(problem) => return shared.known_or(checkout, problem).await,
            },
            // The cart itself says why not, or that it is done.
            None => Offer { prices: vec![], hold_seconds: asked_seconds, whose: vec![], is_counted: false },
        };
        let command = Command::CheckOut {
            order_id,
            country: body.country.into(),
            expected_total: body.total,
            prices: offer.prices,
            hold_seconds: Some(offer.hold_seconds),
            anonymous: context.caller == Caller::Shopper,
        };
        if let Some(cart) = cart {
            let is_total = || Cart::Open(cart).decide(&command).is_ok();
            if let Err(problem) = shared.can_be_paid(body.total, context.caller, is_total) {
                if offer.is_counted {
                    shared.unpaid.orders.forget(order_id);
                }
                return shared.known_or(checkout, problem).await;
            }
        }
        let answer = shared.executor.carts.execute(cart_id, command, context.envelope(order_id.0)).await;
        match answer {
            Err(ExecuteError::Rejected(_)) if offer.is_counted => shared.unpaid.orders.forget(order_id),
            Ok(_) if !offer.is_counted => {
                let hold = Duration::from_secs(offer.hold_seconds.into());
                shared.unpaid.orders.keep(order_id, offer.whose, hold, Instant::now());
            }
            _ => {}
        }
        match answer {
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
    let envelope = Envelope { fingerprint: executor::Fingerprint::none(), ..context.envelope(order_id.0) };
    let placed = shared.executor.orders.execute(order_id, command, envelope).await;
    placed.map_err(problems::of_order)
}

impl Shared {
    /// Charges the client for each SKU of the cart: stock has to answer for each, and again when the order is paid or
    /// called off. An order of many of them waits for its turn, which it gets.
    async fn take_on(
        &self,
        cart_id: CartId,
        caller: Caller,
        client: Client,
        share: &ClientShare,
    ) -> Result<Option<Turn>, Problem> {
        if caller.is_operator() {
            return Ok(None);
        }
        let skus = self.executor.carts.view(cart_id, |cart| match cart {
            Cart::Open(cart) => (units_of_skus(cart).len(), 0),
            // A repetition makes the order again, to compare it.
            Cart::CheckedOut(cart) => (0, cart.lines.len()),
            Cart::Unopened | Cart::Abandoned => (0, 0),
        });
        let (skus, lines_again) = skus.await.map_err(problems::of_view)?;
        share.has_read(lines_again as u64);
        // The first one was counted with the request.
        let more = skus.saturating_sub(1);
        if skus <= USUAL_SKUS {
            share.charge_a_person(more)?;
            return Ok(None);
        }
        share.charge(more)?;
        self.admission.admit_large_order(client).await.map(Some)
    }

    /// The answer that this very request has had before, perhaps from another process: what that one saw may have changed
    /// since. Otherwise the problem.
    async fn known_or(&self, checkout: &Checkout<'_>, problem: Problem) -> Result<Accepted, Problem> {
        let envelope = checkout.context.envelope(checkout.order_id.0);
        let known = self.executor.carts.replayed_anywhere(checkout.cart_id, envelope).await;
        known.map_err(problems::of_cart)?.ok_or(problem)
    }

    /// What the cart costs now, if all of it can be had and the shopper may have it.
    async fn offer(
        &self,
        cart: &OpenCart,
        checkout: &Checkout<'_>,
        asked_seconds: u32,
    ) -> Result<Offer, Problem> {
        let asked = units_of_skus(cart);
        let is_shopper = checkout.context.caller == Caller::Shopper;
        if is_shopper
            && let Some(max) = self.unpaid.max_units()
            && let Some((sku, units)) = asked.iter().find(|(_, units)| **units > max)
        {
            return Err(problems::too_many_units(sku, *units, max));
        }
        let is_scarce = self.check_stock(asked).await?;
        let prices = self.price(cart).await?;
        if !is_shopper {
            return Ok(Offer { prices, hold_seconds: asked_seconds, whose: vec![], is_counted: false });
        }
        let hold_seconds = self.unpaid.hold_seconds(asked_seconds, is_scarce);
        let customer = cart.customer_id.clone().map(Whose::Customer);
        let whose: Vec<Whose> = customer.into_iter().chain([Whose::Address(checkout.address)]).collect();
        let is_counted = self.count_unpaid(checkout.order_id, &whose, hold_seconds).await?;
        Ok(Offer { prices, hold_seconds, whose, is_counted })
    }

    /// Counts the order as one more that waits for its money. Gives whether it was not counted before.
    async fn count_unpaid(
        &self,
        order_id: OrderId,
        whose: &[Whose],
        hold_seconds: u32,
    ) -> Result<bool, Problem> {
        let hold = Duration::from_secs(hold_seconds.into());
        let add = || self.unpaid.orders.add(order_id, whose.to_vec(), hold, Instant::now());
        match add() {
            Err(too_many) if !too_many.look_at.is_empty() => {
                self.forget_settled(&too_many).await?;
                add().map_err(|too_many| problems::too_many_unpaid_orders(&too_many))
            }
            added => added.map_err(|too_many| problems::too_many_unpaid_orders(&too_many)),
        }
    }

    /// Orders are forgotten by the process that settles them; this may be another one.
    async fn forget_settled(&self, too_many: &TooMany) -> Result<(), Problem> {
        for order_id in &too_many.look_at {
            let is_settled = |order: &Order| matches!(order, Order::Placed(_)) && !is_unpaid(order);
            let look = self.executor.orders.view_at_least(order_id, 0, is_settled);
            if look.await.map_err(problems::of_view)? {
                self.unpaid.orders.forget(*order_id);
            }
        }
        Ok(())
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

    /// Tells a shopper at once what is sold out: the reservation would say so anyway, only later. Gives whether any SKU
    /// is scarce.
    async fn check_stock(&self, asked: BTreeMap<&Sku, u64>) -> Result<bool, Problem> {
        let looks = asked.into_iter().map(async |(sku, asked)| {
            let look = self
                .executor
                .stock
                .view(sku, |stock| (stock.available(), stock.held_for_unpaid(), stock.unsold()));
            let (available, on_hold, unsold) = look.await.map_err(problems::of_view)?;
            let is_short = available < asked;
            let short = is_short.then(|| problems::Short { sku: sku.clone(), asked, available, on_hold });
            Ok::<_, Problem>((short, self.unpaid.is_scarce(available, unsold)))
        });
        let looks = stream::iter(looks.collect::<Vec<_>>());
        let looked: Vec<_> = looks.buffered(LOOKS_AT_ONCE).try_collect().await?;
        let is_scarce = looked.iter().any(|(_, is_scarce)| *is_scarce);
        let short: Vec<_> = looked.into_iter().filter_map(|(short, _)| short).collect();
        if short.is_empty() { Ok(is_scarce) } else { Err(problems::sold_out(&short)) }
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

/// Units of each SKU, in all lines together.
fn units_of_skus(cart: &OpenCart) -> BTreeMap<&Sku, u64> {
    let mut units: BTreeMap<&Sku, u64> = BTreeMap::new();
    for line in &cart.lines {
        *units.entry(&line.sku).or_default() += u64::from(line.quantity.units());
    }
    units
}
