//! Orders that are not paid: for a scarce SKU, where somebody begins to pay a penny or all of it, and never proves who they
//! are; and for any SKU, by cards on which the payment gateway never answers, or which it declines.

use super::Attack;
use super::disk::post;
use crate::attack::target::{attacker, client};
use crate::error::BenchError;
use crate::shop::{CURRENCY, Product};
use reqwest::Client;
use serde_json::json;
use std::time::Duration;

/// Units that one order wants: all at once, some, one.
const UNITS: [i64; 3] = [60, 7, 1];
const CARD_WITHOUT_ANSWER: &str = "pm_sandbox_never_answers";
const DECLINED_CARD: &str = "pm_card_chargeDeclined";
const CARD_THAT_ASKS: &str = "pm_card_threeDSecure2Required";
/// Between one order and the next.
const PAUSE: Duration = Duration::from_millis(100);
/// Addresses whose payments hang: each has its own share of unpaid orders.
const ADDRESSES: usize = 40;
/// Addresses with declined cards, and how often each order is tried to be paid.
const DECLINED_ADDRESSES: usize = 10;
const DECLINES: usize = 20;

/// Holds what there is, so many at once.
pub async fn hold(attack: &Attack, at_once: usize) -> Result<(), BenchError> {
    let http = client(attacker(4))?;
    attack.all(at_once, |attack, number| one_after_the_other(attack, http.clone(), number)).await;
    Ok(())
}

/// Pays from many addresses, with orders that are called off at once, so that the next one may come.
pub async fn payments(attack: &Attack, at_once: usize) -> Result<(), BenchError> {
    let clients: Vec<Client> =
        (20..20 + ADDRESSES).map(|number| client(attacker(number))).collect::<Result<_, _>>()?;
    attack.all(at_once, |attack, number| hanging(attack, clients.clone(), number)).await;
    Ok(())
}

/// Pays each order with declined cards as often as it may be, over so many connections from ten addresses.
pub async fn declines(attack: &Attack, at_once: usize) -> Result<(), BenchError> {
    let clients: Vec<Client> =
        (80..80 + DECLINED_ADDRESSES).map(|number| client(attacker(number))).collect::<Result<_, _>>()?;
    attack.all(at_once, |attack, number| declined(attack, clients[number % clients.len()].clone())).await;
    Ok(())
}

async fn declined(attack: Attack, http: Client) {
    let stop = attack.stop.clone();
    let paying = async {
        loop {
            if one_declined(&attack, &http).await.is_none() {
                tokio::time::sleep(PAUSE).await;
            }
        }
    };
    let _: Option<()> = stop.run_until_cancelled(paying).await;
}

async fn one_declined(attack: &Attack, http: &Client) -> Option<()> {
    let order = order(attack, http, &attack.target.common, 1).await?;
    let total = attack.target.total(&attack.target.common, 1);
    let payment = json!({ "amount": total, "payment_method": DECLINED_CARD });
    for _ in 0..DECLINES {
        post(attack, http, &format!("{order}/payments"), &payment).await;
    }
    post(attack, http, &format!("{order}/cancellation"), &json!({ "reason": "changed my mind" })).await?;
    Some(())
}

async fn hanging(attack: Attack, clients: Vec<Client>, number: usize) {
    let stop = attack.stop.clone();
    let paying = async {
        for http in clients.iter().cycle().skip(number) {
            let _ = one_hanging(&attack, http).await;
            tokio::time::sleep(PAUSE).await;
        }
    };
    let _ = stop.run_until_cancelled(paying).await;
}

async fn one_hanging(attack: &Attack, http: &Client) -> Option<()> {
    let order = order(attack, http, &attack.target.common, 1).await?;
    let total = attack.target.total(&attack.target.common, 1);
    let payment = json!({ "amount": total, "payment_method": CARD_WITHOUT_ANSWER });
    post(attack, http, &format!("{order}/payments"), &payment).await;
    post(attack, http, &format!("{order}/cancellation"), &json!({ "reason": "changed my mind" })).await?;
    Some(())
}

async fn one_after_the_other(attack: Attack, http: Client, number: usize) {
    let stop = attack.stop.clone();
    let holding = async {
        for units in UNITS.iter().cycle().skip(number % UNITS.len()) {
            let _ = one(&attack, &http, *units).await;
            tokio::time::sleep(PAUSE).await;
        }
    };
    let _ = stop.run_until_cancelled(holding).await;
}

async fn one(attack: &Attack, http: &Client, units: i64) -> Option<()> {
    let scarce = &attack.target.scarce;
    let path = format!("{}/payments", order(attack, http, scarce, units).await?);
    for amount in [json!({ "amount": 1, "currency": CURRENCY }), attack.target.total(scarce, units)] {
        let payment = json!({
            "amount": amount,
            "payment_method": CARD_THAT_ASKS,
            "return_url": "https://shop.example/paid",
        });
        post(attack, http, &path, &payment).await;
    }
    Some(())
}

/// The address of a new order.
async fn order(attack: &Attack, http: &Client, product: &Product, units: i64) -> Option<String> {
    let opened = post(attack, http, "/carts", &json!({ "currency": CURRENCY })).await?;
    let cart = format!("/carts/{}", opened["cart_id"].as_str()?);
    let lines = json!({ "lines": [{ "sku": product.sku, "quantity": units }] });
    post(attack, http, &format!("{cart}/lines"), &lines).await?;
    let body = json!({ "total": attack.target.total(product, units), "country": "GB" });
    let order = post(attack, http, &format!("{cart}/checkout"), &body).await?;
    Some(format!("/orders/{}", order["order_id"].as_str()?))
}
