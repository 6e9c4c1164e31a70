//! What the shops of the benchmarks sell.

use super::error::BenchError;
use super::programs::ServiceProcess;
use serde::de::IgnoredAny;
use serde_json::json;
use shop_client::{Command, ShopClient};

/// The one currency.
pub const CURRENCY: &str = "GBP";

/// A product for sale.
#[derive(Debug, Clone)]
pub struct Product {
    pub sku: String,
    /// In pence.
    pub price: i64,
    pub units: u64,
}

/// Defines the products, and puts their units in stock.
pub async fn fill(service: &ServiceProcess, products: &[Product]) -> Result<(), BenchError> {
    let client = ShopClient::new(&format!("http://{}", service.address), &service.operator_token()?)?;
    for Product { sku, price, units } in products {
        let body = json!({
            "sku": sku,
            "merchant_id": "bench",
            "name": format!("The product {sku}"),
            "price": { "amount": price, "currency": CURRENCY },
        });
        send(&client, &["products"], &format!("define-{sku}"), &body).await?;
        let receive = json!({ "quantity": units });
        send(&client, &["stock", sku, "receipts"], &format!("receive-{sku}"), &receive).await?;
    }
    Ok(())
}

async fn send(
    client: &ShopClient,
    path: &[&str],
    key: &str,
    body: &serde_json::Value,
) -> Result<(), BenchError> {
    client.post::<_, IgnoredAny>(Command { path, key, occurred_at: None, wait: false, body }).await?;
    Ok(())
}
