//! The steps of a purchase, as most tests take them.

use crate::harness::{Shop, gbp};
use crate::http::Reply;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

impl Shop {
    /// A product with stock.
    pub async fn define(&self, sku: &str, price: i64, stock: u32) {
        let product =
            json!({ "sku": sku, "merchant_id": "acme", "name": format!("The {sku}"), "price": gbp(price) });
        self.post_as_operator("/products", product).await.expect(StatusCode::CREATED);
        if stock > 0 {
            let receipt = json!({ "quantity": stock });
            let path = format!("/stock/{sku}/receipts");
            self.post_as_operator(&path, receipt).await.expect(StatusCode::CREATED);
        }
    }

    /// A new cart with these SKUs and quantities.
    pub async fn cart(&self, lines: &[(&str, u32)]) -> String {
        let opened = self.post("/carts", json!({ "currency": "GBP" })).await.expect(StatusCode::CREATED);
        let cart_id = opened["cart_id"].as_str().unwrap().to_owned();
        let lines: Vec<Value> =
            lines.iter().map(|(sku, quantity)| json!({ "sku": sku, "quantity": quantity })).collect();
        if !lines.is_empty() {
            let path = format!("/carts/{cart_id}/lines");
            self.post(&path, json!({ "lines": lines })).await.expect(StatusCode::OK);
        }
        cart_id
    }

    /// Checks out and waits for what stock says.
    pub async fn check_out(&self, cart_id: &str, total: i64) -> Reply {
        let body = json!({ "total": gbp(total), "country": "United Kingdom" });
        let path = format!("/carts/{cart_id}/checkout");
        self.request(Method::POST, &path).new_key().header("prefer", "wait=20").json(&body).send().await
    }

    /// An order of these lines; its id.
    pub async fn order(&self, lines: &[(&str, u32)], total: i64) -> String {
        let cart_id = self.cart(lines).await;
        let order = self.check_out(&cart_id, total).await.expect(StatusCode::OK);
        order["order_id"].as_str().unwrap().to_owned()
    }

    /// Records the payment and waits until it has had its effect.
    pub async fn pay(&self, order_id: &str, amount: i64) -> Reply {
        let body = json!({ "amount": gbp(amount), "method": "card", "reference": "till 1" });
        let request = self.request(Method::POST, &format!("/orders/{order_id}/payments"));
        request.operator().new_key().header("prefer", "wait=20").json(&body).send().await
    }

    /// Pays through the gateway and waits for the outcome.
    pub async fn pay_by(&self, payment_method: &str, order_id: &str, amount: i64) -> Reply {
        let body = json!({ "amount": gbp(amount), "payment_method": payment_method });
        let request = self.request(Method::POST, &format!("/orders/{order_id}/payments"));
        request.new_key().header("prefer", "wait=20").json(&body).send().await
    }
}
