//! Sends the plan to a running shop, through its public API and nothing else.
//!
//! Every key and id follows from the marketplace's ids, so a second import is the same commands again and changes
//! nothing; an import that was cut off goes on where it was.

use super::draft::line_id;
use super::plan::{Plan, PlannedLine, PlannedOrder, PlannedPayment, PlannedProduct};
use super::totals::Totals;
use super::turns::Turns;
use super::{COUNTRY, CURRENCY, SOURCE};
use crate::progress::Progress;
use crate::report::REFUSALS_KEPT;
use crate::send::{
    Before, Nothing, OrderStands, PROCESSING_PATIENCE, PROCESSING_PAUSE, SendError, derived_id,
};
use chrono::{DateTime, Utc};
use domain::Quantity;
use futures::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shop_client::{Answer, Command, ShopClient, ShopError};
use std::collections::BTreeMap;
use std::time::Instant;
use uuid::Uuid;

/// How long an order may wait for its money: a month, so that an import that was cut off can be taken up again.
const HOLD_SECONDS: u32 = 31 * 24 * 60 * 60;

/// What went in and what did not.
#[derive(Debug, Default)]
pub struct Sent {
    /// Orders that were new.
    pub new: u64,
    /// Orders of which a part was there: an earlier import, or a lost answer of this one.
    pub completed: u64,
    /// Orders that were there already.
    pub already_there: u64,
    /// What all these add up to.
    pub totals: Totals,
    /// Where they stand.
    pub by_status: BTreeMap<&'static str, u64>,
    /// Money of those that are called off: the files do not say that it was given back.
    pub paid_for_cancelled: i128,
    /// How often their products' prices changed.
    pub price_changes: u64,
    /// Orders and products that the service refused.
    pub refusals: u64,
    /// The first few, with what was refused and why.
    pub first_refusals: Vec<(String, SendError)>,
    /// What these orders add up to.
    pub refused_totals: Totals,
    /// Why the import stopped early, if it did.
    pub stopped_by: Option<(String, SendError)>,
}

impl Sent {
    fn imported(&mut self, order: &PlannedOrder, before: Before) {
        match before {
            Before::Nothing => self.new += 1,
            Before::Part => self.completed += 1,
            Before::All => self.already_there += 1,
        }
        self.totals.add(&order.totals);
        *self.by_status.entry(order.status).or_default() += 1;
        if order.cancellation.is_some() {
            self.paid_for_cancelled += order.totals.paid().1;
        }
        self.price_changes += order.lines.iter().filter(|line| line.is_new_price).count() as u64;
    }

    fn refused(&mut self, what: String, error: SendError) {
        if error.concerns_all() {
            self.stopped_by = Some((what, error));
            return;
        }
        self.refusals += 1;
        if self.first_refusals.len() < REFUSALS_KEPT {
            self.first_refusals.push((what, error));
        }
    }
}

/// Sends everything that is planned, `concurrency` products or orders at a time, and counts.
///
/// Stops early only when the service stays away or does not take the operator's token.
pub async fn send(client: &ShopClient, plan: &Plan, concurrency: usize, progress: &Progress) -> Sent {
    let mut all = Sent::default();
    let products = plan.needed_products().into_iter().map(async |place| {
        let product = &plan.products[place];
        (product, send_product(client, product).await)
    });
    let mut sent = futures::stream::iter(products).buffer_unordered(concurrency);
    while let Some((product, outcome)) = sent.next().await {
        if let Err(error) = outcome {
            all.refused(format!("product {}", product.sku), error);
            if all.stopped_by.is_some() {
                return all;
            }
        }
    }
    let turns = Turns::new(plan.products.len());
    let orders = plan.orders.iter().map(async |order| {
        let sending = Sending { client, plan, order, commands: 0, replayed: 0, status: String::new() };
        (order, sending.send(&turns).await)
    });
    let mut sent = futures::stream::iter(orders).buffer_unordered(concurrency);
    while let Some((order, outcome)) = sent.next().await {
        match outcome {
            Ok(before) => all.imported(order, before),
            Err(error) => {
                all.refused(format!("order {}", order.id), error);
                if all.stopped_by.is_some() {
                    return all;
                }
                all.refused_totals.add(&order.totals);
            }
        }
        progress.order_done(order.lines.len());
    }
    all
}

async fn send_product(client: &ShopClient, product: &PlannedProduct) -> Result<(), SendError> {
    let sku = product.sku.as_str();
    let occurred_at = Some(product.first_sold_at);
    let units = i64::try_from(product.units).unwrap_or(i64::MAX);
    let quantity = Quantity::new(units).map_err(|_| SendError::TooMuchStock(product.units))?;
    let refused = |step| move |source| SendError::Command { step, source };

    let body = json!({
        "sku": sku,
        "merchant_id": product.merchant_id,
        "name": product.name,
        "price": product.first_price,
    });
    let key = format!("{SOURCE}/product/{sku}/define");
    let define = Command { path: &["products"], key: &key, occurred_at, wait: false, body: &body };
    client.post::<_, IgnoredAny>(define).await.map_err(refused("define"))?;

    let body = json!({ "quantity": quantity, "receipt_id": derived_id("olist/receipt", sku) });
    let key = format!("{SOURCE}/stock/{sku}/receive");
    let path = ["stock", sku, "receipts"];
    let receive = Command { path: &path, key: &key, occurred_at, wait: false, body: &body };
    client.post::<_, IgnoredAny>(receive).await.map_err(refused("receive stock"))?;
    Ok(())
}

#[derive(Deserialize)]
struct CartOpened {
    cart_id: Uuid,
}

/// One order on its way, from an empty cart to where the files have it.
struct Sending<'a> {
    client: &'a ShopClient,
    plan: &'a Plan,
    order: &'a PlannedOrder,
    commands: u32,
    replayed: u32,
    /// Where the order stood at the last answer.
    status: String,
}

impl Sending<'_> {
    async fn send(mut self, turns: &Turns) -> Result<Before, SendError> {
        let order = self.order;
        let turn = turns.wait(&order.lines).await;
        for line in order.lines.iter().filter(|line| line.is_new_price) {
            self.reprice(line).await?;
        }
        let order_id = self.check_out().await?;
        drop(turn);
        self.pay(order_id).await?;
        let path = order_id.to_string();
        self.send_parcels(&path).await?;
        if let Some((at, reason)) = &order.cancellation {
            let path = ["orders", &path, "cancellation"];
            self.move_on("cancellation", "cancellation", *at, &path, &json!({ "reason": reason })).await?;
        }
        if self.status != order.status {
            return Err(SendError::WrongStatus { order_id, status: self.status });
        }
        Ok(match self.replayed {
            0 => Before::Nothing,
            replayed if replayed == self.commands => Before::All,
            _ => Before::Part,
        })
    }

    /// The price of the product changes just before this order.
    async fn reprice(&mut self, line: &PlannedLine) -> Result<(), SendError> {
        let sku = self.plan.products[line.product].sku.as_str();
        let key = format!("{SOURCE}/product/{sku}/price/{}", self.order.id);
        let path = ["products", sku, "price"];
        let body = json!({ "price": line.unit_price });
        let command = command(&path, &key, self.order.purchased_at, false, &body);
        let answer = self.client.put::<_, IgnoredAny>(command).await;
        self.count(&answer.map_err(|source| SendError::Command { step: "reprice", source })?);
        Ok(())
    }

    async fn check_out(&mut self) -> Result<Uuid, SendError> {
        let order = self.order;
        let open = json!({ "currency": CURRENCY, "customer_id": order.customer_id });
        let cart: CartOpened = self.post("open", "open", &["carts"], false, &open).await?;
        let cart_id = cart.cart_id.to_string();

        let lines: Vec<_> = order
            .lines
            .iter()
            .map(|line| {
                let sku = &self.plan.products[line.product].sku;
                let line_id = line_id(&order.id, line.number);
                json!({ "line_id": line_id, "sku": sku, "quantity": line.quantity })
            })
            .collect();
        let path = ["carts", &cart_id, "lines"];
        let _: IgnoredAny = self.post("put lines", "lines", &path, false, &json!({ "lines": lines })).await?;

        let key = self.key("shipping");
        let path = ["carts", &cart_id, "shipping"];
        let body = json!({ "charge": order.freight });
        let command = command(&path, &key, order.purchased_at, false, &body);
        let answer = self.client.put::<_, IgnoredAny>(command).await;
        self.count(&answer.map_err(|source| SendError::Command { step: "shipping", source })?);

        let body = json!({ "total": order.total, "country": COUNTRY, "hold_seconds": HOLD_SECONDS });
        let path = ["carts", &cart_id, "checkout"];
        // It need not wait for stock: the last payment does.
        let placed: OrderStands =
            self.post("checkout", "checkout", &path, order.payments.is_empty(), &body).await?;
        self.status = placed.status;
        Ok(placed.order_id)
    }

    /// Records all payments, and asks again until the last one has moved the order on: only then it can be shipped.
    async fn pay(&mut self, order_id: Uuid) -> Result<(), SendError> {
        let Some((last, others)) = self.order.payments.split_last() else { return Ok(()) };
        for payment in others {
            let answer = self.record(order_id, payment, false).await?;
            self.count(&answer);
        }
        let paid_since = Instant::now();
        let mut is_first = true;
        loop {
            let answer = self.record(order_id, last, true).await?;
            if std::mem::take(&mut is_first) {
                self.count(&answer);
            }
            self.status = answer.body.status;
            let is_pending = self.status == "pending";
            if !self.order.is_paid && is_pending {
                return Ok(());
            }
            if self.status == "cancelled" && self.order.cancellation.is_none() {
                return Err(SendError::WrongStatus { order_id, status: self.status.clone() });
            }
            if !is_pending && self.status != "paid" {
                return Ok(());
            }
            if paid_since.elapsed() > PROCESSING_PATIENCE {
                return Err(SendError::Stuck { order_id, status: self.status.clone() });
            }
            tokio::time::sleep(PROCESSING_PAUSE).await;
        }
    }

    async fn record(
        &self,
        order_id: Uuid,
        payment: &PlannedPayment,
        wait: bool,
    ) -> Result<Answer<OrderStands>, SendError> {
        let key = self.key(&format!("payment-{}", payment.number));
        let order_id = order_id.to_string();
        let path = ["orders", &order_id, "payments"];
        let body = json!({
            "amount": payment.amount,
            "method": payment.method,
            "reference": payment.reference,
            "payment_id": payment.payment_id,
        });
        let command = command(&path, &key, payment.at, wait, &body);
        self.client.post(command).await.map_err(|source| SendError::Command { step: "payment", source })
    }

    async fn send_parcels(&mut self, order_id: &str) -> Result<(), SendError> {
        let parcels = &self.order.parcels;
        for (number, parcel) in parcels.iter().enumerate() {
            let body = json!({ "merchant_id": parcel.merchant_id, "shipment_id": parcel.shipment_id });
            let path = ["orders", order_id, "shipments"];
            self.move_on("shipment", &format!("shipment-{number}"), parcel.sent_at, &path, &body).await?;
        }
        for (number, parcel) in parcels.iter().enumerate() {
            let Some(at) = parcel.delivered_at else { continue };
            let shipment_id = parcel.shipment_id.to_string();
            let path = ["orders", order_id, "shipments", &shipment_id, "delivery"];
            self.move_on("delivery", &format!("delivery-{number}"), at, &path, &Nothing {}).await?;
        }
        Ok(())
    }

    /// Sends a command to the order at its own time, and waits until stock has done what follows from it.
    async fn move_on<B: Serialize>(
        &mut self,
        step: &'static str,
        key: &str,
        at: DateTime<Utc>,
        path: &[&str],
        body: &B,
    ) -> Result<(), SendError> {
        let key = self.key(key);
        let command = command(path, &key, at, true, body);
        let answer = self.client.post::<_, OrderStands>(command).await;
        let answer = answer.map_err(|source| SendError::Command { step, source })?;
        self.count(&answer);
        self.status = answer.body.status;
        Ok(())
    }

    /// Sends a command of the purchase itself.
    async fn post<B: Serialize, A: DeserializeOwned>(
        &mut self,
        step: &'static str,
        key: &str,
        path: &[&str],
        wait: bool,
        body: &B,
    ) -> Result<A, SendError> {
        let key = self.key(key);
        let command = command(path, &key, self.order.purchased_at, wait, body);
        let answer: Result<Answer<A>, ShopError> = self.client.post(command).await;
        let answer = answer.map_err(|source| SendError::Command { step, source })?;
        self.count(&answer);
        Ok(answer.body)
    }

    fn count<A>(&mut self, answer: &Answer<A>) {
        self.commands += 1;
        self.replayed += u32::from(answer.replayed);
    }

    fn key(&self, step: &str) -> String {
        format!("{SOURCE}/{}/{step}", self.order.id)
    }
}

fn command<'b, B>(
    path: &'b [&'b str],
    key: &'b str,
    at: DateTime<Utc>,
    wait: bool,
    body: &'b B,
) -> Command<'b, B> {
    Command { path, key, occurred_at: Some(at), wait, body }
}
