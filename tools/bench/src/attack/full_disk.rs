//! A disk that is nearly full: what the service keeps free of it is set above what is free.

use super::target::{self, Target};
use crate::error::BenchError;
use crate::programs::ServiceProcess;
use crate::shop::CURRENCY;
use reqwest::Client;
use serde_json::{Value, json};

/// More than any disk has free.
const KEPT: u64 = 1 << 60;
const CARD: &str = "pm_card_visa";

/// What is wrong: new carts of nobody must be refused, and an order that is there must be paid.
pub async fn look(service: &mut ServiceProcess, target: &Target) -> Result<Vec<String>, BenchError> {
    let http = target::client(target::shopper(201))?;
    let mut wrong = Vec::new();
    let ask = async |path: &str, body: Value| ask(target, &http, path, &body).await;
    let (_, opened) = ask("/carts", json!({ "currency": CURRENCY })).await?;
    let cart = format!("/carts/{}", opened["cart_id"].as_str().unwrap_or_default());
    let lines = json!({ "lines": [{ "sku": target.common.sku, "quantity": 1 }] });
    ask(&format!("{cart}/lines"), lines).await?;
    let total = target.total(&target.common, 1);
    let (_, order) = ask(&format!("{cart}/checkout"), json!({ "total": total, "country": "GB" })).await?;

    service.terminate().await?;
    service.restart(&[format!("--disk-kept-for-orders={KEPT}")]).await?;
    let (status, refused) = ask("/carts", json!({ "currency": CURRENCY })).await?;
    if (200..300).contains(&status) {
        wrong.push("a new cart is taken".to_owned());
    } else {
        println!("a new cart is refused: {status} {}", refused["type"].as_str().unwrap_or_default());
    }
    let path = format!("/orders/{}/payments", order["order_id"].as_str().unwrap_or_default());
    let (status, paid) = ask(&path, json!({ "amount": total, "payment_method": CARD })).await?;
    if paid["status"] != "processing" {
        wrong.push(format!("an order cannot be paid: {status} {paid}"));
    }
    Ok(wrong)
}

async fn ask(target: &Target, http: &Client, path: &str, body: &Value) -> Result<(u16, Value), BenchError> {
    let answer = Target::waiting(target.post(http, path, body)).send().await.map_err(BenchError::Http)?;
    let status = answer.status().as_u16();
    let bytes = answer.bytes().await.map_err(BenchError::Http)?;
    Ok((status, serde_json::from_slice(&bytes).unwrap_or_default()))
}
