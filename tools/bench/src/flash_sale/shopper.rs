//! One shopper of the sale: a cart, a line or two, checkout, payment, and coming back as long as there is hope.

use super::Sale;
use crate::error::BenchError;
use crate::shop::CURRENCY;
use crate::web::{Ask, Reply};
use backon::{BackoffBuilder, ExponentialBuilder};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const GOOD_CARD: &str = "pm_card_visa";
const BAD_CARD: &str = "pm_card_chargeDeclined";
/// A shopper comes back sooner at first, and never later than this.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Who comes.
#[derive(Debug, Clone)]
pub struct Shopper {
    /// Names the shopper's requests for ever.
    id: Uuid,
    wants_second: bool,
    cards: &'static [&'static str],
}

/// How it ended for a shopper.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Paid, and being packed.
    Bought { order_id: Uuid },
    /// Sold out, and nothing will come back.
    SentHome { wanted_second: bool },
    /// The card was declined, and there was no other.
    CouldNotPay,
}

impl Shopper {
    /// One in ten wants the second SKU too; one in twenty cannot pay; two in twenty pay with the second card only.
    pub fn number(number: usize) -> Self {
        let cards: &[&str] = match number % 20 {
            5 => &[BAD_CARD],
            11 | 13 => &[BAD_CARD, GOOD_CARD],
            _ => &[GOOD_CARD],
        };
        Self { id: Uuid::new_v4(), wants_second: number % 10 == 3, cards }
    }

    /// Shops until it has ended one way or the other.
    pub async fn shop(&self, sale: &Sale) -> Result<Outcome, BenchError> {
        let mut pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_max_delay(LONGEST_PAUSE)
            .with_jitter()
            .without_max_times()
            .build();
        for attempt in 0_u32.. {
            let mut cart = None;
            // Whoever has an order pays in the same turn: its time is running.
            let (order_id, _turn) = loop {
                // A shopper who only waits takes no connection from the others.
                let turn = sale.turns.acquire().await;
                let cart_id = match &cart {
                    Some(cart_id) => cart_id,
                    None => cart.insert(self.fill_cart(sale, attempt).await?),
                };
                let reply = self.check_out(sale, cart_id, attempt).await?;
                if reply.problem() != Some("sold-out") {
                    if reply.text("status")? == "cancelled" {
                        break (None, turn);
                    }
                    let order_id = reply.text("order_id")?;
                    break (Some(order_id.parse::<Uuid>().map_err(|_| reply.unexpected())?), turn);
                }
                // Others were quicker at the very end: this cart is used up, and the next one hears what is left.
                if reply.body["order_id"].is_string() {
                    break (None, turn);
                }
                if !may_come_back(&reply.body) {
                    return Ok(Outcome::SentHome { wanted_second: self.wants_second });
                }
                drop(turn);
                tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
            };
            // Somebody was quicker, or the order's time ran out: once more from the beginning.
            let Some(order_id) = order_id else { continue };
            if let Some(outcome) = self.pay(sale, order_id).await? {
                return Ok(outcome);
            }
        }
        Ok(Outcome::CouldNotPay)
    }

    fn total(&self, sale: &Sale) -> Value {
        let second = if self.wants_second { sale.second.price } else { 0 };
        json!({ "amount": sale.hot.price + second, "currency": CURRENCY })
    }

    async fn fill_cart(&self, sale: &Sale, attempt: u32) -> Result<String, BenchError> {
        let id = self.id;
        let reply = sale.web.post(Ask {
            kind: "open a cart",
            path: "/carts".to_owned(),
            key: Some(format!("{id}-{attempt}-cart")),
            wait: false,
            body: json!({ "currency": CURRENCY }),
        });
        let cart_id = reply.await?.text("cart_id")?.to_owned();
        let skus = [Some(&sale.hot.sku), self.wants_second.then_some(&sale.second.sku)];
        for (index, sku) in skus.into_iter().flatten().enumerate() {
            let reply = sale.web.post(Ask {
                kind: "add a line",
                path: format!("/carts/{cart_id}/lines"),
                key: Some(format!("{id}-{attempt}-line-{index}")),
                wait: false,
                body: json!({ "lines": [{ "sku": sku, "quantity": 1 }] }),
            });
            let reply = reply.await?;
            if !reply.is_success() {
                return Err(reply.unexpected());
            }
        }
        Ok(cart_id)
    }

    async fn check_out(&self, sale: &Sale, cart_id: &str, attempt: u32) -> Result<Reply, BenchError> {
        let ask = Ask {
            kind: "check out",
            path: format!("/carts/{cart_id}/checkout"),
            key: Some(format!("{}-{attempt}-checkout", self.id)),
            wait: true,
            body: json!({ "total": self.total(sale), "country": "GB" }),
        };
        sale.web.post(ask).await
    }

    /// `None`: the order was called off meanwhile.
    async fn pay(&self, sale: &Sale, order_id: Uuid) -> Result<Option<Outcome>, BenchError> {
        for (index, card) in self.cards.iter().enumerate() {
            let body = json!({ "amount": self.total(sale), "payment_method": card });
            loop {
                let reply = sale.web.post(Ask {
                    kind: "pay",
                    path: format!("/orders/{order_id}/payments"),
                    key: Some(format!("{order_id}-payment-{index}")),
                    wait: true,
                    body: body.clone(),
                });
                let reply = reply.await?;
                if reply.problem() == Some("wrong-order-status") {
                    return Ok(None);
                }
                match (reply.text("status")?, reply.text("payment_status")?) {
                    ("processing", _) => return Ok(Some(Outcome::Bought { order_id })),
                    ("cancelled" | "refunded", _) => return Ok(None),
                    (_, "declined") => break,
                    // Not decided in the time that the service waits: asked again under the same key.
                    _ => {}
                }
            }
        }
        Ok(Some(Outcome::CouldNotPay))
    }
}

/// Whether all that is short may be there later: others hold it and have not paid.
fn may_come_back(body: &Value) -> bool {
    let short = body["skus"].as_array().map(Vec::as_slice).unwrap_or_default();
    short.iter().all(|sku| {
        let units = |field: &str| sku[field].as_u64().unwrap_or(0);
        units("available") + units("on_hold") >= units("asked")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shopper_waits_only_for_what_may_come_back() {
        let body = |available: u64, on_hold: u64| json!({ "skus": [{ "sku": "A", "asked": 1, "available": available, "on_hold": on_hold }] });
        assert!(may_come_back(&body(0, 1)));
        assert!(!may_come_back(&body(0, 0)));
    }
}
