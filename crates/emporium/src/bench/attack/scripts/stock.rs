//! Orders for a scarce SKU that nobody pays, or for which somebody begins to pay a penny or all of it, and never proves
//! who they are.

use super::Attack;
use super::disk::post;
use crate::bench::attack::target::{attacker, client};
use crate::bench::error::BenchError;
use crate::bench::shop::CURRENCY;
use reqwest::Client;
use serde_json::json;
use std::time::Duration;

/// Units that one order wants: all at once, some, one.
const UNITS: [i64; 3] = [60, 7, 1];
const CARD_THAT_ASKS: &str = "pm_card_threeDSecure2Required";
/// Between one order and the next.
const PAUSE: Duration = Duration::from_millis(100);

/// Holds what there is, so many at once.
pub async fn hold(attack: &Attack, at_once: usize) -> Result<(), BenchError> {
    let http = client(attacker(4))?;
    attack.all(at_once, |attack, number| one_after_the_other(attack, http.clone(), number)).await;
    Ok(())
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
    let opened = post(attack, http, "/carts", &json!({ "currency": CURRENCY })).await?;
    let cart = format!("/carts/{}", opened["cart_id"].as_str()?);
    let lines = json!({ "lines": [{ "sku": scarce.sku, "quantity": units }] });
    post(attack, http, &format!("{cart}/lines"), &lines).await?;
    let body = json!({ "total": attack.target.total(scarce, units), "country": "GB" });
    let order = post(attack, http, &format!("{cart}/checkout"), &body).await?;
    let path = format!("/orders/{}/payments", order["order_id"].as_str()?);
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
