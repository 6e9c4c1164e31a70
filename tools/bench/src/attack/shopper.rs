//! One ordinary shopper: looks at a product, fills a cart, checks out, pays, and looks at the order.

use super::target::Target;
use crate::shop::{CURRENCY, Product};
use backon::{BackoffBuilder, ExponentialBuilder};
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use thiserror::Error;
use uuid::Uuid;

const CARD: &str = "pm_card_visa";
/// How long a shopper sends one request again before giving up.
const PATIENCE: Duration = Duration::from_secs(60);
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
const TOO_MANY_REQUESTS: u16 = 429;

/// Why a shopper has no order.
#[derive(Debug, Error)]
pub enum Failed {
    #[error("{what} got no answer for {} s: the last one was {last}", PATIENCE.as_secs())]
    NoAnswer { what: &'static str, last: String },
    #[error("{what} was answered with {status}: {body}")]
    Refused { what: &'static str, status: u16, body: String },
}

/// What became of a purchase.
#[derive(Debug, Default)]
pub struct Bought {
    /// The service said that the order is placed.
    pub placed: Option<Uuid>,
    /// And that it is paid.
    pub is_paid: bool,
    /// What each request took, with all its repetitions.
    pub took: Vec<Duration>,
    /// Requests that were refused or got no answer, and were sent again.
    pub sent_again: u64,
}

/// A shopper at an address.
pub struct Shopper<'a> {
    pub target: &'a Target,
    pub http: &'a Client,
}

/// An answer that is a success.
struct Reply {
    body: Value,
    position: Option<String>,
}

impl Shopper<'_> {
    /// Buys one unit. What came of it stands in `bought`, also when it fails.
    pub async fn buy(&self, product: &Product, bought: &mut Bought) -> Result<(), Failed> {
        let (target, http) = (self.target, self.http);
        let sku = &product.sku;
        self.ask("the product's page", bought, || http.get(target.url(&format!("/products/{sku}")))).await?;
        let (open, add, check_out, pay) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
        let opened = self.command("opening a cart", bought, open, "/carts", json!({ "currency": CURRENCY }));
        let cart_id = text(&opened.await?, "cart_id");
        let lines = json!({ "lines": [{ "sku": sku, "quantity": 1 }] });
        self.command("adding a line", bought, add, &format!("/carts/{cart_id}/lines"), lines).await?;
        let total = target.total(product, 1);
        let body = json!({ "total": total, "country": "GB" });
        let path = format!("/carts/{cart_id}/checkout");
        let placed = self.command("checking out", bought, check_out, &path, body).await?;
        let order_id = text(&placed, "order_id");
        bought.placed = order_id.parse().ok();
        let (path, body) =
            (format!("/orders/{order_id}/payments"), json!({ "amount": total, "payment_method": CARD }));
        let begun = Instant::now();
        let paid = loop {
            let paid = self.command("paying", bought, pay, &path, body.clone()).await?;
            // With all of the money taken it is an order, whether or not it is on its way already.
            if matches!(text(&paid, "status").as_str(), "paid" | "processing") {
                break paid;
            }
            // Not decided in the time that the service waits: asked again under the same key.
            let is_undecided =
                matches!(text(&paid, "payment_status").as_str(), "requested" | "started" | "authorized");
            if !is_undecided || begun.elapsed() > PATIENCE {
                return Err(Failed::Refused { what: "paying", status: 200, body: paid.body.to_string() });
            }
        };
        bought.is_paid = true;
        let position = paid.position.unwrap_or_else(|| "head".to_owned());
        let page = target.url(&format!("/orders/{order_id}?min-position={position}"));
        self.ask("the order's page", bought, || Target::waiting(http.get(&page))).await?;
        Ok(())
    }

    async fn command(
        &self,
        what: &'static str,
        bought: &mut Bought,
        key: Uuid,
        path: &str,
        body: Value,
    ) -> Result<Reply, Failed> {
        let request = || Target::waiting(self.target.post_under(self.http, path, &body, key));
        self.ask(what, bought, request).await
    }

    /// Asks until there is an answer: what the service cannot do just now is asked for again.
    async fn ask(
        &self,
        what: &'static str,
        bought: &mut Bought,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Reply, Failed> {
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .without_max_times()
            .build();
        let begun = Instant::now();
        loop {
            let last = match answer(request()).await {
                Ok((status, reply)) if (200..300).contains(&status) => {
                    bought.took.push(begun.elapsed());
                    return Ok(reply);
                }
                Ok((status, reply)) if status < 500 && status != TOO_MANY_REQUESTS => {
                    return Err(Failed::Refused { what, status, body: reply.body.to_string() });
                }
                Ok((status, reply)) => format!("{status} {}", reply.body),
                Err(error) => error.to_string(),
            };
            if begun.elapsed() > PATIENCE {
                return Err(Failed::NoAnswer { what, last });
            }
            bought.sent_again += 1;
            tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
        }
    }
}

async fn answer(request: RequestBuilder) -> reqwest::Result<(u16, Reply)> {
    let response = request.send().await?;
    let status = response.status().as_u16();
    let position = response.headers().get("emporium-position");
    let position = position.and_then(|position| position.to_str().ok()).map(str::to_owned);
    let bytes = response.bytes().await?;
    Ok((status, Reply { body: serde_json::from_slice(&bytes).unwrap_or_default(), position }))
}

fn text(reply: &Reply, field: &str) -> String {
    reply.body[field].as_str().unwrap_or_default().to_owned()
}
