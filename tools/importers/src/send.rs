//! Sends a past to a running shop, through its public API and nothing else.
//!
//! Every key and id is derived from the invoice, so a second import is the same commands again and changes
//! nothing; an import that was cut off goes on where it was.

use super::history::{History, PastLine, PastOrder, PastProduct};
use super::plan::Plan;
use super::progress::Progress;
use super::report::Tally;
use chrono::{DateTime, Utc};
use domain::text::InvalidText;
use domain::{Country, Currency, CustomerId, Money, Quantity, Sku};
use futures::StreamExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use shop_client::{Answer, Command, ShopClient, ShopError};
use std::time::{Duration, Instant};
use thiserror::Error;
use uuid::Uuid;

/// Every id that the importer gives is derived from this one.
const NAMESPACE: Uuid = Uuid::from_u128(0x0d1f_3c56_52a7_5f0b_9c1e_6a44_b7d2_8e91);
const SOURCE: &str = "online-retail";
/// What the API takes in one request.
const LINES_OF_A_REQUEST: usize = 500;
/// How long a paid order may take until its stock is committed.
pub(super) const PROCESSING_PATIENCE: Duration = Duration::from_secs(150);
pub(super) const PROCESSING_PAUSE: Duration = Duration::from_millis(250);

/// Why an order or a product is not in the shop.
#[derive(Debug, Error)]
pub enum SendError {
    /// A command was not accepted.
    #[error("{step}: {source}")]
    Command {
        /// Which.
        step: &'static str,
        /// Why.
        #[source]
        source: ShopError,
    },
    /// The order took another way.
    #[error("the order {order_id} is {status} and cannot go on: look at its history")]
    WrongStatus {
        /// Which order.
        order_id: Uuid,
        /// Where it stands.
        status: String,
    },
    /// The order is paid, and nothing happens.
    #[error(
        "the order {order_id} is still {status} long after its payment: look at the service's log, then import again"
    )]
    Stuck {
        /// Which order.
        order_id: Uuid,
        /// Where it stands.
        status: String,
    },
    /// More units were sold than one receipt can name.
    #[error("{0} units are more than one receipt can take")]
    TooMuchStock(u64),
    /// The product's name.
    #[error(transparent)]
    Name(#[from] InvalidText),
}

impl SendError {
    /// Whether it is pointless to go on with others.
    #[must_use]
    pub fn concerns_all(&self) -> bool {
        matches!(self, Self::Command { source, .. } if source.concerns_all())
    }
}

/// How much of an order was in the shop before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// Its beginning.
    Part,
    /// All of it.
    All,
}

/// Sends everything that is planned, `concurrency` products or orders at a time, and counts.
///
/// Stops early only when the service stays away or does not take the operator's token.
pub async fn send(
    client: &ShopClient,
    history: &History,
    plan: &Plan<'_>,
    concurrency: usize,
    progress: &Progress,
) -> Tally {
    let mut tally = Tally::new(history.products.len());
    let products = plan.products.iter().map(async |product| (product, send_product(client, product).await));
    let mut sent = futures::stream::iter(products).buffer_unordered(concurrency);
    while let Some((product, outcome)) = sent.next().await {
        if let Err(error) = outcome {
            tally.refused(format!("product {}", product.sku), error);
            if tally.is_stopped() {
                return tally;
            }
        }
    }
    let orders = plan.orders.iter().map(async |order| {
        let sending = OrderSending { client, history, order, commands: 0, replayed: 0 };
        (order, sending.send().await)
    });
    let mut sent = futures::stream::iter(orders).buffer_unordered(concurrency);
    while let Some((order, outcome)) = sent.next().await {
        match outcome {
            Ok(before) => tally.imported(order, before),
            Err(error) => tally.refused(format!("order {}", order.invoice), error),
        }
        if tally.is_stopped() {
            return tally;
        }
        progress.order_done(order.lines.len());
    }
    tally
}

#[derive(Serialize)]
struct Define<'a> {
    sku: &'a Sku,
    merchant_id: &'a str,
    name: &'a str,
    price: Money,
}

#[derive(Serialize)]
struct Receive {
    quantity: Quantity,
    receipt_id: Uuid,
}

async fn send_product(client: &ShopClient, product: &PastProduct) -> Result<(), SendError> {
    let sku = product.sku.as_str();
    let name = product.name()?;
    let units = i64::try_from(product.units_sold).unwrap_or(i64::MAX);
    let quantity = Quantity::new(units).map_err(|_| SendError::TooMuchStock(product.units_sold))?;
    let occurred_at = Some(product.first_sold_at);

    let price = product.first_price;
    let body = Define { sku: &product.sku, merchant_id: SOURCE, name: name.as_str(), price };
    let key = key("product", sku, "define");
    let define = Command { path: &["products"], key: &key, occurred_at, wait: false, body: &body };
    let refused = |step| move |source| SendError::Command { step, source };
    client.post::<_, IgnoredAny>(define).await.map_err(refused("define"))?;

    let body = Receive { quantity, receipt_id: derived_id("receipt", sku) };
    let key = self::key("stock", sku, "receive");
    let path = ["stock", sku, "receipts"];
    let receive = Command { path: &path, key: &key, occurred_at, wait: false, body: &body };
    client.post::<_, IgnoredAny>(receive).await.map_err(refused("receive stock"))?;
    Ok(())
}

/// A stock code may have spaces, and a key is better without them.
fn key(kind: &str, name: &str, step: &str) -> String {
    format!("{SOURCE}/{kind}/{}/{step}", name.replace(' ', "%20"))
}

/// An id that a repeated import gives again.
pub(super) fn derived_id(kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{kind}/{name}").as_bytes())
}

#[derive(Serialize)]
struct OpenCart<'a> {
    currency: Currency,
    #[serde(skip_serializing_if = "Option::is_none")]
    customer_id: Option<&'a CustomerId>,
}

#[derive(Deserialize)]
struct CartOpened {
    cart_id: Uuid,
}

#[derive(Serialize)]
struct PutLines<'a> {
    lines: Vec<NewLine<'a>>,
}

#[derive(Serialize)]
struct NewLine<'a> {
    line_id: Uuid,
    sku: &'a Sku,
    quantity: Quantity,
    agreed_unit_price: Money,
}

#[derive(Serialize)]
struct CheckOut<'a> {
    total: Money,
    country: &'a Country,
}

#[derive(Serialize)]
struct RecordPayment<'a> {
    amount: Money,
    method: &'static str,
    reference: &'a str,
    payment_id: Uuid,
}

#[derive(Debug, Serialize)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
pub(super) struct OrderStands {
    pub order_id: Uuid,
    pub status: String,
}

/// One order on its way, from an empty cart to the customer's door.
struct OrderSending<'a> {
    client: &'a ShopClient,
    history: &'a History,
    order: &'a PastOrder,
    commands: u32,
    replayed: u32,
}

impl<'a> OrderSending<'a> {
    async fn send(mut self) -> Result<Before, SendError> {
        let order = self.order;
        let open = OpenCart { currency: order.total.currency(), customer_id: order.customer_id.as_ref() };
        let cart: CartOpened = self.counted("open", &["carts"], false, &open).await?;
        let cart_id = cart.cart_id.to_string();
        for (place, lines) in order.lines.chunks(LINES_OF_A_REQUEST).enumerate() {
            let lines = PutLines { lines: lines.iter().map(|line| self.new_line(line)).collect() };
            self.put_lines(place, &cart_id, &lines).await?;
        }
        let check_out = CheckOut { total: order.total, country: &order.country };
        let path = ["carts", cart_id.as_str(), "checkout"];
        let placed: OrderStands = self.counted("checkout", &path, true, &check_out).await?;
        if has_failed(&placed.status) {
            return Err(SendError::WrongStatus { order_id: placed.order_id, status: placed.status });
        }
        let order_id = placed.order_id.to_string();
        self.pay(&order_id).await?;
        let _: IgnoredAny =
            self.counted("shipment", &["orders", &order_id, "shipment"], false, &Nothing {}).await?;
        let _: IgnoredAny =
            self.counted("delivery", &["orders", &order_id, "delivery"], false, &Nothing {}).await?;
        Ok(match self.replayed {
            0 => Before::Nothing,
            replayed if replayed == self.commands => Before::All,
            _ => Before::Part,
        })
    }

    async fn put_lines(
        &mut self,
        place: usize,
        cart_id: &str,
        lines: &PutLines<'_>,
    ) -> Result<(), SendError> {
        let path = ["carts", cart_id, "lines"];
        let key = self.key(&format!("lines-{place}"));
        let answer = self.post::<_, IgnoredAny>("put lines", &key, &path, false, lines).await?;
        self.count(&answer);
        Ok(())
    }

    /// Pays, and asks again until the payment has moved the order on: only then it can be shipped.
    async fn pay(&mut self, order_id: &str) -> Result<(), SendError> {
        let reference = format!("{SOURCE} {}", self.order.invoice);
        let payment_id = derived_id("payment", &self.order.invoice);
        let amount = self.order.total;
        let payment = RecordPayment { amount, method: "invoice", reference: &reference, payment_id };
        let path = ["orders", order_id, "payments"];
        let key = self.key("payment");
        let paid_since = Instant::now();
        let mut is_first = true;
        loop {
            let answer = self.post::<_, OrderStands>("payment", &key, &path, true, &payment).await?;
            if std::mem::take(&mut is_first) {
                self.count(&answer);
            }
            let OrderStands { order_id, status } = answer.body;
            if matches!(status.as_str(), "processing" | "shipped" | "delivered") {
                return Ok(());
            }
            if has_failed(&status) {
                return Err(SendError::WrongStatus { order_id, status });
            }
            if paid_since.elapsed() > PROCESSING_PATIENCE {
                return Err(SendError::Stuck { order_id, status });
            }
            tokio::time::sleep(PROCESSING_PAUSE).await;
        }
    }

    fn new_line(&self, line: &PastLine) -> NewLine<'a> {
        NewLine {
            line_id: derived_id("line", &format!("{}/{}", self.order.invoice, line.row)),
            sku: &self.history.products[line.product].sku,
            quantity: line.quantity,
            agreed_unit_price: line.unit_price,
        }
    }

    /// Sends a command whose step gives its key.
    async fn counted<B: Serialize, A: DeserializeOwned>(
        &mut self,
        step: &'static str,
        path: &[&str],
        wait: bool,
        body: &B,
    ) -> Result<A, SendError> {
        let key = self.key(step);
        let answer = self.post(step, &key, path, wait, body).await?;
        self.count(&answer);
        Ok(answer.body)
    }

    async fn post<B: Serialize, A: DeserializeOwned>(
        &self,
        step: &'static str,
        key: &str,
        path: &[&str],
        wait: bool,
        body: &B,
    ) -> Result<Answer<A>, SendError> {
        let occurred_at: Option<DateTime<Utc>> = Some(self.order.occurred_at);
        let command = Command { path, key, occurred_at, wait, body };
        self.client.post(command).await.map_err(|source| SendError::Command { step, source })
    }

    fn count<A>(&mut self, answer: &Answer<A>) {
        self.commands += 1;
        self.replayed += u32::from(answer.replayed);
    }

    fn key(&self, step: &str) -> String {
        format!("{SOURCE}/{}/{step}", self.order.invoice)
    }
}

fn has_failed(status: &str) -> bool {
    matches!(status, "cancelled" | "refunded")
}
