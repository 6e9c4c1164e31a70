//! The same shop served from two machines: each sees what the other did.

use crate::harness::{SecondMachine, Shop, gbp};
use reqwest::StatusCode;
use serde_json::json;
use sqlx::PgPool;

#[sqlx::test(migrations = false)]
async fn a_purchase_may_hop_between_machines_at_every_step(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    let other = shop.second().await;
    shop.define("MUG", 1000, 10).await;
    for _ in 0..3 {
        let cart_id = shop.cart(&[]).await;
        let cart = format!("/carts/{cart_id}");
        let mug = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
        other.post_as_operator(&format!("{cart}/lines"), mug.clone()).await.expect(StatusCode::OK);
        shop.post(&format!("{cart}/lines"), mug).await.expect(StatusCode::OK);
        let checkout = json!({ "total": gbp(2000), "country": "GB" });
        let order = other.post_as_operator(&format!("{cart}/checkout"), checkout).await;
        let order = order.expect(StatusCode::OK);
        assert_eq!(order["status"], "pending");
        let order_id = order["order_id"].as_str().unwrap();
        assert_eq!(shop.pay(order_id, 2000).await.expect(StatusCode::OK)["status"], "processing");
        let shipped = other.post_as_operator(&format!("/orders/{order_id}/shipment"), json!({})).await;
        assert_eq!(shipped.expect(StatusCode::OK)["status"], "shipped");
        let delivered = shop.post_as_operator(&format!("/orders/{order_id}/delivery"), json!({})).await;
        assert_eq!(delivered.expect(StatusCode::OK)["status"], "delivered");
    }
    let stock = shop.get_now("/stock/MUG").await.expect(StatusCode::OK);
    assert_eq!((&stock["available"], &stock["shipped"]), (&json!(4), &json!(6)));
}

#[sqlx::test(migrations = false)]
async fn two_machines_together_never_sell_more_than_there_is(pool: PgPool) {
    const UNITS: u32 = 15;
    let shop = Shop::open(&pool).await;
    let other = shop.second().await;
    shop.define("MUG", 1000, UNITS).await;
    let buy = async |index: u32| {
        let cart_id = shop.cart(&[("MUG", 1)]).await;
        let order = if index.is_multiple_of(2) {
            shop.check_out(&cart_id, 1000).await
        } else {
            let checkout = json!({ "total": gbp(1000), "country": "GB" });
            other.post_as_operator(&format!("/carts/{cart_id}/checkout"), checkout).await
        };
        // The others hear that it is sold out, at once or when stock has answered.
        order.status == StatusCode::OK && order.body["status"] == "pending"
    };
    let held = futures::future::join_all((0..40).map(buy)).await;
    assert_eq!(held.iter().filter(|held| **held).count(), UNITS as usize);
}

/// The order fulfilment process in `/readyz`, and what it says there while the other machine runs it.
const FULFILMENT: &str = "order-fulfilment";
const ELSEWHERE: Option<&str> = Some("another process runs it");

async fn buys(machine: &SecondMachine) {
    let opened = machine.post_as_operator("/carts", json!({ "currency": "GBP" })).await;
    let cart_id = opened.expect(StatusCode::CREATED)["cart_id"].as_str().unwrap().to_owned();
    let mug = json!({ "lines": [{ "sku": "MUG", "quantity": 1 }] });
    machine.post_as_operator(&format!("/carts/{cart_id}/lines"), mug).await.expect(StatusCode::OK);
    let checkout = json!({ "total": gbp(1000), "country": "GB" });
    let order = machine.post_as_operator(&format!("/carts/{cart_id}/checkout"), checkout).await;
    let order = order.expect(StatusCode::OK);
    let payment = json!({ "amount": gbp(1000), "method": "card", "reference": "till 1" });
    let path = format!("/orders/{}/payments", order["order_id"].as_str().unwrap());
    // Only when stock has answered and the goods are committed: somebody has done the process's work.
    let paid = machine.post_as_operator(&path, payment).await;
    assert_eq!(paid.expect(StatusCode::OK)["status"], "processing");
}

#[sqlx::test(migrations = false)]
async fn one_machine_runs_order_fulfilment_and_another_takes_over_when_it_is_gone(pool: PgPool) {
    let shop = Shop::open(&pool).await;
    shop.is_ready(FULFILMENT, None).await;
    let (second, third) = (shop.second().await, shop.second().await);
    second.is_ready(FULFILMENT, ELSEWHERE).await;
    third.is_ready(FULFILMENT, ELSEWHERE).await;
    shop.is_ready(FULFILMENT, None).await;
    shop.define("MUG", 1000, 10).await;
    buys(&second).await;

    // The machine's HTTP goes too, so whatever is settled now is settled by one of the others.
    shop.crash_services();
    let (runs, waits) = tokio::select! {
        () = second.is_ready(FULFILMENT, None) => (second, third),
        () = third.is_ready(FULFILMENT, None) => (third, second),
    };
    waits.is_ready(FULFILMENT, ELSEWHERE).await;
    buys(&runs).await;
    buys(&waits).await;

    runs.stop_services();
    waits.is_ready(FULFILMENT, None).await;
    buys(&waits).await;
}
