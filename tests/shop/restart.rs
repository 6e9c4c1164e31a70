//! Crashes and restarts: nothing that was answered is lost, and what was half done is finished.

use crate::harness::{Shop, gbp};
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn a_crash_right_after_checkout_loses_nothing(pool: PgPool) {
    let mut shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 1000).await;
    let mut orders = Vec::new();
    for _ in 0..5 {
        let cart_id = shop.cart(&[("MUG", 3)]).await;
        let body = json!({ "total": gbp(3000), "country": "GB" });
        let order = shop.post(&format!("/carts/{cart_id}/checkout"), body).await.expect(StatusCode::ACCEPTED);
        orders.push(order["order_id"].as_str().unwrap().to_owned());
        // Stock may not have answered yet.
        shop = shop.crash_and_reopen().await;
    }
    for order_id in &orders {
        let paid = shop.pay(order_id, 3000).await.expect(StatusCode::OK);
        assert_eq!(paid["status"], "processing");
    }
    let stock = shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    assert_eq!((&stock["available"], &stock["reserved"]), (&json!(985), &json!(15)));
}

#[sqlx::test(migrations = false)]
async fn a_checked_out_cart_whose_order_was_not_placed_gets_its_order(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.define("MUG", 1000, 10).await;
    let cart_id = shop.cart(&[("MUG", 1)]).await;
    // What the command side would have written before it crashed: the cart's last event and no order.
    let order_id = check_out_without_order(&shop, &cart_id).await;
    let waiting = shop.request(Method::POST, &format!("/carts/{cart_id}/checkout"));
    let body = json!({ "total": gbp(1000), "country": "GB" });
    let order = waiting.new_key().header("prefer", "wait=20").json(&body).send().await.expect(StatusCode::OK);
    assert_eq!(order["order_id"], order_id);
    assert_eq!(shop.pay(&order_id, 1000).await.expect(StatusCode::OK)["status"], "processing");
}

/// Places an order on a second shop's command side and copies only the cart's event to the first.
async fn check_out_without_order(shop: &Shop, cart_id: &str) -> String {
    use domain::cart::{Cart, Command, PricedLine};
    use executor::{Envelope, Executor, Writers};
    let id: domain::CartId = cart_id.parse().unwrap();
    let executor = Executor::new(&shop.events(), Writers::OnlyUs);
    let line = executor.carts.view(id, |cart| match cart {
        Cart::Open(cart) => cart.lines[0].clone(),
        other => panic!("{other:?}"),
    });
    let line = line.await.unwrap();
    let order_id = domain::fulfilment::order_id_of(id);
    let command = Command::CheckOut {
        order_id,
        country: "GB".parse().unwrap(),
        expected_total: line.unit_price,
        hold_seconds: None,
        anonymous: true,
        prices: vec![PricedLine {
            line_id: line.line_id,
            merchant_id: "acme".parse().unwrap(),
            name: "The MUG".parse().unwrap(),
            unit_price: line.unit_price,
        }],
    };
    let command_id = uuid::Uuid::now_v7();
    let envelope = Envelope {
        command_id,
        correlation_id: order_id.0,
        causation_id: command_id,
        actor: "shopper".to_owned(),
        occurred_at: chrono::Utc::now(),
        fingerprint: executor::Fingerprint::none(),
    };
    executor.carts.execute(id, command, envelope).await.unwrap();
    order_id.to_string()
}
